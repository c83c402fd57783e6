"""Turns of the loop as rows: requested, claimed under a lease, followed stage by stage.

A cycle whose process died is taken over when its lease has run out and goes on at the first stage
that is not done.
"""

from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, or_, select

from feedback.errors import Conflict, NotFound
from feedback.tables import Assistant, Cycle, CycleState, Stage, StageState, now

OPEN = (CycleState.REQUESTED, CycleState.RUNNING)


def request(session: Session, assistant: Assistant, requested_by: str) -> Cycle:
    """Ask the loop for a cycle; an assistant has at most one open."""
    session.exec(select(Assistant).where(Assistant.id == assistant.id).with_for_update()).one()
    running = session.exec(
        select(Cycle).where(Cycle.assistant_id == assistant.id, col(Cycle.state).in_(OPEN))
    ).first()
    if running:
        raise Conflict(
            f"Cycle {running.id!r} of {assistant.name!r} is {running.state}; wait for it or stop it."
        )
    cycle = Cycle(assistant_id=assistant.id, requested_by=requested_by)
    session.add(cycle)
    session.flush()
    return cycle


def get(session: Session, cycle_id: str) -> Cycle:
    """The cycle, or NotFound."""
    found = session.get(Cycle, cycle_id)
    if found is None:
        raise NotFound(f"There is no cycle {cycle_id!r}.")
    return found


def every(session: Session, assistant: Assistant) -> list[Cycle]:
    """An assistant's cycles, newest first."""
    return list(
        session.exec(
            select(Cycle)
            .where(Cycle.assistant_id == assistant.id)
            .order_by(col(Cycle.created_at).desc(), col(Cycle.id).desc())
        )
    )


def claim(
    session: Session, owner: str, lease_seconds: float, cycle_id: str | None = None
) -> Cycle | None:
    """The oldest open cycle nobody holds (or this one), now held by `owner`; None without work."""
    free = (
        select(Cycle)
        .where(
            col(Cycle.state).in_(OPEN),
            or_(col(Cycle.lease_until).is_(None), col(Cycle.lease_until) < now()),
        )
        .order_by(col(Cycle.created_at))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    cycle = session.exec(free.where(Cycle.id == cycle_id) if cycle_id else free).first()
    if cycle is None:
        return None
    cycle.state = CycleState.RUNNING
    cycle.started_at = cycle.started_at or now()
    cycle.lease_owner = owner
    cycle.lease_until = now() + timedelta(seconds=lease_seconds)
    session.add(cycle)
    return cycle


def renew(session: Session, cycle_id: str, owner: str, lease_seconds: float) -> Cycle:
    """Hold the cycle for longer; Conflict if another process has taken it over."""
    cycle = session.exec(select(Cycle).where(Cycle.id == cycle_id).with_for_update()).one()
    if cycle.lease_owner != owner or cycle.state != CycleState.RUNNING:
        raise Conflict(
            f"Cycle {cycle_id!r} is {cycle.state} and held by {cycle.lease_owner!r}, not {owner!r}."
        )
    cycle.lease_until = now() + timedelta(seconds=lease_seconds)
    session.add(cycle)
    return cycle


def release(session: Session, cycle: Cycle, owner: str) -> None:
    """Let go of a cycle that is to be continued by another process."""
    held = session.exec(select(Cycle).where(Cycle.id == cycle.id).with_for_update()).one()
    if held.lease_owner == owner:
        held.lease_until = None
        session.add(held)


def finish(session: Session, cycle: Cycle, state: CycleState, reason: str) -> Cycle:
    """End a cycle, with the reason a person will read."""
    cycle = get(session, cycle.id)
    cycle.state = state
    cycle.reason = reason
    cycle.finished_at = now()
    cycle.lease_until = None
    session.add(cycle)
    return cycle


def stop(session: Session, cycle: Cycle, requested_by: str) -> Cycle:
    """Ask a cycle to end; one that has not begun ends at once."""
    if cycle.state not in OPEN:
        raise Conflict(f"Cycle {cycle.id!r} has ended already: {cycle.state}.")
    cycle.stop_requested_by = requested_by
    session.add(cycle)
    if cycle.state == CycleState.REQUESTED:
        return finish(session, cycle, CycleState.STOPPED, f"Stopped by {requested_by}.")
    return cycle


def awaiting(session: Session, assistant: Assistant) -> list[Cycle]:
    """Cycles whose candidate passed and waits for a person's decision, newest first."""
    found = every(session, assistant)
    return [cycle for cycle in found if cycle.state == CycleState.AWAITING]


def reject(session: Session, cycle: Cycle, rejected_by: str, reason: str) -> Cycle:
    """A person says no to a candidate that had passed; only a cycle that waits can be rejected."""
    held = session.exec(select(Cycle).where(Cycle.id == cycle.id).with_for_update()).one()
    if held.state != CycleState.AWAITING:
        raise Conflict(f"Cycle {held.id!r} waits for no decision: it is {held.state}.")
    held.state = CycleState.REFUSED
    held.reason = f"Rejected by {rejected_by}: {reason}"
    session.add(held)
    return held


def stages(session: Session, cycle: Cycle) -> list[Stage]:
    """The stages a cycle has begun, in order."""
    return list(
        session.exec(
            select(Stage).where(Stage.cycle_id == cycle.id).order_by(col(Stage.started_at))
        )
    )


def begin_stage(session: Session, cycle: Cycle, name: str) -> Stage:
    """The stage's row: as it stands when done, one more attempt when it was cut off."""
    stage = session.exec(
        select(Stage).where(Stage.cycle_id == cycle.id, Stage.name == name)
    ).first()
    if stage is None:
        stage = Stage(cycle_id=cycle.id, name=name)
    elif stage.state == StageState.RUNNING:
        stage.attempts += 1
    session.add(stage)
    session.flush()
    return stage


def measured(stage: Stage) -> str:
    """What a stage that trains measures beside its loss, in a line."""
    found = stage.figures
    told = [
        f"{found['tokens_per_second']:,.0f} tokens/s" if "tokens_per_second" in found else "",
        f"margin {found['margin']:+.2f}" if "margin" in found else "",
        f"{found['memory_bytes'] / 2**30:.1f} GiB" if "memory_bytes" in found else "",
    ]
    return " · ".join(each for each in told if each)


def report(session: Session, stage_id: str, **progress: Any) -> Stage:
    """Write a stage's progress and heartbeat: done, total, eta_seconds, loss, state, result."""
    stage = session.exec(select(Stage).where(Stage.id == stage_id)).one()
    for name, value in progress.items():
        setattr(stage, name, value)
    stage.heartbeat_at = now()
    if stage.state != StageState.RUNNING:
        stage.finished_at = now()
        stage.eta_seconds = None
        if stage.state == StageState.DONE:
            stage.done = stage.total
    session.add(stage)
    return stage
