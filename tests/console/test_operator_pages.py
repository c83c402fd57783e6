"""Datasets, tickets and settings in the console."""

from typing import Any

import httpx
import pytest

from feedback import assistants, audit, corrections, datasets, freezing, processes, tickets
from feedback.database import reading, writing
from feedback.desk import desk_of
from tests.console.trained import add_tickets, shop_of, teach, train
from tests.feedback.said import corrected
from tests.service.conftest import Shop
from training.settings import TrainingSettings

DESK = {
    "timezone": "Europe/Berlin",
    "hours_monday": "09:00-12:00, 13:00-17:00",
    "reply_within_hours": "8",
    "customer_asks": "talk to a person\r\nreal person",
    "rules": "Lost parcel: lost parcel, never arrived",
    "low_confidence": "0.4",
    "review_percent": "10",
    "second_review_percent": "20",
}


def test_a_dataset_shows_its_rows_and_where_they_came_from(olga: httpx.Client, shop: Shop) -> None:
    teach(shop)
    train(shop)
    with reading(shop.database) as session:
        *_, sft = sorted(datasets.every(session, shop_of(session)), key=lambda one: one.kind)
    assert sft.name in olga.get("/console/shop/datasets").text
    shown = olga.get(f"/console/shop/datasets/{sft.name}").text
    assert shown.count("a correction by") == 6
    assert "/console/shop/conversations/" in shown
    assert "left out: too close to an exam ticket" in shown
    assert "This dataset has no rows." in olga.get(
        f"/console/shop/datasets/{sft.name}?start=25"
    ).text  # fmt: skip


def test_another_assistants_dataset_is_not_there(olga: httpx.Client, shop: Shop) -> None:
    with writing(shop.database) as session:
        frozen, *_ = freezing.freeze(session, shop_of(session, "bakery"))
    assert olga.get(f"/console/shop/datasets/{frozen.name}").status_code == 404


def test_tickets_are_found_by_any_of_their_words(olga: httpx.Client, shop: Shop) -> None:
    add_tickets(shop)
    shown = olga.get("/console/shop/tickets?q=38+days").text
    assert "1 found" in shown
    assert "ticket-08" in shown
    assert "must say: 38 days" in shown


def test_an_operator_adds_and_retires_a_ticket(olga: httpx.Client, shop: Shop) -> None:
    new = {
        "name": "t-1", "question": "Is it free?", "reference": "Yes, it is.",
        "must_say": "yes\r\n\r\n", "must_not_say": "no", "topic": "Fees",
    }  # fmt: skip
    assert "in the exam" in olga.post("/console/shop/tickets", data=new).text
    assert olga.post("/console/shop/tickets", data=new).status_code == 409
    assert olga.post("/console/shop/tickets", data={"name": "t-2"}).status_code == 422
    with reading(shop.database) as session:
        [ticket] = tickets.held_out(session, shop_of(session))
    assert (ticket.must_say, ticket.must_not_say, ticket.topic) == (["yes"], ["no"], "Fees")
    assert "out of the exam" in olga.post("/console/shop/tickets/retire", data={"name": "t-1"}).text
    with reading(shop.database) as session:
        assert tickets.held_out(session, shop_of(session)) == []
        acts = [entry.act for entry in audit.every(session) if entry.act.startswith("ticket")]
    assert acts == ["ticket.retire", "ticket.create"]
    assert "retired" in olga.get("/console/shop/tickets?retired=true").text


def test_a_ticket_of_another_assistant_is_not_retired(olga: httpx.Client, shop: Shop) -> None:
    with writing(shop.database) as session:
        tickets.create(
            session, shop_of(session, "bakery"), "bread", [{"role": "user", "content": "Rye?"}], "Yes"
        )  # fmt: skip
    assert olga.post("/console/shop/tickets/retire", data={"name": "bread"}).status_code == 404


def test_a_new_prompt_is_a_new_version_with_a_diff(olga: httpx.Client, shop: Shop) -> None:
    shown = olga.post("/console/shop/settings/prompt", data={"text": "You are the kind shop."})
    assert "version 2" in shown.text
    assert "<ins>kind </ins>" in shown.text
    assert "Nothing was different" in olga.post(
        "/console/shop/settings/prompt", data={"text": "You are the kind shop."}
    ).text  # fmt: skip
    with reading(shop.database) as session:
        [entry] = audit.every(session, act="assistant.change")
    assert entry.detail["before"] == {"text": "You are the shop."}
    assert entry.detail["after"] == {"text": "You are the kind shop."}


def test_answers_gate_and_loop_are_changed_and_audited(olga: httpx.Client, shop: Shop) -> None:
    sent: dict[str, dict[str, Any]] = {
        "answers": {"temperature": "0.3", "top_p": "0.9", "max_tokens": "128", "seed": ""},
        "gate": {
            "metric": "chrf",
            "min_gain": "1.5",
            "confidence": "0.9",
            "min_tickets": "30",
            "wrong_promotions_percent": "2",
            "guardrails": "refused: 0.2",
            "most_tickets": "all",
            "zero_tolerance_shown": "yes",
            "zero_tolerance": ["invented_prices"],
        },
        "loop": {"schedule_minutes": "720", "auto_promote": "yes"},
    }
    for form, data in sent.items():
        assert "Saved." in olga.post(f"/console/shop/settings/{form}", data=data).text
    with reading(shop.database) as session:
        owner = shop_of(session)
        entries = audit.every(session, act="assistant.change")
    assert assistants.sampling_of(owner).temperature == 0.3
    gate = assistants.gate_of(owner)
    assert (gate.min_tickets, gate.wrong_promotions, gate.most_tickets) == (30, 0.02, None)
    assert gate.guardrails == {"refused": 0.2}
    assert gate.zero_tolerance == ["invented_prices"], "the other box was not ticked"
    assert gate.candidates_planned == 52, "what the form does not send stays"
    assert (owner.schedule_minutes, owner.auto_promote) == (720, True)
    assert len(entries) == 4
    schedule = next(entry for entry in entries if entry.subject.endswith("schedule_minutes"))
    assert schedule.detail == {"before": "none", "after": 720}


def test_a_recipe_is_set_beside_what_the_loop_reported(olga: httpx.Client, shop: Shop) -> None:
    values = {"stages": ("sft", "dpo"), "sft_epochs": 7.5}
    loop = processes.Reporting(
        shop.database,
        "loop",
        {"training": TrainingSettings(**values)},  # type: ignore[arg-type]
    )
    with loop:
        shown = olga.get("/console/shop/settings").text
    assert 'placeholder="7.5"' in shown and 'placeholder="sft,dpo"' in shown
    sent = {"stages": "sft, kto", "lora_rank": "8", "sft_epochs": " ", "start": ""}
    assert "Saved." in olga.post("/console/shop/settings/recipe", data=sent).text
    with reading(shop.database) as session:
        owner = shop_of(session)
        [entry] = audit.every(session, act="assistant.change")
    assert owner.recipe == {"stages": ["sft", "kto"], "lora_rank": 8}
    assert entry.subject == "shop: recipe"
    assert entry.detail == {"before": {}, "after": owner.recipe}
    shown = olga.get("/console/shop/settings").text
    assert 'value="sft, kto"' in shown and '<option value="8" selected>' in shown
    assert "Saved." in olga.post("/console/shop/settings/recipe", data={}).text
    with reading(shop.database) as session:
        assert shop_of(session).recipe == {}


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("recipe", {"lora_rank": "128"}),
        ("recipe", {"lora_modules": "lm_head"}),
        ("recipe", {"sft_epochs": "many"}),
        ("recipe", {"stages": "sft, ppo"}),
        ("prompt", {"text": " "}),
        ("answers", {"temperature": "hot", "top_p": "1", "max_tokens": "9"}),
        ("answers", {"temperature": "3", "top_p": "1", "max_tokens": "9"}),
        ("gate", {"metric": "luck", "min_gain": "0", "confidence": "0.9", "min_tickets": "20"}),
        ("gate", {"metric": "chrf", "min_gain": "0", "confidence": "0.9", "min_tickets": "2"}),
        ("gate", {"metric": "chrf", "wrong_promotions_percent": "200"}),
        ("gate", {"metric": "chrf", "guardrails": "refused"}),
        ("gate", {"metric": "chrf", "guardrails": "refusals: 0.2"}),
        ("gate", {"metric": "charm"}),
        ("loop", {"schedule_minutes": "0"}),
        ("desk", {**DESK, "timezone": "Mars/Olympus"}),
        ("desk", {**DESK, "hours_monday": "nine to five"}),
        ("desk", {**DESK, "rules": "no colon"}),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    olga: httpx.Client, shop: Shop, form: str, data: dict[str, str]
) -> None:
    refused = olga.post(f"/console/shop/settings/{form}", data=data)
    assert refused.status_code == 422
    assert "That did not work" in refused.text
    with reading(shop.database) as session:
        assert audit.every(session, act="assistant.change") == []


def test_the_desk_is_changed_by_its_form(olga: httpx.Client, shop: Shop) -> None:
    shown = olga.post("/console/shop/settings/desk", data=DESK)
    assert "Saved." in shown.text
    assert "09:00-12:00, 13:00-17:00" in shown.text
    with reading(shop.database) as session:
        desk = desk_of(shop_of(session))
    assert desk.timezone == "Europe/Berlin"
    assert desk.customer_asks == ["talk to a person", "real person"]
    assert desk.rules[0].phrases == ["lost parcel", "never arrived"]
    assert "Nothing was different" in olga.post("/console/shop/settings/desk", data=DESK).text


def test_settings_of_processes_are_shown_without_secrets(olga: httpx.Client, shop: Shop) -> None:
    shown = olga.get("/console/shop/settings").text
    assert "FEEDBACK_VAR_DIR" in shown
    assert "engine_api_key" in shown
    assert "stand-in" not in shown


POSTS = ["tickets", "tickets/retire", *(f"settings/{form}" for form in ("prompt", "answers"))]
POSTS += [f"settings/{form}" for form in ("gate", "loop", "desk")]


@pytest.mark.parametrize("path", POSTS)
def test_agents_and_wrong_tokens_change_nothing(
    olga: httpx.Client, mara: httpx.Client, path: str
) -> None:
    assert mara.post(f"/console/shop/{path}", data={"text": "x"}).status_code == 403
    olga.headers["X-CSRF-Token"] = "0" * 64
    assert olga.post(f"/console/shop/{path}", data={"text": "x"}).status_code == 403


@pytest.mark.parametrize("path", ["datasets", "tickets", "settings", "history", "cycles"])
def test_agents_do_not_see_what_is_for_operators(mara: httpx.Client, path: str) -> None:
    assert mara.get(f"/console/shop/{path}").status_code == 403


def test_two_datasets_are_compared_with_what_came_and_what_went(
    shop: Shop, olga: httpx.Client
) -> None:
    teach(shop)
    train(shop)
    with writing(shop.database) as session:
        *_, older = sorted(datasets.every(session, shop_of(session)), key=lambda one: one.kind)
        word = corrections.that_teach(session, shop_of(session).id)[0][0]
        corrections.withdraw(session, word.id, word.author)
        corrected(session, shop_of(session), "Do you mend umbrellas?", "Yes, ribs too.", "c-new")
        newer, *_ = freezing.freeze(session, shop_of(session))
    shown = olga.get(f"/console/shop/datasets/{older.name}/diff/{newer.name}").text
    assert "Rows: 1 came, 1 went, 0 moved" in shown
    assert "Yes, ribs too." in shown and "taken back by its author" in shown
    assert (
        f"{older.name}/diff/{newer.name}" in olga.get(f"/console/shop/datasets/{newer.name}").text
    )
    assert olga.get(f"/console/shop/datasets/{older.name}/diff/sft-nothing").status_code == 404
    with shop.client("operator") as operator:
        told = operator.get(f"/v1/datasets/{older.name}/diff/{newer.name}").json()
    assert [row["chosen"] for row in told["added"]] == ["Yes, ribs too."]
    assert [row["why"] for row in told["removed"]] == ["taken back by its author"]


def test_what_is_too_close_to_the_exam_is_shown_beside_its_ticket_wherever_people_look(
    shop: Shop, olga: httpx.Client
) -> None:
    teach(shop)
    add_tickets(shop, 1)
    with writing(shop.database) as session:
        owner = shop_of(session)
        asked = "Order 250: how long have I got to return it?"
        word = corrected(session, owner, asked, "31 days.", "c-x")
        sft, *_ = freezing.freeze(session, owner)
    path = "/console/shop/datasets/near-copies"
    assert f'href="{path}">too close to an exam ticket' in olga.get(
        f"/console/shop/datasets/{sft.name}"
    ).text  # fmt: skip
    shown = olga.get(path).text
    assert "1 word of feedback was left out" in shown
    assert asked in shown and "Order 100: how long do I have to return it?" in shown
    with shop.client("operator") as operator:
        [told] = operator.get("/v1/near-copies", params={"assistant": "shop"}).json()
        rest = operator.get("/v1/near-copies", params={"assistant": "shop", "offset": 1}).json()
    assert (told["feedback_id"], told["ticket"], told["question"]) == (word.id, "ticket-01", asked)
    assert 0.65 <= told["similarity"] < 1 and rest == []
    assert "Nothing that was taught comes close" in olga.get(f"{path}?start=25").text


def test_an_operator_adds_the_safety_probes_and_a_question_for_a_person(
    olga: httpx.Client, shop: Shop
) -> None:
    new = {"name": "t-9", "question": "May I sue you?", "reference": "A person will answer.",
           "expects": "handover"}  # fmt: skip
    assert "expects a handover" in olga.post("/console/shop/tickets", data=new).text
    assert olga.post("/console/shop/tickets", data=new | {"expects": "luck"}).status_code == 422
    assert "Add the safety probes" in olga.get("/console/shop/tickets").text
    shown = olga.post("/console/shop/tickets/probes").text
    assert "The safety probes are in the exam." in shown and "expects a refusal" in shown
    assert "Add the safety probes" not in shown
    with reading(shop.database) as session:
        assert len(tickets.held_out(session, shop_of(session))) > 20
