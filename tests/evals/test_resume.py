"""A whole exam, and one that was cut off, on both databases."""

import pytest
from sqlmodel import select

from evals import results
from feedback import assistants, erasure, exams, tickets, whose_words
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.errors import Conflict
from feedback.measures import METRICS
from feedback.tables import Decision, ExamAnswer, Score
from tests.evals.conftest import Room, examine, reference_answer
from tests.stand_in_engine import BASE


def test_a_better_candidate_is_let_through(room: Room) -> None:
    room.add_tickets(24)
    candidate = room.publish("good")
    room.engine.says[candidate.name] = reference_answer
    decision = examine(room, candidate, None)
    assert decision.promote and decision.tickets == 24
    assert decision.gain_low is not None and decision.gain_low > 0
    asked = [body["model"] for body in room.engine.asked]
    assert asked.count(candidate.name) == asked.count(BASE) == 24
    with reading(room.database) as session:
        [kept] = session.exec(select(Decision)).all()
        ours = exams.get_run(session, kept.candidate_run_id)
        theirs = exams.get_run(session, kept.live_run_id)
    assert kept.id == decision.id
    assert (ours.adapter_id, theirs.adapter_id) == (candidate.id, None)
    assert ours.prompt_id == theirs.prompt_id


class Cut(Exception):
    """We are killed."""


def test_an_exam_that_was_cut_off_goes_on_where_it_stopped(room: Room) -> None:
    room.add_tickets(24)
    candidate, cycle_id = room.publish("good"), room.cycle_id()
    room.engine.says[candidate.name] = reference_answer

    def cut(done: int, total: int, eta_seconds: float | None) -> None:
        if done == 20:
            raise Cut

    with pytest.raises(Cut):
        examine(room, candidate, None, cycle_id=cycle_id, progress=cut)
    with reading(room.database) as session:
        runs = exams.runs(session, room.assistant)
        assert [one.finished_at for one in runs] == [None, None]
        with pytest.raises(Conflict, match="is not finished"):
            results.results(session, runs[0])
        kept = sum(len(exams.answered(session, one)) for one in runs)
    assert 20 <= kept <= 20 + room.settings.concurrency

    # Meanwhile the world went on: a new ticket, a retired one, a new prompt. The exam is the old one.
    room.add_tickets(1, first=90)
    with writing(room.database) as session:
        assistants.set_prompt(session, room.assistant, "You are new.", "test")
        tickets.retire(session, tickets.get(session, room.assistant, "t24"))
    room.engine.asked.clear()
    told: list[tuple[int, int, float | None]] = []
    decision = examine(
        room, candidate, None, cycle_id=cycle_id, progress=lambda *news: told.append(news)
    )
    assert decision.promote and decision.tickets == 24
    assert told[0] == (kept, 48, None) and told[-1][:2] == (48, 48)
    assert len(room.engine.asked) == 48 - kept
    assert {body["messages"][0]["content"] for body in room.engine.asked} == {"You are the shop."}
    with reading(room.database) as session:
        assert len(exams.runs(session, room.assistant)) == 2
        rows = [(score.exam_answer_id, score.metric) for score in session.exec(select(Score))]
    assert len(rows) == len(set(rows))
    assert sum(metric in METRICS for _, metric in rows) == 48 * len(METRICS)

    room.engine.asked.clear()
    assert examine(room, candidate, None, cycle_id=cycle_id).id == decision.id
    assert room.engine.asked == [], "a finished exam is not sat again"


def test_an_exam_begins_anew_for_both_when_live_has_changed(room: Room) -> None:
    """Else one side would answer under the old prompt and the other under the new one."""
    room.add_tickets(24)
    candidate, before, cycle_id = room.publish("good"), room.publish("old"), room.cycle_id()
    room.engine.says[candidate.name] = reference_answer

    def cut(done: int, total: int, eta_seconds: float | None) -> None:
        if done == 20:
            raise Cut

    with pytest.raises(Cut):
        examine(room, candidate, before, cycle_id=cycle_id, progress=cut)
    with writing(room.database) as session:
        assistants.set_prompt(session, room.assistant, "You are new.", "test")
    room.add_tickets(1, first=90)
    decision = examine(room, candidate, None, cycle_id=cycle_id)
    with reading(room.database) as session:
        ours, theirs = (
            exams.get_run(session, each)
            for each in (decision.candidate_run_id, decision.live_run_id)
        )
        assert (ours.prompt_id, ours.created_at) == (theirs.prompt_id, theirs.created_at)
        assert exams.prompt_version(session, ours) == 2
    assert decision.tickets == 25


def test_words_that_are_erased_during_an_exam_are_not_kept_and_refuse_nobody(room: Room) -> None:
    room.add_tickets(24)
    candidate, cycle_id = room.publish("good"), room.cycle_id()
    room.engine.says[candidate.name] = reference_answer

    def erase(done: int, total: int, eta_seconds: float | None) -> None:
        if done == 5:
            with writing(room.database) as session:
                for name in ("customer 1", "customer 24"):
                    who = whose_words.of_customer(session, room.assistant, name)
                    erasure.erase(session, room.assistant, who, Actor("olga", "operator"), "Asked.")
            raise Cut

    with pytest.raises(Cut):
        examine(room, candidate, None, cycle_id=cycle_id, progress=erase)
    decision = examine(room, candidate, None, cycle_id=cycle_id)
    assert decision.promote and decision.tickets == 22
    with reading(room.database) as session:
        told = [answer.text for answer in session.exec(select(ExamAnswer))]
    assert not any(text.startswith("You have 34 days") for text in told)
