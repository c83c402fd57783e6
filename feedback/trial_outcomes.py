"""How the conversations under a canary went: which arm, and what happened that speaks against it.

All of the SQL and no statistics; service/trials.py judges.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from feedback.desk_tables import Handover
from feedback.swap_tables import Trial
from feedback.tables import (
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    MessageState,
    Role,
    Speaker,
)
from feedback.trials import CANDIDATE, SLOW_MS, TrialPolicy, policy_of


@dataclass(frozen=True)
class Outcome:
    """How one conversation under a trial went; None where that cannot be known yet."""

    conversation_id: str
    unit: str
    """For whom the arm was drawn: a customer, or a conversation with nobody known."""
    candidate: bool
    share: float
    bad: dict[str, bool | None]


def every(session: Session, trial: Trial, at: datetime) -> list[Outcome]:
    """Every conversation of a canary, in the order they began, as far as their outcome is known."""
    policy = policy_of(trial)
    window = timedelta(seconds=policy.window_seconds)
    first = _first_answers(session, trial)
    happened = {
        "thumbs_down": _disliked(session, trial, window, FeedbackKind.RATING),
        "flag": _disliked(session, trial, window, FeedbackKind.FLAG),
        "handover": _handed_over(session, trial, window),
    }
    begun: Any = session.exec(
        select(  # type: ignore[call-overload]
            Conversation.id,
            Conversation.customer_id,
            Conversation.trial_arm,
            Conversation.trial_share,
            Conversation.created_at,
        )
        .where(Conversation.trial_id == trial.id)
        .order_by(col(Conversation.id))
    )
    return [_outcome(policy, each, first.get(each.id), happened, at) for each in begun]


def _outcome(
    policy: TrialPolicy,
    begun: Any,
    first: tuple[str, int | None] | None,
    happened: dict[str, set[str]],
    at: datetime,
) -> Outcome:
    """The first answer tells whether it failed or was slow; the rest is open until the window ends."""
    over = at >= begun.created_at + timedelta(seconds=policy.window_seconds)
    bad: dict[str, bool | None] = {
        signal: True if begun.id in found else (False if over else None)
        for signal, found in happened.items()
    }
    state, first_word_ms = first or (None, None)
    known = over or state not in (None, MessageState.WRITING)
    bad["error"] = state == MessageState.FAILED if known else None
    bad["slow"] = (first_word_ms or 0) > (policy.slow_ms or SLOW_MS) if known else None
    return Outcome(
        begun.id,
        begun.customer_id or begun.id,
        begun.trial_arm == CANDIDATE,
        begun.trial_share or 0.0,
        bad,
    )


def _first_answers(session: Session, trial: Trial) -> dict[str, tuple[str, int | None]]:
    """By conversation: how the bot's first answer ended, and when its first word came, ms."""
    rows = session.exec(
        select(Message.conversation_id, Message.state, Message.time_to_first_token_ms)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.trial_id == trial.id,
            Message.speaker == Speaker.ASSISTANT,
            Message.position == 1,
        )
    )
    return {ident: (state, first_word_ms) for ident, state, first_word_ms in rows}


def _disliked(session: Session, trial: Trial, window: timedelta, kind: FeedbackKind) -> set[str]:
    """Conversations with such a word of the customer's within the window."""
    query = (
        select(Conversation.id, Conversation.created_at, func.min(Feedback.created_at))
        .join(Message, col(Message.conversation_id) == Conversation.id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .where(
            Conversation.trial_id == trial.id,
            Feedback.kind == kind,
            Feedback.author_role == Role.CUSTOMER,
            Feedback.state != FeedbackState.WITHDRAWN,
        )
        .group_by(col(Conversation.id), col(Conversation.created_at))
    )
    if kind == FeedbackKind.RATING:
        query = query.where(Feedback.value == -1)
    return _within(session, query, window)


def _handed_over(session: Session, trial: Trial, window: timedelta) -> set[str]:
    query = (
        select(Conversation.id, Conversation.created_at, func.min(Handover.created_at))
        .join(Handover, col(Handover.conversation_id) == Conversation.id)
        .where(Conversation.trial_id == trial.id)
        .group_by(col(Conversation.id), col(Conversation.created_at))
    )
    return _within(session, query, window)


def _within(session: Session, query: Any, window: timedelta) -> set[str]:
    return {
        ident for ident, began_at, happened_at in session.exec(query)
        if happened_at <= began_at + window
    }  # fmt: skip
