"""Incidents: answers that harmed become tickets of the exam, so that no later adapter may give them again.

Anybody on the staff reports one: a flag, and a proposed ticket (proposals.py). An operator makes it a ticket,
or makes one of a correction that the bot has lost again.
"""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from feedback import corrections, proposals, rechecks, taught, tickets
from feedback.conversations import message, messages_of
from feedback.errors import Conflict, Invalid
from feedback.swap_tables import TicketProposal
from feedback.tables import (
    Assistant,
    Conversation,
    Customer,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    Message,
    Role,
    Ticket,
)


def report(
    session: Session,
    answer: Message,
    reason: FlagReason,
    author: str,
    role: Role,
    note: str | None = None,
) -> TicketProposal:
    """A person says that an answer was an incident: it is flagged, and proposed as a ticket.

    Invalid for what is no answer; Conflict where the answer is behind a ticket already.
    """
    corrections.give(
        session, answer.id, FeedbackKind.FLAG, author, role, reason=reason, note=note or None
    )
    why = f"An incident: {reason.replace('_', ' ')}, reported by {author}."
    return proposals.raise_incident(session, answer, why)


def ticket_of(session: Session, feedback: Feedback) -> Ticket | None:
    """The ticket in force that was made from a correction."""
    query = select(Ticket).where(
        Ticket.feedback_id == feedback.id, col(Ticket.retired_at).is_(None)
    )
    return session.exec(query.limit(1)).first()


def that_are_tickets(session: Session, feedback_ids: Sequence[str]) -> set[str]:
    """Those of these corrections that a ticket in force was made from."""
    query = select(Ticket.feedback_id).where(
        col(Ticket.feedback_id).in_(feedback_ids), col(Ticket.retired_at).is_(None)
    )
    return {ident for ident in session.exec(query) if ident}


def from_correction(session: Session, assistant: Assistant, feedback: Feedback) -> Ticket:
    """Make a ticket of a correction, as the loop does of those it holds out.

    Its customer's other words are held out with it, for a ticket's customer is wholly on one side. What
    learned it already knows the answer; what is trained from now on must get it right without.
    """
    if feedback.kind not in rechecks.CORRECTIONS or feedback.state != FeedbackState.ACTIVE:
        raise Invalid(
            f"Only a correction in force can become a ticket; this is a {feedback.kind}, "
            f"{feedback.state}."
        )
    if known := ticket_of(session, feedback):
        raise Conflict(f"This correction is behind the ticket {known.external_id!r} already.")
    about = message(session, feedback.message_id)
    conversation = session.get_one(Conversation, about.conversation_id)
    customer = session.get(Customer, conversation.customer_id or "")
    context = taught.context_of(feedback, about, messages_of(session, conversation.id))
    again = session.exec(select(Ticket.id).where(Ticket.feedback_id == feedback.id)).all()
    return tickets.create(
        session,
        assistant,
        f"correction-{feedback.id[-12:]}" + (f"-{len(again) + 1}" if again else ""),
        context,
        feedback.text or "",
        topic=conversation.topic,
        customer=customer.external_id if customer else None,
        conversation_id=conversation.id,
        feedback_id=feedback.id,
    )
