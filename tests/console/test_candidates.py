"""Looking at candidates, and deciding on them."""

import html
import json
import re
from functools import partial
from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from typer.testing import CliRunner

from feedback import adapter_commands, adapters, audit, cycles, decisions, judgements, rechecks
from feedback.database import reading, writing
from feedback.desk_tables import RecheckState
from feedback.exam_tables import Choice
from feedback.judgements import Why
from service.console import candidates
from service.console.session import Seat
from tests.console.trained import Trained, add_tickets, shop_of, teach, train
from tests.feedback.said import corrected, statements_of
from tests.service.conftest import Shop


@pytest.fixture
def trained(shop: Shop) -> Trained:
    teach(shop)
    add_tickets(shop)
    return train(shop)


def page_of(trained: Trained, more: str = "") -> str:
    return f"/console/shop/candidates/{trained.adapter.name}{more}"


def order_of(shown: str) -> list[str]:
    return re.findall(r'<span class="mono small quiet">(ticket-\d+)</span>', shown)


def test_the_list_shows_every_adapter_with_its_verdict(
    mara: httpx.Client, shop: Shop, trained: Trained
) -> None:
    refused = train(shop, "second", passed=False, gain=2.0)
    shown = mara.get("/console/shop/candidates").text
    assert shown.index(refused.adapter.name) < shown.index(trained.adapter.name)
    assert "waits for a decision" in shown
    assert "refused" in shown
    assert "+11.0 to +36.0" in shown


def test_the_page_tells_the_verdict_and_where_it_comes_from(
    olga: httpx.Client, trained: Trained
) -> None:
    shown = olga.get(page_of(trained)).text
    assert "passed its exam" in shown
    assert "+24.0, 95 % interval +11.0 to +36.0" in shown
    assert shown.count('<svg class="chart"') == 2
    assert "Who taught it: 2 people, 6 words" in shown
    assert "Whose conversations: 6 customers" in shown
    assert "/console/shop/datasets/sft-" in shown
    assert f"/console/shop/cycles/{trained.cycle.id}" in shown
    assert "says what it must not" in shown


def test_what_the_candidate_says_differently_is_marked(
    olga: httpx.Client, trained: Trained
) -> None:
    shown = olga.get(page_of(trained, "?order=better")).text
    assert "<del>" in shown
    assert "<ins>" in shown
    assert "free of charge" in shown


def test_worse_answers_come_first_and_the_filters_narrow(
    olga: httpx.Client, trained: Trained
) -> None:
    assert order_of(olga.get(page_of(trained)).text)[0] == "ticket-03"
    assert order_of(olga.get(page_of(trained, "?order=better")).text)[-1] == "ticket-03"
    assert order_of(olga.get(page_of(trained, "?rules=true")).text) == ["ticket-03"]
    assert len(order_of(olga.get(page_of(trained, "?topic=Returns")).text)) == 2


def test_promoting_needs_a_reason_and_is_recorded(
    olga: httpx.Client, shop: Shop, trained: Trained
) -> None:
    assert olga.post(page_of(trained, "/promote"), data={"reason": " "}).status_code == 422
    shown = olga.post(page_of(trained, "/promote"), data={"reason": "better on returns"})
    assert "It is live" in shown.text
    with reading(shop.database) as session:
        promotion = adapters.live(session, shop_of(session))
        [entry] = audit.every(session, act="adapter.promote")
        assert cycles.get(session, trained.cycle.id).state == "promoted"
    assert promotion is not None
    assert promotion.adapter_id == trained.adapter.id
    assert promotion.decision_id == trained.decision.id
    assert promotion.approved_by == "olga@example.com"
    assert entry.detail == {"reason": "better on returns", "before": "base"}
    assert olga.post(page_of(trained, "/promote"), data={"reason": "again"}).status_code == 409


def test_rejecting_ends_the_waiting_and_keeps_live(
    olga: httpx.Client, shop: Shop, trained: Trained
) -> None:
    shown = olga.post(page_of(trained, "/reject"), data={"reason": "says for ever"})
    assert "The candidate was rejected." in shown.text
    with reading(shop.database) as session:
        cycle = cycles.get(session, trained.cycle.id)
        [entry] = audit.every(session, act="adapter.reject")
        assert adapters.live(session, shop_of(session)) is None
    assert cycle.state == "refused"
    assert cycle.reason == "Rejected by olga@example.com: says for ever"
    assert entry.subject == trained.adapter.name
    assert olga.post(page_of(trained, "/reject"), data={"reason": "no"}).status_code == 409


def test_many_lost_corrections_cost_no_more_questions_than_one_and_the_newest_are_listed(
    shop: Shop, trained: Trained, mara: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "LOST", 3)
    asked = []
    for count in (1, 6):
        with writing(shop.database) as session:
            owner = shop_of(session)
            for number in range(count):
                word = corrected(session, owner, f"Lamp {count}-{number}?", "It is fine.")
                row = rechecks.request(session, word, "mara")
                rechecks.finish(session, row, RecheckState.REGRESSED, trained.adapter, "No.")
        with reading(shop.database) as session:
            here = cast(Seat, SimpleNamespace(desk=shop_of(session)))
            adapter = adapters.get(session, trained.adapter.name)
            act = partial(candidates._rechecked, session, here, adapter)
            asked.append(len(statements_of(session, act)))
    assert asked[0] == asked[1]
    page = mara.get(f"/console/shop/candidates/{trained.adapter.name}").text
    assert "Lamp 6-5?" in page and "Lamp 6-2?" not in page and "And 4 older ones." in page


def test_agents_look_but_do_not_decide(mara: httpx.Client, shop: Shop, trained: Trained) -> None:
    shown = mara.get(page_of(trained))
    assert shown.status_code == 200
    assert "Operators decide what goes live." in shown.text
    for act in ("/promote", "/reject"):
        assert mara.post(page_of(trained, act), data={"reason": "yes"}).status_code == 403
    with reading(shop.database) as session:
        assert adapters.live(session, shop_of(session)) is None


def test_a_wrong_token_decides_nothing(olga: httpx.Client, shop: Shop, trained: Trained) -> None:
    olga.headers["X-CSRF-Token"] = "0" * 64
    for act in ("/promote", "/reject"):
        assert olga.post(page_of(trained, act), data={"reason": "yes"}).status_code == 403
    with reading(shop.database) as session:
        assert adapters.live(session, shop_of(session)) is None


def test_another_assistants_adapter_is_not_there(olga: httpx.Client, shop: Shop) -> None:
    name = shop.publish("bread", "bakery").name
    path = f"/console/shop/candidates/{name}"
    assert olga.get(path).status_code == 404
    for act in ("/promote", "/reject"):
        assert olga.post(f"{path}{act}", data={"reason": "yes"}).status_code == 404


def test_an_adapter_without_an_exam_says_so(olga: httpx.Client, shop: Shop) -> None:
    name = shop.publish("imported").name
    shown = olga.get(f"/console/shop/candidates/{name}").text
    assert "It sat no exam" in shown
    assert olga.post(
        f"/console/shop/candidates/{name}/reject", data={"reason": "no"}
    ).status_code == 409  # fmt: skip


def test_a_name_with_markup_is_only_text(olga: httpx.Client) -> None:
    shown = olga.get("/console/shop/candidates/<script>x")
    assert shown.status_code == 404
    assert "<script>x" not in shown.text


def test_the_cycle_of_a_running_exam_is_not_rejected(
    olga: httpx.Client, shop: Shop, trained: Trained
) -> None:
    with writing(shop.database) as session:
        adapters.promote(session, shop_of(session), trained.adapter, "jon", "good")
    answer = olga.post(page_of(trained, "/reject"), data={"reason": "too late"})
    assert answer.status_code == 409


def test_what_moved_a_candidate_is_told_wherever_an_operator_looks(
    olga: httpx.Client, shop: Shop
) -> None:
    with writing(shop.database) as session:
        answer = "You have 33 days to return it, and the return is free."
        corrected(session, shop_of(session), "What if my boots pinch?", answer, author="mara")
    add_tickets(shop)
    trained = train(shop)
    shown = olga.get(page_of(trained, "/influences")).text
    assert re.search("exam answers? sounds? like it", shown)
    assert page_of(trained, "/influences") in olga.get(page_of(trained)).text
    with shop.client("operator") as operator:
        told = operator.get(f"/v1/adapters/{trained.adapter.name}/influences").json()
    assert told[0]["tickets"] and told[0]["authors"]
    run = CliRunner().invoke(adapter_commands.app, ["influences", trained.adapter.name, "--json"])
    assert json.loads(run.stdout)[0]["chosen"] == told[0]["chosen"]


def judge(shop: Shop, trained: Trained, choices: list[tuple[Choice | None, Why]]) -> None:
    """A judge's word on the first tickets."""
    with writing(shop.database) as session:
        decision = decisions.get(session, trained.decision.id)
        both = judgements.left(session, *decisions.runs_of(session, decision), "solomon")
        for each, (choice, why) in zip(both, choices, strict=False):
            judgements.keep(session, each, "solomon", choice, why)


FIGURES = {
    "asked": 60, "scored": 58, "ties": 20, "position_driven": 15, "unreadable": 2, "kappa": 0.31,
    "agreement": {"found": 30, "of": 38, "value": 0.789, "low": 0.637, "high": 0.889},
    "first_among_contradictions": {"found": 12, "of": 15, "value": 0.8, "low": 0.55, "high": 0.93},
    "pull": 0.16, "pull_low": 0.02, "pull_high": 0.28,
}  # fmt: skip


def test_the_page_and_the_api_tell_what_the_judge_said_and_how_far_it_agrees_with_people(
    olga: httpx.Client, shop: Shop, trained: Trained
) -> None:
    assert "What the judge" not in olga.get(page_of(trained)).text
    ours, place, nothing = (
        (Choice.CANDIDATE, Why.SAME), (Choice.TIE, Why.FIRST), (None, Why.UNREADABLE)
    )  # fmt: skip
    judge(shop, trained, [ours, ours, place, nothing])
    shown = olga.get(page_of(trained)).text
    assert "Nobody has checked this judge against people" in shown
    assert "On average 0.83" in shown and "on 1 of them only the place decided" in shown
    with writing(shop.database) as session:
        judgements.keep_check(session, shop_of(session), "solomon", "votes", 38, 30, FIGURES)
    shown = olga.get(page_of(trained)).text
    assert "solomon agrees with people on 79 % of 38 pairs" in shown
    assert "chose what was shown first in 80 %" in shown
    path = f"/v1/decisions/{trained.decision.id}/judgements"
    with shop.client("operator") as api:
        assert api.get(path).json() == [
            {"judge": "solomon", "candidate": 2, "live": 0, "ties": 1, "position_driven": 1,
             "unscored": 1, "score": 2.5 / 3}
        ]  # fmt: skip
        [told] = api.get("/v1/judge-checks").json()
        assert api.get("/v1/decisions/nobodys/judgements").status_code == 404
    assert (told["pairs"], told["agreed"], told["source"]) == (38, 30, "votes")
    assert all(sentence in html.unescape(shown) for sentence in told["sentences"])


@pytest.fixture
def losing(shop: Shop, trained: Trained) -> Trained:
    """It wins, and loses on Fees."""
    with writing(shop.database) as session:
        shop_of(session).topics = ["Returns", "Fees", "<b>Umbrellas"]
        decision = decisions.of_adapter(session, adapters.get(session, trained.adapter.name))
        assert decision is not None
        decision.losing_topics = ["Fees"]
    return trained


def test_the_topics_that_a_candidate_loses_are_ticked_and_stay_where_they_are(
    olga: httpx.Client, shop: Shop, losing: Trained
) -> None:
    shown = olga.get(page_of(losing)).text
    ticked = re.findall(r'name="except_topics" value="([^"]+)" checked', shown)
    offered = re.findall(r'name="except_topics" value="([^"]+)"', shown)
    assert ticked == ["Fees"] and offered == ["Returns", "Fees", "&lt;b&gt;Umbrellas"]
    assert "It is worse on Fees." in shown
    form = {"reason": "else better", "expected": "base"}
    done = olga.post(page_of(losing, "/promote"), data={**form, "except_topics": ["Fees"]})
    assert "but for the topics that you left where they are" in done.text
    said = "all but Fees (this stays with base)"
    assert f"live now, {said}" in done.text
    assert said in olga.get("/console/shop/history").text
    assert f"It answers {said}." in olga.get("/console/shop/overview").text
    with reading(shop.database) as session:
        [entry] = audit.every(session, act="adapter.promote")
        assert entry.detail["except_topics"] == ["Fees"]
    whole = {**form, "expected": losing.adapter.name}
    shown = olga.post(page_of(losing, "/promote"), data=whole).text
    assert "Done." in shown and "live now, all but" not in shown
    with reading(shop.database) as session:
        live = adapters.live(session, shop_of(session))
        assert live is not None and (live.sequence, live.except_topics) == (2, [])


def test_an_assistant_without_topics_is_offered_none(olga: httpx.Client, trained: Trained) -> None:
    assert "except_topics" not in olga.get(page_of(trained)).text
