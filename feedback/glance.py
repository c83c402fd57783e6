"""Several assistants at a glance: what is live, who waits, what is to be decided, how customers fare.

A handful of indexed queries however many conversations there are; the console's start page shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, case
from sqlmodel import Session, col, func, select

from feedback import adapters, excepted
from feedback.rates import SATISFIED, Counts, month_ago
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Cycle,
    CycleState,
    Handling,
    Promotion,
)


@dataclass(frozen=True)
class Glance:
    """One assistant in a line."""

    assistant: Assistant
    live: Adapter | None
    promotion: Promotion | None
    waiting: int
    waiting_since: datetime | None
    """Since when the first of them waits."""
    to_decide: list[str]
    """Candidates that passed and wait for a person's word, newest first."""
    counts: Counts
    """Satisfaction of the conversations that began in the last thirty days."""
    exception: str = ""
    """What is live does not answer all: "all but refunds (…)"; empty: it does."""


def of_each(session: Session, assistants: Sequence[Assistant]) -> list[Glance]:
    """A line for each, in the order given."""
    ids = [each.id for each in assistants]
    waiting, to_decide, counts = _waiting(session, ids), _to_decide(session, ids), {}
    for assistant_id, asked, satisfied in session.exec(_satisfaction(ids)):
        counts[assistant_id] = Counts(asked=asked, satisfied=satisfied)
    lines = []
    for each in assistants:
        promotion = adapters.live(session, each)
        live = adapters.by_id(session, promotion.adapter_id) if promotion else None
        how_many, since = waiting.get(each.id, (0, None))
        passed = to_decide.get(each.id, [])
        exception = excepted.in_words(session, promotion)
        rated = counts.get(each.id, Counts())
        lines.append(Glance(each, live, promotion, how_many, since, passed, rated, exception))
    return lines


def _waiting(session: Session, ids: list[str]) -> dict[str, tuple[int, datetime | None]]:
    found = session.exec(
        select(Conversation.assistant_id, func.count(), func.min(Conversation.waiting_since))
        .where(col(Conversation.assistant_id).in_(ids), Conversation.handling == Handling.WAITING)
        .group_by(col(Conversation.assistant_id))
    )
    return {assistant_id: (count, since) for assistant_id, count, since in found}


def _to_decide(session: Session, ids: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    rows = session.exec(
        select(Cycle.assistant_id, Adapter.name)
        .join(Adapter, col(Adapter.cycle_id) == Cycle.id)
        .where(col(Cycle.assistant_id).in_(ids), Cycle.state == CycleState.AWAITING)
        .order_by(col(Cycle.created_at).desc(), col(Cycle.id).desc())
    )
    for assistant_id, name in rows:
        found.setdefault(assistant_id, []).append(name)
    return found


def _satisfaction(ids: list[str]) -> Any:
    satisfied = case((col(Conversation.satisfaction) >= SATISFIED, 1), else_=0)
    since = month_ago()
    return (
        select(
            Conversation.assistant_id,
            func.count(),
            func.sum(satisfied).cast(Integer),
        )
        .where(
            col(Conversation.assistant_id).in_(ids),
            col(Conversation.last_message_at) >= since,  # is indexed, and never before created_at
            col(Conversation.created_at) >= since,
            col(Conversation.satisfaction).is_not(None),
        )
        .group_by(col(Conversation.assistant_id))
    )
