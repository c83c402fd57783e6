"""How far others in the batch move an answer; and that an exam keeps back while others are answered."""

import asyncio

import pytest

from evals import courtesy, report, run, steadiness
from evals.asking import Asking
from evals.courtesy import Courtesy
from evals.steadiness import Said
from feedback import exams
from feedback.database import reading
from feedback.errors import Unavailable
from service.vllm import Urgency
from tests.evals.conftest import ON_SQLITE, Room, examine, reference_answer, sit

pytestmark = ON_SQLITE


def test_an_exam_says_how_far_batching_moved_its_answers(room: Room) -> None:
    room.add_tickets(24)
    room.settings = room.settings.model_copy(update={"steadiness_tickets": 3})
    candidate = room.publish("good")
    room.engine.says[candidate.name] = reference_answer
    decision = examine(room, candidate, None)
    assert decision.detail["batching"] == {
        "tickets": 3,
        "differ": 0,
        "first_differences": [],
        "mean_logprob_difference": 0.0,
        "at_once": 4,
        "sentence": "Asked alone instead of among others, 0 of 3 answers change; references stay "
        "exactly as likely.",
    }
    asked = [body["model"] for body in room.engine.asked]
    assert asked.count(candidate.name) == 24 + 3 and asked[-3:] == [candidate.name] * 3
    with reading(room.database) as session:
        told = report.as_dict(report.load(session, decision))
    assert told["batching"] == decision.detail["batching"]
    room.engine.asked.clear()
    assert "batching" not in examine(room, candidate, None).detail, "nothing was asked"
    assert room.engine.asked == []


def test_an_engine_that_goes_away_at_the_end_costs_no_verdict(room: Room) -> None:
    room.add_tickets(20)
    room.settings = room.settings.model_copy(update={"steadiness_tickets": 3})
    candidate = room.publish("good")
    room.engine.says[candidate.name] = reference_answer

    def trouble(number: int) -> None:
        if number > 40:
            raise Unavailable("The engine is down, says the test.", 1)

    room.engine.on_chat = trouble
    decision = examine(room, candidate, None)
    assert decision.promote and "batching" not in decision.detail


def test_answers_that_part_are_counted_with_the_token_at_which_they_do(room: Room) -> None:
    tickets = room.add_tickets(3)
    room.engine.says["base"] = lambda question: "You have forty days."
    sampling = run.greedy(room.assistant)
    questions = [run.question(each, None, "You are the shop.", sampling) for each in tickets]
    texts = ("You have forty days.", "You have fifty days.", "You have forty days. Or more.")
    likely = (-1.0, -2.0, None)

    async def story() -> tuple[dict[str, object], dict[str, Said]]:
        asking = Asking(room.swaps, room.settings)
        honest = await steadiness.among_others(asking, questions, 1)
        among = {
            ticket.id: Said(text, value)
            for ticket, text, value in zip(tickets, texts, likely, strict=True)
        }
        return await steadiness.compare(asking, questions, among), honest

    found, honest = asyncio.run(story())
    known = [honest[each.id].mean_logprob or 0.0 for each in tickets[:2]]
    assert (found["tickets"], found["differ"], found["first_differences"]) == (3, 2, [2, 4])
    assert found["mean_logprob_difference"] == pytest.approx(
        (abs(known[0] + 1) + abs(known[1] + 2)) / 2
    )
    assert "2 of 3 answers change, the earliest at token 3" in steadiness.sentence(found)


def test_the_same_exam_twice_gives_the_same_answers_in_the_same_order(room: Room) -> None:
    room.add_tickets(8)
    room.settings = room.settings.model_copy(update={"cache": False})
    told = []
    for _ in range(2):
        room.engine.asked.clear()
        with reading(room.database) as session:
            kept = exams.answers(session, sit(room, None))
        told.append(
            (
                [
                    (one.ticket.external_id, one.answer.text, one.answer.mean_logprob)
                    for one in kept
                ],
                [body["messages"][-1]["content"] for body in room.engine.asked],
            )
        )
    assert told[0] == told[1]


def test_all_of_an_exam_comes_after_customers(room: Room) -> None:
    room.add_tickets(2)
    urgencies = []
    logprobs = room.engine.logprobs

    async def noted(
        model: str, prompt: list[int], answer: list[int], urgency: Urgency = Urgency.NOW
    ) -> list[float]:
        urgencies.append(urgency)
        return await logprobs(model, prompt, answer, urgency)

    room.engine.logprobs = noted  # type: ignore[method-assign]
    sit(room, None)
    assert urgencies == [Urgency.LATER] * 2
    assert [body["priority"] for body in room.engine.asked] == [Urgency.LATER] * 2


def test_fewer_tickets_are_asked_while_the_engine_answers_others(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "LOOK_SECONDS", 0.01)
    settings = room.settings.model_copy(
        update={"concurrency": 8, "concurrency_beside_customers": 2}
    )
    customers = running = 0
    at_once: list[int] = []

    async def computed() -> int:
        return customers + running

    room.engine.running = computed  # type: ignore[method-assign]

    async def story() -> list[int]:
        turns = Courtesy(room.swaps.fleet, settings)

        async def work() -> None:
            nonlocal running
            async with turns.turn():
                running += 1
                at_once.append(running)
                await asyncio.sleep(0.03)
                running -= 1

        async def some() -> int:
            at_once.clear()
            await asyncio.gather(*(work() for _ in range(24)))
            return max(at_once[-12:])

        nonlocal customers
        peaks = [await some()]
        customers = 3
        peaks.append(await some())
        customers = 0
        peaks.append(await some())
        return peaks

    assert asyncio.run(story()) == [8, 2, 8]
