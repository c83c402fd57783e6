"""Proposed tickets: questions that went wrong, waiting for a person to write the answer they should get."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from feedback import conversations, tickets
from feedback.errors import Conflict, NotFound
from feedback.swap_tables import ProposalState, TicketProposal, Trial
from feedback.tables import Assistant, Conversation, Message, Ticket, now
from feedback.transcript import ModelMessages, turns


@dataclass(frozen=True)
class Proposed:
    """A proposal with the question, and the answer that went wrong."""

    proposal: TicketProposal
    context: ModelMessages
    answer: Message


def propose(session: Session, answer: Message, why: str, trial: Trial | None = None) -> bool:
    """Propose the question behind an answer; False when it was proposed before."""
    known = session.exec(
        select(TicketProposal).where(TicketProposal.message_id == answer.id)
    ).first()
    if known is not None:
        return False
    conversation = session.get_one(Conversation, answer.conversation_id)
    session.add(
        TicketProposal(
            assistant_id=conversation.assistant_id,
            message_id=answer.id,
            trial_id=trial.id if trial else None,
            why=why,
        )
    )
    session.flush()
    return True


def waiting(session: Session, assistant: Assistant, limit: int = 100) -> list[Proposed]:
    """Proposals nobody has decided on, oldest first."""
    rows = session.exec(
        select(TicketProposal)
        .where(
            TicketProposal.assistant_id == assistant.id,
            TicketProposal.state == ProposalState.OPEN,
        )
        .order_by(col(TicketProposal.id))
        .limit(limit)
    )
    return [_shown(session, each) for each in rows]


def _shown(session: Session, proposal: TicketProposal) -> Proposed:
    answer = session.get_one(Message, proposal.message_id)
    said = conversations.messages_of(session, answer.conversation_id)
    asked = next((each for each in said if each.id == answer.reply_to_id), answer)
    return Proposed(
        proposal, turns(each for each in said if each.position <= asked.position), answer
    )


def get(session: Session, assistant: Assistant, proposal_id: str) -> TicketProposal:
    """An assistant's proposal, or NotFound."""
    found = session.get(TicketProposal, proposal_id)
    if found is None or found.assistant_id != assistant.id:
        raise NotFound(f"There is no proposed ticket {proposal_id!r}.")
    return found


def accept(
    session: Session, assistant: Assistant, proposal: TicketProposal, reference: str, by: str
) -> Ticket:
    """Make it a ticket with the answer it should get. It, and what is close to it, will never train."""
    _check_open(proposal)
    shown = _shown(session, proposal)
    ticket = tickets.create(
        session,
        assistant,
        f"proposed-{proposal.id[-10:]}",
        shown.context,
        reference,
        conversation_id=shown.answer.conversation_id,
    )
    proposal.ticket_id = ticket.id
    _decide(session, proposal, ProposalState.ACCEPTED, by)
    return ticket


def dismiss(session: Session, proposal: TicketProposal, by: str) -> TicketProposal:
    """It shall be no ticket."""
    _check_open(proposal)
    return _decide(session, proposal, ProposalState.DISMISSED, by)


def _check_open(proposal: TicketProposal) -> None:
    if proposal.state != ProposalState.OPEN:
        raise Conflict(
            f"The proposed ticket {proposal.id!r} was {proposal.state} by {proposal.decided_by}."
        )


def _decide(
    session: Session, proposal: TicketProposal, state: ProposalState, by: str
) -> TicketProposal:
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, now()
    session.add(proposal)
    session.flush()
    return proposal
