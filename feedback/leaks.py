"""Which feedback the newest freeze left out because it is too close to an exam ticket, side by side.

freezing.py records it; the console, the API and the command line show it. Nothing here decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from feedback.near_copies import Near
from feedback.tables import Assistant, Feedback, FeedbackState, Message, Ticket
from feedback.tickets import question_of
from feedback.trust_tables import NearCopy


@dataclass(frozen=True)
class Pair:
    """Feedback, and the ticket that it is too close to."""

    feedback: Feedback
    conversation_id: str
    question: str
    """What the customer had asked; empty where the answer was due to nothing."""
    ticket: Ticket
    similarity: float
    """0 to 1."""
    method: str
    """trigrams or meaning."""

    @property
    def exam_question(self) -> str:
        """The ticket's last turn."""
        return question_of(self.ticket)


def record(session: Session, assistant: Assistant, pairs: Iterable[tuple[str, str, Near]]) -> None:
    """Keep exactly these pairs (feedback's id, ticket's id, how near): all that a freeze has left out.

    One that is on record already keeps its row and time; one that is not among them any more goes.
    """
    session.exec(select(Assistant.id).where(Assistant.id == assistant.id).with_for_update()).one()
    mine = session.exec(select(NearCopy).where(NearCopy.assistant_id == assistant.id))
    known = {(row.feedback_id, row.ticket_id): row for row in mine}
    for feedback_id, ticket_id, near in pairs:
        row = known.pop((feedback_id, ticket_id), None) or NearCopy(
            assistant_id=assistant.id,
            feedback_id=feedback_id,
            ticket_id=ticket_id,
            similarity=0,
            method="",
        )
        row.similarity, row.method = near.similarity, near.method
        session.add(row)
    for row in known.values():
        session.delete(row)
    session.flush()


def _in_force(assistant: Assistant) -> ColumnElement[bool]:
    """A ticket that was retired since, or words taken back since, are no matter any more."""
    return and_(
        col(NearCopy.assistant_id) == assistant.id,
        col(Ticket.retired_at).is_(None),
        col(Feedback.state) == FeedbackState.ACTIVE,
    )


def count(session: Session, assistant: Assistant) -> int:
    """How many pairs there are."""
    query = (
        select(func.count())
        .select_from(NearCopy)
        .join(Feedback, col(Feedback.id) == NearCopy.feedback_id)
        .join(Ticket, col(Ticket.id) == NearCopy.ticket_id)
        .where(_in_force(assistant))
    )
    return session.exec(query).one()


def pairs(session: Session, assistant: Assistant, offset: int = 0, limit: int = 25) -> list[Pair]:
    """Some of the pairs, the most similar first."""
    asked = aliased(Message)
    query = (
        select(NearCopy, Feedback, Message, asked.text)
        .join(Feedback, col(Feedback.id) == NearCopy.feedback_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .outerjoin(asked, col(asked.id) == func.coalesce(Message.reply_to_id, Message.id))
        .join(Ticket, col(Ticket.id) == NearCopy.ticket_id)
        .where(_in_force(assistant))
        .order_by(col(NearCopy.similarity).desc(), col(NearCopy.feedback_id))
        .offset(offset)
        .limit(limit)
    )
    return [
        Pair(
            word,
            message.conversation_id,
            question or "",
            session.get_one(Ticket, near.ticket_id),
            near.similarity,
            near.method,
        )
        for near, word, message, question in session.exec(query)
    ]
