"""How customers fared with each adapter, day by day, and what was said since live learned last."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, case, cast
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import adapters, corrections
from feedback.desk_tables import Handover
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    Promotion,
    now,
)

SATISFIED = 4
"""From this answer on, of 1 to 5, a customer counts as satisfied."""


@dataclass(frozen=True)
class Counts:
    """Conversations that began with one adapter, and how they went."""

    conversations: int = 0
    asked: int = 0
    """Those whose customer said how satisfied they were."""
    satisfied: int = 0
    handed_over: int = 0
    flagged: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.conversations + other.conversations,
            self.asked + other.asked,
            self.satisfied + other.satisfied,
            self.handed_over + other.handed_over,
            self.flagged + other.flagged,
        )

    @property
    def satisfaction(self) -> float | None:
        """Share of the asked who were satisfied."""
        return self.satisfied / self.asked if self.asked else None

    @property
    def handover_rate(self) -> float | None:
        """Share of conversations that went to a person."""
        return self.handed_over / self.conversations if self.conversations else None

    @property
    def flag_rate(self) -> float | None:
        """Share of conversations whose customer flagged an answer, or turned a thumb down on it."""
        return self.flagged / self.conversations if self.conversations else None


ByDay = dict[date, Counts]


def by_adapter(session: Session, assistant: Assistant, since: datetime) -> dict[str | None, ByDay]:
    """By the id of the adapter (None: the base model), the days since then and how they went."""
    day = _day(session, col(Conversation.created_at))
    handed_over = select(Handover.id).where(Handover.conversation_id == Conversation.id).exists()
    flagged = col(Conversation.id).in_(_disliked_since(since))
    query = (
        select(  # type: ignore[call-overload]
            Conversation.adapter_id,
            day,
            func.count(),
            func.count(col(Conversation.satisfaction)),
            _how_many(col(Conversation.satisfaction) >= SATISFIED),
            _how_many(handed_over),
            _how_many(flagged),
        )
        .where(
            Conversation.assistant_id == assistant.id,
            col(Conversation.last_message_at) >= since,  # is indexed, and never before created_at
            col(Conversation.created_at) >= since,
        )
        .group_by(col(Conversation.adapter_id), day)
    )
    found: dict[str | None, ByDay] = {}
    for adapter_id, text, *counts in session.exec(query):
        found.setdefault(adapter_id, {})[date.fromisoformat(text)] = Counts(*counts)
    return found


def _disliked_since(since: datetime) -> SelectOfScalar[str]:
    """Conversations whose customers disliked an answer: found once, not asked of each conversation."""
    return (
        select(Message.conversation_id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .where(
            col(Feedback.kind).in_((FeedbackKind.FLAG, FeedbackKind.RATING)),
            Feedback.state == FeedbackState.ACTIVE,
            col(Feedback.created_at) >= since,  # is indexed with kind and state
            corrections.are_dislikes(),
        )
    )


def total(days: Iterable[Counts]) -> Counts:
    """Several days together."""
    return sum(days, Counts())


def _day(session: Session, time: Any) -> ColumnElement[str]:
    """The UTC day of a time as 2026-11-23."""
    if session.get_bind().dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", time), "YYYY-MM-DD")
    return func.substr(cast(time, String), 1, 10)


def _how_many(condition: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).cast(Integer)


def promotions_since(session: Session, assistant: Assistant, since: datetime) -> list[Promotion]:
    """Promotions since then, oldest first."""
    past = adapters.history(session, assistant)
    return [promotion for promotion in reversed(past) if promotion.created_at >= since]


def last_learned(session: Session, assistant: Assistant) -> datetime | None:
    """When the data of the live adapter was frozen; None for the base model."""
    live = adapters.live_adapter(session, assistant)
    learned = adapters.datasets_of(session, live) if live else []
    return max((dataset.created_at for dataset in learned), default=None)


def said_since(
    session: Session, assistant: Assistant, since: datetime | None
) -> dict[FeedbackKind, int]:
    """How much feedback of each kind counts, given since then (None: ever)."""
    query = (
        select(Feedback.kind, func.count())
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(Conversation.assistant_id == assistant.id, Feedback.state == FeedbackState.ACTIVE)
        .group_by(col(Feedback.kind))
    )
    if since is not None:
        query = query.where(col(Feedback.created_at) > since)
    counted = {FeedbackKind(kind): count for kind, count in session.exec(query)}
    return {kind: counted.get(kind, 0) for kind in FeedbackKind}


def month_ago() -> datetime:
    """The start of the day 29 days ago: with today, thirty days."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=29)
