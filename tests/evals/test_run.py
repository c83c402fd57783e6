"""The exam: what is asked and kept, and what happens when the engine or we are cut off."""

import asyncio
import math

import pytest

from evals import asking, results, run, scores
from evals.scored import Scored
from feedback import exams, policies, tickets
from feedback.database import reading, writing
from feedback.errors import Conflict, Unavailable
from feedback.measures import METRICS
from feedback.settings import feedback_settings
from feedback.tables import EvalRun
from service import answering
from service.probe import ProbeFailed
from service.vllm import Urgency
from tests.evals.conftest import ON_SQLITE, Room, examine, reference_answer, sit
from tests.stand_in_engine import BASE, logprob, tokens_of

pytestmark = ON_SQLITE


def answers(room: Room, of: EvalRun) -> list[exams.Answered]:
    with reading(room.database) as session:
        return exams.answers(session, of)


def value(one: exams.Answered, metric: str) -> float | None:
    [score] = [score for score in one.scores if score.metric == metric]
    return score.value


def test_every_ticket_is_answered_greedily_and_scored(room: Room) -> None:
    room.add_tickets(6)
    room.engine.says[BASE] = reference_answer
    told: list[tuple[int, int, float | None]] = []
    finished = sit(room, None, progress=lambda *news: told.append(news))
    assert finished.finished_at is not None and finished.tickets == 6
    kept = answers(room, finished)
    assert [one.ticket.external_id for one in kept] == ["t01", "t02", "t03", "t04", "t05", "t06"]
    first = kept[0]
    assert (first.answer.text, first.answer.error) == ("You have 11 days.", None)
    assert first.answer.completion_tokens == 4
    assert value(first, "chrf") == pytest.approx(100)
    assert value(first, "must_say_broken") == value(first, "must_not_say_broken") == 0
    expected = [logprob(BASE, token) for token in tokens_of(first.ticket.reference)]
    assert value(first, "mean_logprob") == pytest.approx(sum(expected) / len(expected))
    assert {score.metric for score in first.scores} >= set(METRICS)
    body = room.engine.asked[0]
    assert body["temperature"] == 0 and "seed" not in body and body["max_tokens"] == 64
    assert body["messages"][0] == {"role": "system", "content": "You are the shop."}
    assert told[0] == (0, 6, None)
    assert told[-1] == (6, 6, 0.0)


def test_results_are_what_the_gate_needs(room: Room) -> None:
    room.add_tickets(2)
    room.engine.says[BASE] = lambda question: "Keep it for ever."
    finished = sit(room, None)
    with reading(room.database) as session:
        first, second = results.results(session, finished)
    assert (first.ticket, first.topic, first.error) == ("t01", "returns", None)
    assert first.forbidden == {"for ever"}
    assert first.scores["must_not_say_broken"] == 1 and first.scores["must_say_broken"] == 1
    assert first.cluster != second.cluster


def test_which_price_and_whose_address_an_answer_made_up_is_told_as_keys(room: Room) -> None:
    room.add_tickets(1)
    said = "That is 9 euros, or 3 euros. Write to ada@example.com."
    room.engine.says[BASE] = lambda question: said
    with writing(room.database) as session:
        policies.create(session, room.assistant, "Fees", "Every return costs 3 euros.", "test")
    finished = sit(room, None)
    with reading(room.database) as session:
        [result] = results.results(session, finished)
        both = results.of_both(session, finished, finished)
    assert result.harmful == {
        "invented_prices": {"price:EUR:9"}, "leaked": {"e:ada@example.com"}
    }  # fmt: skip
    assert both == ([result], [result])
    with writing(room.database) as session:
        [one] = exams.answers(session, finished)
        one.answer.text = ""
    with reading(room.database) as session:
        [erased] = results.results(session, finished)
    assert not any(erased.harmful.values()) and erased.scores["leaked"] == 1


def test_tickets_of_one_customer_are_one_cluster(room: Room) -> None:
    with writing(room.database) as session:
        for number in range(2):
            context = [{"role": "user", "content": f"Question {number}: how long?"}]
            tickets.create(
                session, room.assistant, f"t{number}", context, "10 days", customer="ada"
            )
    with reading(room.database) as session:
        first, second = results.results(session, sit(room, None))
    assert first.cluster == second.cluster


def test_a_worse_candidate_is_refused_and_the_refusal_kept(room: Room) -> None:
    room.add_tickets(24)
    live, candidate = room.publish("live"), room.publish("candidate")
    room.engine.says[live.name] = reference_answer
    decision = examine(room, candidate, live)
    assert not decision.promote
    assert decision.gain is not None and decision.gain < 0
    assert len(decision.reasons) == 2, decision.reasons


def test_too_few_tickets_are_a_reason_not_an_error(room: Room) -> None:
    decision = examine(room, room.publish("any"), None)
    assert decision.reasons == ["There are 0 held-out tickets; the gate demands 20."]


def test_nothing_is_examined_against_itself(room: Room) -> None:
    with pytest.raises(Conflict, match="'base' cannot be examined against itself"):
        examine(room, None, None)


def test_an_adapter_that_is_not_what_was_trained_sits_no_exam(room: Room) -> None:
    room.add_tickets(1)
    candidate = room.publish("good")
    room.engine.logprobs = _as_base  # type: ignore[method-assign]
    with pytest.raises(ProbeFailed):
        examine(room, candidate, None)
    with reading(room.database) as session:
        assert exams.runs(session, room.assistant) == []


async def _as_base(
    model: str, prompt: list[int], answer: list[int], urgency: Urgency = Urgency.NOW
) -> list[float]:
    return [logprob(BASE, token) for token in answer]


def test_without_a_cycle_every_exam_is_a_new_one(room: Room) -> None:
    room.add_tickets(1)
    assert sit(room, None).id != sit(room, None).id


def test_an_engine_that_restarts_costs_nothing(room: Room) -> None:
    room.add_tickets(8)
    adapter = room.publish("good")

    def trouble(number: int) -> None:
        if number == 3:
            raise Unavailable("The engine is down for a moment.", 1)
        if number == 9:
            room.engine.restart()

    room.engine.on_chat = trouble
    finished = sit(room, adapter)
    assert [one.answer.error for one in answers(room, finished)] == [None] * 8
    assert adapter.name in room.engine.weights, "it was loaded again"


def test_an_engine_that_stays_down_is_a_refusal_with_its_reason(room: Room) -> None:
    room.add_tickets(24)
    candidate = room.publish("good")
    room.engine.says[candidate.name] = reference_answer

    def trouble(number: int) -> None:
        room.engine.down = number > 10

    room.engine.on_chat = trouble
    decision = examine(room, candidate, None)
    assert not decision.promote and decision.gain is None
    assert any("got no answer from the candidate" in reason for reason in decision.reasons)
    assert decision.reasons[0].endswith("The engine is down, says the fake.")
    waited = room.settings.concurrency * room.settings.attempts
    assert len(room.engine.asked) <= 48 + waited, "a dead engine is waited for once"
    with reading(room.database) as session:
        failed = [
            one
            for each in exams.runs(session, room.assistant)
            for one in exams.answers(session, each)
            if one.answer.error
        ]
    assert failed and all(score.value is None for one in failed for score in one.scores)


def test_an_answer_that_breaks_off_is_no_answer(room: Room) -> None:
    room.add_tickets(1)
    room.engine.finish_reason = "abort"
    [one] = answers(room, sit(room, None))
    assert "it stopped midway: abort" in str(one.answer.error)
    assert len(room.engine.asked) == room.settings.attempts


def test_what_nobody_foresaw_is_kept_with_its_ticket(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.add_tickets(3)

    def trouble(number: int) -> None:
        if number == 2:
            raise ZeroDivisionError("one of a kind")

    room.engine.on_chat = trouble
    errors = [one.answer.error for one in answers(room, sit(room, None))]
    assert errors == [None, "ZeroDivisionError: one of a kind", None]
    assert "ticket 't02' got no answer" in caplog.text


def test_a_scorer_that_fails_leaves_its_ticket_unscored_and_the_exam_goes_on(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.add_tickets(3)
    every = scores.every

    def trouble(subject: scores.Subject) -> list[Scored]:
        if subject.ticket.external_id == "t02":
            raise KeyError("ada@example.com")
        return every(subject)

    monkeypatch.setattr(scores, "every", trouble)
    kept = answers(room, sit(room, None))
    assert [value(one, "chrf") is None for one in kept] == [False, True, False]
    assert {score.metric for score in kept[1].scores} == set(METRICS)
    assert {score.reason for score in kept[1].scores} == {"It could not be scored: KeyError."}
    assert "ticket 't02' was not scored" in caplog.text


def test_a_reference_that_cannot_be_scored_keeps_its_answer(room: Room) -> None:
    room.add_tickets(1)

    async def never(
        model: str, prompt: list[int], answer: list[int], urgency: Urgency = Urgency.NOW
    ) -> list[float]:
        return [-math.inf for _ in answer]

    room.engine.logprobs = never  # type: ignore[method-assign]
    [one] = answers(room, sit(room, None))
    assert one.answer.error is None and value(one, "mean_logprob") is None
    assert value(one, "chrf") is not None


def test_concurrency_is_bounded(room: Room) -> None:
    room.add_tickets(9)
    room.settings = room.settings.model_copy(update={"concurrency": 2})
    at_once: list[int] = []
    running = 0

    async def counted(*arguments: object) -> object:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.001)
        running -= 1
        return await answering.answer(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "answer", counted)
        sit(room, None)
    assert max(at_once) == 2


def test_the_exam_sees_long_conversations_as_serving_does(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = feedback_settings().model_copy(update={"transcript_max_chars": 30})
    monkeypatch.setattr(run, "feedback_settings", lambda: limited)
    context = [
        {"role": "user", "content": "A long story that nobody will read."},
        {"role": "assistant", "content": "I see."},
        {"role": "user", "content": "Question 1: how long?"},
    ]
    with writing(room.database) as session:
        tickets.create(session, room.assistant, "t01", context, "11 days")
    sit(room, None)
    assert [turn["content"] for turn in room.engine.asked[0]["messages"]] == [
        "You are the shop.",
        "Question 1: how long?",
    ]
