"""How an adapter goes live: asked for, seen to work on the engines, then promoted, or refused with a reason.

People and the loop ask; the service decides (service/hot_swap.py), because only it talks to engines. A
refused request leaves no promotion: what is live stays live. One request at a time waits per assistant.
"""

import time
from collections.abc import Sequence

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from feedback import adapters, excepted, proposals, trials
from feedback.database import reading
from feedback.errors import Conflict
from feedback.swap_tables import PromotionRequest, RequestState
from feedback.tables import Adapter, Assistant, Cycle, CycleState, Promotion, now

LOOK_SECONDS = 0.1
"""How often somebody who waits for a decision looks."""
STAYED = "It was live all the time."
"""The outcome of a request for what is live, which withdrew what else was asked for."""


def request(
    session: Session,
    assistant: Assistant,
    adapter: Adapter | None,
    requested_by: str,
    reason: str,
    decision_id: str | None = None,
    rolls_back: bool = False,
    except_topics: Sequence[str] = (),
) -> PromotionRequest:
    """Ask for an adapter (None: the base model) to go live; for all but `except_topics`, which whatever
    answers them now goes on answering. It replaces a request that still waits.

    Raises Conflict when it is live or asked for already, or does not fit the assistant; for topics see
    `excepted.chosen` and `adapters.keeper`.
    """
    adapters.lock(session, assistant)
    adapters.check_fits(session, assistant, adapter)
    before, current = waiting(session, assistant), adapters.live(session, assistant)
    topics = excepted.chosen(assistant, current, except_topics)
    is_live = adapters.is_live(current, adapter, topics)
    if is_live if before is None else _asks_for(before, adapter, topics):
        name = adapter.name if adapter else adapters.BASE
        raise Conflict(f"{name!r} is {'asked for' if before else 'live'} already.")
    if not is_live:
        adapters.keeper(session, assistant, adapter, topics)  # where none may, that is said now
    row = PromotionRequest(
        assistant_id=assistant.id,
        adapter_id=adapter.id if adapter else None,
        decision_id=decision_id,
        requested_by=requested_by,
        reason=reason,
        rolls_back=rolls_back,
        except_topics=topics,
    )
    if before:
        _end(before, RequestState.WITHDRAWN, f"{requested_by} asked for something else: {reason}")
        session.add(before)
    if is_live:
        _end(row, RequestState.DONE, STAYED)
        row.promotion_id = current.id if current else None
    session.add(row)
    session.flush()
    return row


def _asks_for(row: PromotionRequest, adapter: Adapter | None, topics: Sequence[str]) -> bool:
    wanted = (adapter.id if adapter else None, set(topics))
    return wanted == (row.adapter_id, set(row.except_topics))


def request_rollback(
    session: Session, assistant: Assistant, requested_by: str, reason: str
) -> PromotionRequest:
    """Ask for what was live before, for all topics. Where a promotion still waits, that one is withdrawn
    instead, and what is live stays as it is, with its exceptions.

    Raises Conflict where this rollback is asked for already: a second one shall not take back the first.
    """
    adapters.lock(session, assistant)  # what waits now may be decided meanwhile
    topics: list[str] = []
    before = waiting(session, assistant)
    if before and not before.rolls_back:
        target = adapters.live_adapter(session, assistant)
        if current := adapters.live(session, assistant):
            topics = current.except_topics
    else:
        target = adapters.rollback_target(session, assistant)
    return request(
        session, assistant, target, requested_by, reason, rolls_back=True, except_topics=topics
    )


def only_withdrew(row: PromotionRequest) -> bool:
    """Whether it changed nothing but that what else was asked for does not go live."""
    return row.state == RequestState.DONE and row.outcome == STAYED


def waiting(session: Session, assistant: Assistant) -> PromotionRequest | None:
    """The request that waits for the engines' word."""
    return session.exec(
        select(PromotionRequest)
        .where(
            PromotionRequest.assistant_id == assistant.id,
            PromotionRequest.state == RequestState.WAITING,
        )
        .order_by(col(PromotionRequest.id).desc())
    ).first()


def get(session: Session, request_id: str) -> PromotionRequest:
    """A request as it stands."""
    return session.get_one(PromotionRequest, request_id)


def every(session: Session, assistant: Assistant, limit: int = 200) -> list[PromotionRequest]:
    """What was asked for and how it ended, newest first."""
    return list(
        session.exec(
            select(PromotionRequest)
            .where(PromotionRequest.assistant_id == assistant.id)
            .order_by(col(PromotionRequest.id).desc())
            .limit(limit)
        )
    )


def outcome(
    request_id: str, wait_seconds: float, database: Engine | None = None
) -> PromotionRequest:
    """For whoever has a person waiting: the request once it was decided, or as it stands after the wait.

    Raises Conflict with the reasons when it was refused or withdrawn: then nothing has changed.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        with reading(database) as session:
            row = get(session, request_id)
        if row.state in (RequestState.REFUSED, RequestState.WITHDRAWN):
            raise Conflict(f"It did not go live, and nothing changed: {row.outcome}")
        if row.state == RequestState.DONE or time.monotonic() >= deadline:
            return row
        time.sleep(LOOK_SECONDS)


def carry_out(session: Session, request_id: str) -> Promotion | None:
    """The engines compute it: promote. None when another service did so first, or it was withdrawn."""
    row = _held(session, request_id)
    if row.state != RequestState.WAITING:
        return None
    promotion = adapters.promote(
        session,
        session.get_one(Assistant, row.assistant_id),
        adapters.by_id(session, row.adapter_id),
        row.requested_by,
        row.reason,
        row.decision_id,
        row.rolls_back,
        row.except_topics,
    )
    trials.end_with(session, promotion)
    if promotion.rolls_back:
        proposals.after_rollback(session, session.get_one(Assistant, row.assistant_id), promotion)
    row.promotion_id = promotion.id
    _end(row, RequestState.DONE, "Enough engines were seen to compute it.")
    session.add(row)
    session.flush()
    return promotion


def refuse(session: Session, request_id: str, reason: str) -> bool:
    """The engines cannot be trusted with it: nothing changes, and the reason is kept."""
    row = _held(session, request_id)
    if row.state != RequestState.WAITING:
        return False
    _end(row, RequestState.REFUSED, reason)
    session.add(row)
    trials.did_not_go_live(session, row, reason)
    adapter = adapters.by_id(session, row.adapter_id)
    if adapter and adapter.cycle_id:
        cycle = session.get_one(Cycle, adapter.cycle_id)
        if cycle.state == CycleState.PROMOTED:
            cycle.state, cycle.reason = CycleState.REFUSED, f"It did not go live: {reason}"
            session.add(cycle)
    session.flush()
    return True


def _held(session: Session, request_id: str) -> PromotionRequest:
    row = session.get_one(PromotionRequest, request_id)
    adapters.lock(session, session.get_one(Assistant, row.assistant_id))
    session.refresh(row)
    return row


def _end(row: PromotionRequest, state: RequestState, outcome: str) -> None:
    row.state, row.outcome, row.decided_at = state, outcome, now()
