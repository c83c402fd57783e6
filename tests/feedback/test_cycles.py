"""Turns of the loop: one holder at a time, taken over when the holder dies, stopped when asked."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import cycles
from feedback.database import reading, writing
from feedback.errors import Conflict, NotFound
from feedback.tables import Assistant, Cycle, CycleState, StageState, now
from tests.feedback.said import while_open


def test_of_two_that_claim_at_once_one_gets_the_cycle(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        cycles.request(session, assistant, "mara")
    got: list[Cycle | None] = []
    raised = while_open(
        database_engine,
        lambda session: got.append(cycles.claim(session, "loop-1", 60)),
        lambda session: got.append(cycles.claim(session, "loop-2", 60)),
    )
    assert raised == []
    assert [cycle.lease_owner if cycle else None for cycle in got] == ["loop-1", None]


def test_a_cycle_whose_holder_died_is_taken_over_when_its_lease_ran_out(
    assistant: Assistant, session: Session
) -> None:
    cycles.request(session, assistant, "mara")
    first = cycles.claim(session, "loop-1", 0.05)
    assert first is not None
    assert cycles.claim(session, "loop-2", 60) is None
    time.sleep(0.1)
    second = cycles.claim(session, "loop-2", 60)
    assert second is not None
    assert (second.id, second.lease_owner) == (first.id, "loop-2")
    with pytest.raises(Conflict, match="held by 'loop-2', not 'loop-1'"):
        cycles.renew(session, first.id, "loop-1", 60)


def test_a_renewed_lease_is_held(assistant: Assistant, session: Session) -> None:
    cycles.request(session, assistant, "mara")
    cycle = cycles.claim(session, "loop-1", 0.05)
    assert cycle is not None
    renewed = cycles.renew(session, cycle.id, "loop-1", 60)
    assert renewed.lease_until is not None
    assert renewed.lease_until > now() + timedelta(seconds=30)
    time.sleep(0.1)
    assert cycles.claim(session, "loop-2", 60) is None


def test_an_assistant_has_one_open_cycle_and_two_assistants_one_each(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")

    def asking(session: Session) -> None:
        cycles.request(session, shop, "mara")

    raised = while_open(database_engine, asking, asking)
    assert [type(error) for error in raised] == [Conflict]
    with writing(database_engine) as session:
        cycles.request(session, bakery, "mara")
        claimed = [cycles.claim(session, "loop", 60), cycles.claim(session, "loop", 60)]
    assert {cycle.assistant_id for cycle in claimed if cycle} == {shop.id, bakery.id}


def test_a_cycle_that_has_not_begun_stops_at_once_and_a_running_one_is_asked_to(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        waiting = cycles.request(session, assistant, "mara")
        assert cycles.stop(session, waiting, "jonas").state == CycleState.STOPPED
    with writing(database_engine) as session:
        cycles.request(session, assistant, "mara")
        running = cycles.claim(session, "loop-1", 60)
        assert running is not None
        cycles.stop(session, running, "jonas")
    with reading(database_engine) as session:
        found = cycles.get(session, running.id)
        assert (found.state, found.stop_requested_by) == (CycleState.RUNNING, "jonas")


def test_an_ended_cycle_keeps_its_reason_and_cannot_be_stopped_or_claimed(
    assistant: Assistant, session: Session
) -> None:
    cycle = cycles.request(session, assistant, "mara")
    cycles.claim(session, "loop-1", 60)
    cycles.finish(session, cycle, CycleState.REFUSED, "Too few tickets.")
    assert cycle.finished_at is not None
    assert cycle.reason == "Too few tickets."
    assert cycles.claim(session, "loop-2", 60) is None
    with pytest.raises(Conflict, match="has ended already: refused"):
        cycles.stop(session, cycle, "jonas")
    cycles.request(session, assistant, "mara")
    assert len(cycles.every(session, assistant)) == 2
    with pytest.raises(NotFound):
        cycles.get(session, "nowhere")


def test_a_stage_counts_its_attempts_until_it_is_done(
    assistant: Assistant, session: Session
) -> None:
    cycle = cycles.request(session, assistant, "mara")
    stage = cycles.begin_stage(session, cycle, "sft")
    cycles.report(session, stage.id, done=3, total=10, eta_seconds=7.5, loss=2.1)
    again = cycles.begin_stage(session, cycle, "sft")
    assert (again.id, again.attempts, again.done) == (stage.id, 2, 3)
    cycles.report(session, stage.id, state=StageState.DONE, result={"steps": 10})
    done = cycles.begin_stage(session, cycle, "sft")
    assert (done.state, done.attempts, done.eta_seconds) == (StageState.DONE, 2, None)
    assert done.finished_at is not None
    cycles.begin_stage(session, cycle, "dpo")
    assert [stage.name for stage in cycles.stages(session, cycle)] == ["sft", "dpo"]
