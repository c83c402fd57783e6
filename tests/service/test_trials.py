"""A candidate on real customers: who meets it, what follows from how it fares, and what it leaves."""

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlmodel import Session, select

from feedback import adapters, assistants, proposals, standing, trials
from feedback.database import reading, writing
from feedback.swap_tables import Trial, TrialKind, TrialState
from feedback.tables import Adapter, Conversation, Message, MessageState
from feedback.trial_outcomes import Outcome
from service.settings import ServiceSettings
from service.trials import Trials
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, eventually, said
from tests.service.test_hot_swap import promote, voice
from tests.stand_in_engine import StandInEngine, weights_in


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    return settings.model_copy(update={"trial_poll_seconds": 0.05})


def words_of(adapter: Adapter) -> str:
    return f"[{weights_in(adapters.folder_of(adapter))}]"


def start(operator: httpx.Client, adapter: Adapter, **more: Any) -> dict[str, Any]:
    body = {"adapter": adapter.name, "reason": "to see it", "share": 0.5, **more}
    response = operator.post("/v1/trials", json=body)
    assert response.status_code == 201, response.text
    trial: dict[str, Any] = response.json()
    return trial


def read(operator: httpx.Client, trial: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operator.get(f"/v1/trials/{trial['id']}").json()
    return found


def visit(customer: httpx.Client, number: int, dislikes: str | None = None) -> dict[str, Any]:
    """A customer asks once, and rates the answer badly when it comes from `dislikes`."""
    begun = begin(customer, customer=f"customer {number}")
    answer = ask(customer, begun["id"], "Hi").json()["answer"]
    if dislikes and begun["adapter"] == dislikes:
        path = f"/v1/messages/{answer['id']}/ratings"
        rated = customer.post(path, json={"value": -1})
        assert rated.status_code == 201, rated.text
    return begun


def until_held(shop: Shop, customer: httpx.Client, adapter: Adapter) -> None:
    eventually(lambda: _begun_with(shop, begin(customer)["id"]).trial_id is not None)


def _begun_with(shop: Shop, conversation_id: str) -> Conversation:
    with reading(shop.database) as session:
        return session.get_one(Conversation, conversation_id)


def test_a_canary_takes_its_share_of_new_conversations_and_keeps_its_customers(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate = shop.publish("a")
    start(operator, candidate, share=0.3)
    until_held(shop, customer, candidate)
    voices = {
        number: begin(customer, customer=f"c{number}")["adapter"] or "base" for number in range(100)
    }
    met = [number for number, name in voices.items() if name == candidate.name]
    assert 12 <= len(met) <= 50
    for number in range(0, 100, 7):
        again = begin(customer, customer=f"c{number}")
        assert (again["adapter"] or "base") == voices[number]
    if met:
        assert said(customer, begin(customer, customer=f"c{met[0]}")["id"], "Hi").startswith(
            words_of(candidate)
        )


def test_a_candidate_that_customers_dislike_is_rolled_back_by_itself_and_leaves_its_questions(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate = shop.publish("a")
    trial = start(operator, candidate, policy={"window_seconds": 1.0})
    until_held(shop, customer, candidate)
    kept: list[str] = []
    for number in range(120):
        begun = visit(customer, number, dislikes=candidate.name)
        if begun["adapter"] == candidate.name:
            kept.append(begun["id"])
        if number > 40 and read(operator, trial)["state"] != "running":
            break
    ended = eventually(lambda: _ended(operator, trial))
    assert ended["state"] == "rolled_back" and ended["ended_by"] == "policy: trial"
    assert "thumbs down" in ended["outcome"] and ended["verdict"] == "worse"
    eventually(lambda: {voice(customer) for _ in range(8)} == {"base"})
    eventually(lambda: said(customer, kept[-1], "And now?").startswith("[base]"))
    waiting = operator.get("/v1/ticket-proposals").json()
    assert waiting and all("thumbs down" in each["why"] for each in waiting)
    assert {each["answer"].split()[0] for each in waiting} == {words_of(candidate)}
    path = f"/v1/ticket-proposals/{waiting[0]['id']}/accept"
    accepted = operator.post(path, json={"reference": "Hello! How can I help?"})
    assert accepted.status_code == 201
    assert operator.post(path, json={"reference": "Again"}).status_code == 409
    assert len(operator.get("/v1/ticket-proposals").json()) == len(waiting) - 1
    assert operator.get("/v1/tickets").json()[0]["reference"] == "Hello! How can I help?"


def _ended(operator: httpx.Client, trial: dict[str, Any]) -> dict[str, Any] | None:
    found = read(operator, trial)
    return found if found["state"] != "running" else None


def test_a_candidate_that_does_no_harm_grows_and_is_promoted_by_the_policy(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate = shop.publish("a")
    policy = {
        "window_seconds": 0.2, "grow_to": [0.5], "promote": True, "alpha_pass": 0.45,
        "margins": {"error": 0.9},
    }  # fmt: skip
    trial = start(operator, candidate, share=0.3, policy=policy)
    until_held(shop, customer, candidate)
    for number in range(400):
        visit(customer, number)
        if number % 10 == 0 and read(operator, trial)["state"] != "running":
            break
    ended = eventually(lambda: _ended(operator, trial))
    assert ended["state"] == "promoted" and ended["share"] == 0.5
    eventually(lambda: voice(customer) == candidate.name)
    [newest] = eventually(
        lambda: operator.get("/v1/promotions").json()
    )  # once the engines have shown it
    assert newest["approved_by"] == "policy: trial"


def test_a_shadow_answers_silently_and_both_answers_are_kept(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate = shop.publish("a")
    start(operator, candidate, kind="shadow", share=0.99)

    def shadows() -> list[Message]:
        with reading(shop.database) as session:
            rows = session.exec(select(Message).where(Message.state == MessageState.SHADOW))
            return list(rows)

    conversation = begin(customer)["id"]
    eventually(lambda: said(customer, conversation, "Hi") and shadows())
    assert {row.text.split()[0] for row in shadows()} == {words_of(candidate)}
    history = customer.get(f"/v1/conversations/{conversation}").json()["messages"]
    told = {message["text"] for message in history if message["speaker"] == "assistant"}
    assert all(text.startswith("[base]") for text in told)
    with reading(shop.database) as session:
        [trial] = trials.every(session, assistants.get(session, "shop"))
        live, silent = trials.pairs(session, trial)[0]
    assert live.text.startswith("[base]") and silent.text.startswith(words_of(candidate))


def test_only_one_trial_runs_and_a_person_may_stop_it(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate, other = shop.publish("a"), shop.publish("b")
    trial = start(operator, candidate)
    body = {"adapter": other.name, "reason": "me, too"}
    assert operator.post("/v1/trials", json=body).status_code == 409
    until_held(shop, customer, candidate)
    path = f"/v1/trials/{trial['id']}/stop"
    assert operator.post(path, json={"reason": "enough"}).json()["state"] == "stopped"
    assert operator.post(path, json={"reason": "enough"}).status_code == 409
    eventually(lambda: {voice(customer) for _ in range(6)} == {"base"})
    assert start(operator, other)["state"] == "running"


@pytest.mark.parametrize(
    ("wrong", "said_so"),
    [
        ({"share": 0.5, "policy": {"grow_to": [0.2]}}, "each larger than the one before"),
        ({"policy": {"margins": {"smell": 0.1}}}, "expected at least one of thumbs_down"),
        ({"policy": {"alpha": 2}}, "alpha"),
        ({"policy": {"colour": "red"}}, "colour"),
        ({"share": 0}, "share"),
        ({"kind": "parrot"}, "kind"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused_with_a_sentence(
    shop: Shop, operator: httpx.Client, wrong: dict[str, Any], said_so: str
) -> None:
    body = {"adapter": shop.publish("a").name, "reason": "x", **wrong}
    refused = operator.post("/v1/trials", json=body)
    assert refused.status_code == 422 and said_so in refused.text


def test_a_trial_ends_when_its_candidate_or_something_else_goes_live(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    candidate, other = shop.publish("a"), shop.publish("b")
    trial = start(operator, candidate)
    assert promote(operator, other.name).status_code == 201
    assert read(operator, trial)["state"] == "stopped"
    assert "Something else went live" in read(operator, trial)["outcome"]
    trial = start(operator, candidate)
    assert promote(operator, candidate.name).status_code == 201
    assert read(operator, trial)["state"] == "promoted"


def test_an_adapter_that_no_engine_holds_yet_is_met_by_nobody(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, engine: StandInEngine
) -> None:
    engine.ignore_adapters = True
    start(operator, shop.publish("a"))
    time.sleep(0.3)
    for _ in range(10):
        begun = begin(customer)
        assert begun["adapter"] is None
        assert _begun_with(shop, begun["id"]).trial_id is None


def _trial(session: Session, shop: Shop, adapter: Adapter) -> Trial:
    owner = assistants.get(session, "shop")
    return trials.start(session, owner, adapter, TrialKind.CANARY, 0.5, "olga", "see it")


def test_a_rollback_of_a_canary_withdraws_its_adapter_until_somebody_promotes_it(
    shop: Shop,
) -> None:
    candidate = shop.publish("a")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        trial = _trial(session, shop, candidate)
        assert standing.of(session, owner).withdrawn == frozenset()
        trials.end(session, trial.id, TrialState.ROLLED_BACK, "policy", "worse")
        assert standing.of(session, owner).withdrawn == {candidate.id}
        adapters.promote(session, owner, candidate, "olga", "I know better")
        assert standing.of(session, owner).withdrawn == frozenset()
        assert proposals.waiting(session, owner) == []


def test_a_conversation_stored_after_later_ones_is_counted_once_and_no_other_twice(
    shop: Shop, settings: ServiceSettings
) -> None:
    candidate = shop.publish("a")
    with writing(shop.database) as session:
        trial = _trial(session, shop, candidate)
    judging = Trials(shop.database, settings)
    begun = [
        Outcome(f"c{n:02}", f"u{n}", n % 2 == 0, 0.5, dict.fromkeys(trials.MARGINS, n % 3 == 0))
        for n in range(40)
    ]
    judging._compare(trial, [each for each in begun if each.conversation_id != "c07"])
    late = judging._compare(trial, begun)
    erased = judging._compare(trial, begun[:3] + begun[4:] + [replace(begun[3], unit="new")])
    fresh = Trials(shop.database, settings)
    assert late == fresh._compare(trial, begun)
    counted = erased[1]["signals"]["error"]
    assert (counted["conversations"], counted["candidate"]) == (40, 20)
