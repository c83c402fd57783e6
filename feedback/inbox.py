"""Lists of conversations for agents: saved views with their counts, page by page.

Every view is one indexed walk; the indexes are named in tables.py (`ix_conversation_…`).
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, func, or_, select

from feedback.desk import desk_of
from feedback.desk_tables import AuditEntry, Recheck
from feedback.errors import Invalid
from feedback.tables import (
    Assistant,
    Conversation,
    Customer,
    Cycle,
    Handling,
    Promotion,
    Stage,
)

COUNTED = 1000
"""Views are counted up to here; beyond, "1000+" says enough and stays quick."""


class View(StrEnum):
    """A saved view of the inbox."""

    WAITING = "waiting"
    FLAGGED = "flagged"
    UNSURE = "unsure"
    NOT_REVIEWED = "not_reviewed"
    MINE = "mine"
    ALL = "all"


TITLES = {
    View.WAITING: "Waiting for a person",
    View.FLAGGED: "Flagged by customers",
    View.UNSURE: "Low confidence",
    View.NOT_REVIEWED: "Not reviewed",
    View.MINE: "Mine",
    View.ALL: "All conversations",
}


@dataclass(frozen=True)
class Row:
    """A conversation in a list, with the name the site gave its customer."""

    conversation: Conversation
    customer: str | None


def _view(assistant: Assistant, view: View, staff_id: str | None) -> tuple[list[Any], Any, bool]:
    """A view's conditions, the column it is sorted by, and whether downwards."""
    if view == View.WAITING:
        return [Conversation.handling == Handling.WAITING], col(Conversation.waiting_since), False
    if view == View.FLAGGED:
        flagged = col(Conversation.flagged_at)
        return [flagged.is_not(None)], flagged, True
    not_reviewed = col(Conversation.reviewed_at).is_(None)
    if view == View.UNSURE:
        sure = col(Conversation.lowest_confidence)
        return (
            [not_reviewed, sure.is_not(None), sure < desk_of(assistant).low_confidence],
            sure,
            False,
        )
    newest = col(Conversation.last_message_at)
    if view == View.NOT_REVIEWED:
        return [not_reviewed], newest, True
    if view == View.MINE:
        open_ones = col(Conversation.closed_at).is_(None)
        return [open_ones, Conversation.assigned_to_id == staff_id], newest, True
    return [], newest, True


def page(
    session: Session,
    assistant: Assistant,
    view: View,
    staff_id: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """A view's conversations. `after` is the id of the last one of the page before."""
    conditions, order, down = _view(assistant, view, staff_id)
    query = (
        select(Conversation, Customer.external_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(Conversation.assistant_id == assistant.id, *conditions)
        .limit(limit)
    )
    ident = col(Conversation.id)
    query = query.order_by(*((order.desc(), ident.desc()) if down else (order, ident)))
    if after is not None:
        last = session.get(Conversation, after)
        if last is None or last.assistant_id != assistant.id:
            raise Invalid(f"Found the page after {after!r}; expected a conversation's id.")
        value = getattr(last, order.key)
        if value is not None:
            beyond = order < value if down else order > value
            beyond_id = ident < after if down else ident > after
            query = query.where(or_(beyond, (order == value) & beyond_id))
    return [Row(*found) for found in session.exec(query).all()]


def following(
    session: Session, assistant: Assistant, view: View, staff_id: str | None, conversation_id: str
) -> Conversation | None:
    """The conversation after this one in a view; None at its end."""
    rows = page(session, assistant, view, staff_id, after=conversation_id, limit=2)
    return next((row.conversation for row in rows if row.conversation.id != conversation_id), None)


def of_customer(
    session: Session,
    assistant: Assistant,
    customer_id: str | None,
    api_key_id: str | None,
    limit: int = 50,
) -> list[Row]:
    """A customer's own conversations, or those an API key began, newest first."""
    own = (
        Conversation.customer_id == customer_id
        if customer_id is not None
        else Conversation.api_key_id == api_key_id
    )
    query = (
        select(Conversation, Customer.external_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(Conversation.assistant_id == assistant.id, own)
        .order_by(col(Conversation.id).desc())
        .limit(limit)
    )
    return [Row(*found) for found in session.exec(query).all()]


def counts(session: Session, assistant: Assistant, staff_id: str | None = None) -> dict[View, int]:
    """How many conversations each view holds, counted up to COUNTED."""
    found: dict[View, int] = {}
    for view in View:
        if view == View.ALL:
            continue
        conditions, _, _ = _view(assistant, view, staff_id)
        some = (
            select(Conversation.id)
            .where(Conversation.assistant_id == assistant.id, *conditions)
            .limit(COUNTED)
            .subquery()
        )
        found[view] = session.exec(select(func.count()).select_from(some)).one()
    return found


def mark(session: Session, assistant: Assistant) -> str:
    """A word that is different after every change a page shows; a few indexed reads."""
    own = Conversation.assistant_id == assistant.id
    newest = session.exec(
        select(Conversation.id, Conversation.last_message_at)
        .where(own)
        .order_by(col(Conversation.last_message_at).desc(), col(Conversation.id).desc())
        .limit(1)
    ).first()
    flagged = col(Conversation.flagged_at)
    # The conditions are those of the views' partial indexes; without them this would read every row.
    newest_flag = session.exec(select(func.max(flagged)).where(own, flagged.is_not(None))).one()
    waiting = session.exec(
        select(func.count(), func.max(Conversation.waiting_since)).where(
            own, Conversation.handling == Handling.WAITING
        )
    ).one()
    beat = session.exec(
        select(func.max(Stage.heartbeat_at), func.max(Cycle.finished_at), func.count())
        .select_from(Cycle)
        .outerjoin(Stage, col(Stage.cycle_id) == Cycle.id)
        .where(Cycle.assistant_id == assistant.id)
    ).one()
    live_one = session.exec(
        select(func.max(Promotion.sequence)).where(Promotion.assistant_id == assistant.id)
    ).one()
    act = session.exec(  # whatever staff does is in the audit log
        select(AuditEntry.id)
        .where(AuditEntry.assistant_id == assistant.id)
        .order_by(col(AuditEntry.created_at).desc(), col(AuditEntry.id).desc())
        .limit(1)
    ).first()
    rechecks = session.exec(
        select(func.count(), func.max(Recheck.finished_at)).where(
            Recheck.assistant_id == assistant.id
        )
    ).one()
    seen = (newest, newest_flag, waiting, beat, live_one, act, rechecks)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
