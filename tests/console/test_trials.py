"""The pages of trials, and what a trial or the engines leave on others."""

import httpx

from feedback import assistants, conversations, proposals, trials
from feedback.database import reading, writing
from feedback.swap_tables import TrialKind
from feedback.tables import Adapter, Assistant, Message, MessageState, Speaker
from tests.console.trained import shop_of
from tests.service.conftest import Shop
from tests.stand_in_engine import StandInEngine

EVIDENCE = {
    "signals": {
        "thumbs_down": {
            "conversations": 210, "candidate": 60, "candidate_bad": 21, "control_bad": 12,
            "wealth_worse": 25.3, "peak_worse": 25.3, "peak_no_worse": 1.0, "peak_better": 1.0,
            "mean": 0.27, "low": 0.09, "high": 0.45,
        }
    },
    "loudest": "thumbs_down",
    "sentence": "The candidate is worse by more than the margin of 2 points.",
}  # fmt: skip


def begun(olga: httpx.Client, adapter: Adapter, **more: str) -> str:
    """Starts a trial through the candidate's page; the path of its own page."""
    form = {"kind": "canary", "percent": "10", "reason": "to see it", **more}
    answer = olga.post(f"/console/shop/candidates/{adapter.name}/trial", data=form)
    assert answer.status_code == 200, answer.text
    assert "The trial has begun" in answer.text
    return answer.url.path


def test_a_trial_is_begun_watched_and_stopped_through_pages(olga: httpx.Client, shop: Shop) -> None:
    adapter = shop.publish("a")
    page = olga.get(f"/console/shop/candidates/{adapter.name}").text
    assert "Try it on customers" in page
    path = begun(olga, adapter, grow_to="25 50")
    with writing(shop.database) as session:
        trial = trials.get(session, path.rpartition("/")[2])
        assert trials.policy_of(trial).grow_to == [0.25, 0.5]
        trials.judged(session, trial, "worse", EVIDENCE, 0.1)
    shown = olga.get(path).text
    assert "21 of 60" in shown and "12 of 150" in shown and "25.3" in shown
    assert "worse by more than the margin" in shown
    assert "Thumbs down +27.0, from +9.0 to +45.0" in shown
    assert f'href="{path}"' in olga.get("/console/shop/trials").text
    again = olga.get(f"/console/shop/candidates/{adapter.name}").text
    assert "This trial is running" in again and "Begin the trial" not in again
    stopped = olga.post(f"{path}/stop", data={"reason": "enough"}).text
    assert "The trial has ended" in stopped and "enough" in stopped


def test_a_trial_without_a_reason_or_with_nonsense_is_refused(
    olga: httpx.Client, shop: Shop
) -> None:
    adapter = shop.publish("a")
    path = f"/console/shop/candidates/{adapter.name}/trial"
    assert olga.post(path, data={"percent": "10"}).status_code == 422
    assert olga.post(path, data={"percent": "many", "reason": "x"}).status_code == 422
    odd = {"kind": "parrot", "percent": "10", "reason": "x"}
    assert "expected one of canary, shadow" in olga.post(path, data=odd).text


def asked(shop: Shop, owner: Assistant, adapter: Adapter) -> Message:
    """A customer's question with an answer of the candidate, and what it would have said silently."""
    with writing(shop.database) as session:
        talk = conversations.begin(session, owner, adapter, "wren")
        question = conversations.write(session, talk, "Do you mend zips?")
        told = conversations.say(
            session, talk, Speaker.ASSISTANT, "No idea.", reply_to_id=question.id,
            adapter_id=adapter.id,
        )  # fmt: skip
        conversations.say(
            session, talk, Speaker.ASSISTANT, "Yes, <b>gladly</b>.", reply_to_id=question.id,
            adapter_id=adapter.id, state=MessageState.SHADOW,
        )  # fmt: skip
        return told


def test_a_shadows_answers_stand_beside_what_customers_were_told(
    olga: httpx.Client, shop: Shop
) -> None:
    adapter = shop.publish("a")
    with writing(shop.database) as session:
        owner = shop_of(session)
        trial = trials.start(session, owner, adapter, TrialKind.SHADOW, 0.5, "olga", "look first")
    asked(shop, owner, adapter)
    shown = olga.get(f"/console/shop/trials/{trial.id}").text
    assert "Do you mend zips?" in shown and "No idea." in shown
    assert "&lt;b&gt;gladly&lt;/b&gt;" in shown and "<b>gladly" not in shown


def test_a_proposed_ticket_is_answered_or_dismissed_on_the_tickets_page(
    olga: httpx.Client, shop: Shop
) -> None:
    adapter = shop.publish("a")
    with reading(shop.database) as session:
        owner = shop_of(session)
    answers = [asked(shop, owner, adapter) for _ in range(2)]
    with writing(shop.database) as session:
        for answer in answers:
            assert proposals.propose(session, answer, "In a trial: thumbs down.")
            assert not proposals.propose(session, answer, "again")
        first, second = (each.proposal.id for each in proposals.waiting(session, owner))
    shown = olga.get("/console/shop/tickets").text
    assert "In a trial: thumbs down." in shown and "It said: No idea." in shown
    path = f"/console/shop/tickets/proposed/{first}"
    assert olga.post(path, data={"reference": " "}).status_code == 422
    assert "is a ticket now" in olga.post(path, data={"reference": "Yes, we do."}).text
    path = f"/console/shop/tickets/proposed/{second}"
    assert "will be no ticket" in olga.post(path, data={"dismissed": "true"}).text
    assert "Yes, we do." in olga.get("/console/shop/tickets").text
    with reading(shop.database) as session:
        assert proposals.waiting(session, owner) == []


def test_what_the_engines_refuse_is_told_and_stays_in_the_history(
    olga: httpx.Client, shop: Shop, engine: StandInEngine
) -> None:
    engine.ignore_adapters = True
    adapter = shop.publish("a")
    path = f"/console/shop/candidates/{adapter.name}/promote"
    refused = olga.post(path, data={"reason": "better"})
    assert refused.status_code == 409
    assert "It did not go live, and nothing changed" in refused.text
    shown = olga.get("/console/shop/history").text
    assert "Asked for, and not live" in shown and "differ from the trainer" in shown
    assert "Nothing was promoted yet" in shown


def test_the_swap_policy_is_set_on_the_settings_page(olga: httpx.Client, shop: Shop) -> None:
    path = "/console/shop/settings/swap"
    assert "Saved" in olga.post(path, data={"move_after_minutes": "30"}).text
    with reading(shop.database) as session:
        policy = assistants.swap_policy_of(shop_of(session))
    assert (policy.move_after_minutes, policy.leave_withdrawn) == (30, False)
    assert olga.post(path, data={"move_after_minutes": "-1"}).status_code == 422
