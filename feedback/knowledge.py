"""What the house itself says: its prompt, its policies, the references of its tickets, and what it taught.

A stream of texts, some in memory at a time. Nothing is judged here: evals/knowledge.py makes facts of it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session, col, select

from feedback import policies
from feedback.assistants import prompt_in_force
from feedback.batches import in_batches
from feedback.holds import Held
from feedback.tables import Assistant, FeedbackKind, Ticket, TicketOrigin
from feedback.taught import BATCH, questions, standing

TAUGHT = (FeedbackKind.CORRECTION, FeedbackKind.DEMONSTRATION)


@dataclass(frozen=True, slots=True)
class Said:
    """Something the house says, and to whom: the customer's or the conversation's id; None: to everybody."""

    text: str
    to: str | None = None


def texts(session: Session, assistant: Assistant) -> Iterator[Said]:
    """All of it; what is held, disputed, outdated or rests on a retired policy is left out."""
    yield Said(prompt_in_force(session, assistant).text)
    yield from (Said(policy.text) for policy in policies.in_force(session, assistant))
    yield from _references(session, assistant)
    yield from _taught(session, assistant)


def _references(session: Session, assistant: Assistant) -> Iterator[Said]:
    """Of tickets that people wrote for this house; the built-in probes know nothing of it."""
    query = select(
        Ticket.reference, Ticket.customer_id, Ticket.conversation_id, Ticket.policy_id
    ).where(
        Ticket.assistant_id == assistant.id,
        col(Ticket.retired_at).is_(None),
        Ticket.origin != TicketOrigin.PROBE,
    )
    gone = policies.retired(session, assistant)
    for reference, customer, conversation, policy in session.exec(
        query.execution_options(yield_per=1000)
    ):
        if policy not in gone:
            yield Said(reference, (customer or conversation) if conversation else None)


def _taught(session: Session, assistant: Assistant) -> Iterator[Said]:
    held, counts = Held(session, assistant), Counter[str]()
    for batch in in_batches(questions(session, assistant, TAUGHT), BATCH):
        for word in standing(session, assistant, held, batch, counts):
            if word.feedback.text:
                yield Said(word.feedback.text, word.customer_id or word.conversation_id)
