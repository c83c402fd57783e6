"""Holds: an author's words wait, because they look one-sided or came in a flood, until a person has looked.

One author who teaches the bot something false, for spite or by mistake, must not do so unseen. Whose
words look so is suspicion.py's; a hold is a row with its numbers, and a person releases or rejects it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from feedback import policies
from feedback.corrections import TEACHING
from feedback.errors import Conflict, NotFound
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackState,
    ItemSource,
    Message,
    now,
)
from feedback.trust_tables import Hold, HoldOutcome


@dataclass(frozen=True)
class Suspicion:
    """Why an author's words should wait, in a sentence and in numbers."""

    author: str
    reason: str
    evidence: dict[str, Any]


def place(session: Session, assistant: Assistant, found: Iterable[Suspicion]) -> list[Hold]:
    """Hold these authors, but for those who are held already; those newly held."""
    held = {hold.author for hold in open_holds(session, assistant)}
    made = [
        Hold(
            assistant_id=assistant.id,
            author=each.author,
            reason=each.reason,
            evidence=each.evidence,
        )
        for each in found
        if each.author not in held
    ]
    session.add_all(made)
    session.flush()
    return made


def last_decided(session: Session, assistant: Assistant, author: str) -> datetime | None:
    """When a person last decided about an author; what was said before is not looked at again."""
    decided = [
        hold.decided_at
        for hold in every(session, assistant)
        if hold.author == author and hold.decided_at is not None
    ]
    return max(decided, default=None)


def every(session: Session, assistant: Assistant) -> list[Hold]:
    """An assistant's holds, newest first."""
    return list(
        session.exec(
            select(Hold)
            .where(Hold.assistant_id == assistant.id)
            .order_by(col(Hold.created_at).desc(), col(Hold.id).desc())
        )
    )


def open_holds(session: Session, assistant: Assistant) -> list[Hold]:
    """Those that wait for a person."""
    return [hold for hold in every(session, assistant) if hold.outcome is None]


def get(session: Session, assistant: Assistant, hold_id: str) -> Hold:
    """The hold, or NotFound."""
    found = session.get(Hold, hold_id)
    if found is None or found.assistant_id != assistant.id:
        raise NotFound(f"There is no hold {hold_id!r}. See `understudy feedback holds list`.")
    return found


def decide(session: Session, hold: Hold, outcome: HoldOutcome, by: str) -> Hold:
    """Release: what the author has said so far teaches. Reject: it never does."""
    if hold.outcome is not None:
        raise Conflict(f"The hold on {hold.author!r} was {hold.outcome} by {hold.decided_by}.")
    hold.outcome, hold.decided_by, hold.decided_at = outcome, by, now()
    session.add(hold)
    session.flush()
    return hold


class Held:
    """Which words of an assistant do not teach because of a hold."""

    def __init__(self, session: Session, assistant: Assistant) -> None:
        self._session = session
        self.policies = policies.retired(session, assistant)
        """The policies that were retired: what rests on one does not teach either."""
        self._by_author: dict[str, list[Hold]] = {}
        for hold in every(session, assistant):
            if hold.outcome != HoldOutcome.RELEASED:
                self._by_author.setdefault(hold.author, []).append(hold)

    def why(self, words: Iterable[Feedback]) -> dict[str, str]:
        """By the id of each such word: held (nobody has decided yet) or rejected."""
        suspect = [word for word in words if word.author in self._by_author]
        frozen = self._frozen([word.id for word in suspect])
        found = {}
        for word in suspect:
            for hold in self._by_author[word.author]:
                since = hold.evidence.get("since")
                if since and word.created_at <= datetime.fromisoformat(since):
                    continue
                if hold.outcome == HoldOutcome.REJECTED:
                    if hold.decided_at and word.created_at <= hold.decided_at:
                        found[word.id] = "rejected"
                elif word.id not in frozen:
                    found[word.id] = "held"
        return found

    def _frozen(self, ids: list[str]) -> set[str]:
        if not ids:
            return set()
        query = select(ItemSource.feedback_id).where(col(ItemSource.feedback_id).in_(ids))
        return set(self._session.exec(query))


def examples(session: Session, assistant: Assistant, hold: Hold, limit: int = 10) -> list[Feedback]:
    """Some of the author's newest words, for whoever decides."""
    return list(
        session.exec(
            select(Feedback)
            .join(Message, col(Message.id) == Feedback.message_id)
            .join(Conversation, col(Conversation.id) == Message.conversation_id)
            .where(
                Conversation.assistant_id == assistant.id,
                Feedback.author == hold.author,
                col(Feedback.kind).in_(TEACHING),
                Feedback.state == FeedbackState.ACTIVE,
            )
            .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
            .limit(limit)
        )
    )
