"""Whose words an erasure takes out: a customer's, one conversation's, or what was kept for long enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from feedback import conversations
from feedback.erasures import RETENTION, of_hash, sha256_of
from feedback.errors import Invalid, NotFound
from feedback.tables import Assistant, Conversation, Customer


@dataclass(frozen=True)
class Subject:
    """Whose words go: a customer with all their conversations, or some conversations alone."""

    what: str
    """customer, conversation or retention."""
    whose: ColumnElement[bool]
    """Which conversations, as a condition."""
    sha256: str
    customer: Customer | None = None


def of_customer(session: Session, assistant: Assistant, name: str) -> Subject:
    """A customer by the name the site gives, or NotFound."""
    found = conversations.find_customer(session, assistant, name)
    if found is None:
        raise NotFound(
            f"{assistant.name!r} knows no customer of this name. {_erased_before(session, assistant, name)}"
        )
    return Subject(
        "customer",
        col(Conversation.customer_id) == found.id,
        sha256_of(assistant, found.external_id),
        found,
    )


def _erased_before(session: Session, assistant: Assistant, name: str) -> str:
    before = of_hash(session, assistant, sha256_of(assistant, name.strip()))
    if not before:
        return "See `understudy feedback desk list`."
    return f"They were erased on {before[0].created_at:%Y-%m-%d} (erasure {before[0].id})."


def of_conversation(session: Session, assistant: Assistant, ident: str) -> Subject:
    """One conversation, say of somebody without a name; or NotFound."""
    found = session.get(Conversation, ident)
    if found is None or found.assistant_id != assistant.id:
        raise NotFound(f"There is no conversation {ident!r}.")
    return Subject("conversation", col(Conversation.id) == ident, sha256_of(assistant, ident))


def of_expired(assistant: Assistant, ids: Sequence[str]) -> Subject:
    """Conversations that were kept for as long as the assistant's rules say."""
    return Subject("retention", col(Conversation.id).in_(ids), sha256_of(assistant, RETENTION))


def expired(session: Session, assistant: Assistant, before: datetime, limit: int) -> list[str]:
    """Conversations whose last message is older, oldest first."""
    return list(
        session.exec(
            select(Conversation.id)
            .where(
                Conversation.assistant_id == assistant.id,
                col(Conversation.last_message_at) < before,
            )
            .order_by(col(Conversation.last_message_at), col(Conversation.id))
            .limit(limit)
        )
    )


def subject_of(
    session: Session, assistant: Assistant, customer: str | None, conversation: str | None
) -> Subject:
    """Whom a caller means: one of the two is named, or Invalid."""
    if (customer is None) == (conversation is None):
        raise Invalid("Name either a customer or a conversation.")
    if customer is not None:
        return of_customer(session, assistant, customer)
    return of_conversation(session, assistant, conversation or "")
