"""Proposed tickets: questions that went wrong, waiting for a person to write the answer they should get.

After a rollback they come by themselves, from what was flagged or corrected; an incident is reported.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, or_, select

from feedback import conversations, tickets
from feedback.errors import Conflict, NotFound
from feedback.swap_tables import ProposalOrigin, ProposalState, TicketProposal, Trial
from feedback.tables import (
    UNSEEN,
    Adapter,
    Assistant,
    Conversation,
    Expects,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    Promotion,
    Ticket,
    TicketOrigin,
    now,
)
from feedback.transcript import ModelMessages, turns

MOST = 50
"""Tickets proposed when an adapter goes."""
SAID_WRONG = (FeedbackKind.FLAG, FeedbackKind.CORRECTION)


@dataclass(frozen=True)
class Proposed:
    """A proposal with the question, and the answer that went wrong."""

    proposal: TicketProposal
    context: ModelMessages
    answer: Message
    correction: Feedback | None
    """The newest in force: what an agent would have said."""
    topic: str | None


@dataclass(frozen=True)
class Wanted:
    """What a person wants of the ticket that a proposal becomes."""

    reference: str
    must_say: list[str] | None = None
    must_not_say: list[str] | None = None
    topic: str | None = None
    """None: as the conversation's."""
    expects: Expects = Expects.ANSWER


def propose(session: Session, answer: Message, why: str, trial: Trial | None = None) -> bool:
    """Propose the question behind an answer; False when it was proposed before."""
    if of_answer(session, answer) is not None:
        return False
    _add(session, answer, why, ProposalOrigin.ROLLBACK, trial)
    return True


def raise_incident(session: Session, answer: Message, why: str) -> TicketProposal:
    """Propose it as an incident, also where it was proposed or dismissed before.

    Conflict where it is a ticket already.
    """
    known = of_answer(session, answer)
    if known is None:
        return _add(session, answer, why, ProposalOrigin.INCIDENT)
    if known.state == ProposalState.ACCEPTED:
        raise Conflict(f"Answer {answer.id!r} is behind a ticket already.")
    known.origin, known.why, known.state = ProposalOrigin.INCIDENT, why, ProposalState.OPEN
    known.decided_by = known.decided_at = None
    session.add(known)
    session.flush()
    return known


def after_rollback(session: Session, assistant: Assistant, promotion: Promotion) -> int:
    """A rollback took an adapter away: what was flagged or corrected of it is proposed. How many."""
    before = session.exec(
        select(Promotion).where(
            Promotion.assistant_id == assistant.id, Promotion.sequence == promotion.sequence - 1
        )
    ).first()
    gone = session.get(Adapter, before.adapter_id) if before and before.adapter_id else None
    if gone is None:
        return 0
    return of_adapter(session, assistant, gone, f"{gone.name} was rolled back")


def of_adapter(
    session: Session, assistant: Assistant, gone: Adapter, why: str, trial: Trial | None = None
) -> int:
    """Propose the newest answers of an adapter that people flagged or corrected. How many are new."""
    query = (
        select(Message, Feedback)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            Message.adapter_id == gone.id,
            col(Message.state).not_in(UNSEEN),
            Feedback.state == FeedbackState.ACTIVE,
            or_(col(Feedback.kind).in_(SAID_WRONG), col(Feedback.value) == -1),
            col(Message.id).not_in(select(TicketProposal.message_id)),
            col(Feedback.id).not_in(
                select(Ticket.feedback_id).where(col(Ticket.feedback_id).is_not(None))
            ),
        )
        .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
    )
    said: dict[str, tuple[Message, list[str]]] = {}
    for answer, word in session.exec(query):
        if answer.id in said or len(said) < MOST:
            said.setdefault(answer.id, (answer, []))[1].append(_said(word))
    return sum(
        propose(session, answer, f"{why}: {', '.join(sorted(set(words)))}.", trial)
        for answer, words in said.values()
    )


def _said(word: Feedback) -> str:
    if word.kind == FeedbackKind.FLAG:
        return f"flagged as {(word.reason or 'wrong').replace('_', ' ')}"
    return "corrected" if word.kind == FeedbackKind.CORRECTION else "thumbs down"


def _add(
    session: Session,
    answer: Message,
    why: str,
    origin: ProposalOrigin,
    trial: Trial | None = None,
) -> TicketProposal:
    conversation = session.get_one(Conversation, answer.conversation_id)
    row = TicketProposal(
        assistant_id=conversation.assistant_id,
        message_id=answer.id,
        trial_id=trial.id if trial else None,
        origin=origin,
        why=why,
    )
    session.add(row)
    session.flush()
    return row


def of_answer(session: Session, answer: Message) -> TicketProposal | None:
    """The proposal that an answer is behind, however it was decided."""
    query = select(TicketProposal).where(TicketProposal.message_id == answer.id)
    return session.exec(query).first()


def waiting(session: Session, assistant: Assistant, limit: int = 100) -> list[Proposed]:
    """Proposals nobody has decided on: incidents first, then oldest first."""
    rows = session.exec(
        select(TicketProposal)
        .where(
            TicketProposal.assistant_id == assistant.id,
            TicketProposal.state == ProposalState.OPEN,
        )
        .order_by(col(TicketProposal.origin), col(TicketProposal.id))
        .limit(limit)
    )
    return [shown(session, each) for each in rows]


def shown(session: Session, proposal: TicketProposal) -> Proposed:
    """A proposal with all that a person needs to decide on it."""
    answer = session.get_one(Message, proposal.message_id)
    topic = session.get_one(Conversation, answer.conversation_id).topic
    context = context_of(session, answer)
    return Proposed(proposal, context, answer, correction_of(session, answer), topic)


def context_of(session: Session, answer: Message) -> ModelMessages:
    """What was said until the question that an answer replies to."""
    said = conversations.messages_of(session, answer.conversation_id)
    asked = next((each for each in said if each.id == answer.reply_to_id), answer)
    return turns(each for each in said if each.position <= asked.position)


def correction_of(session: Session, answer: Message) -> Feedback | None:
    """The newest correction of an answer in force: what it should have said."""
    query = (
        select(Feedback)
        .where(
            Feedback.message_id == answer.id,
            Feedback.kind == FeedbackKind.CORRECTION,
            Feedback.state == FeedbackState.ACTIVE,
        )
        .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
    )
    return session.exec(query.limit(1)).first()


def get(session: Session, assistant: Assistant, proposal_id: str) -> TicketProposal:
    """An assistant's proposal, or NotFound."""
    found = session.get(TicketProposal, proposal_id)
    if found is None or found.assistant_id != assistant.id:
        raise NotFound(f"There is no proposed ticket {proposal_id!r}.")
    return found


def accept(
    session: Session,
    assistant: Assistant,
    proposal: TicketProposal,
    wanted: Wanted | str,
    by: str,
) -> Ticket:
    """Make it a ticket with the answer it should get. It, and what is close to it, will never train.

    `wanted`: all of it, or only the reference answer.
    """
    _check_open(proposal)
    wanted = Wanted(wanted) if isinstance(wanted, str) else wanted
    one = shown(session, proposal)
    is_correction = one.correction is not None and one.correction.text == wanted.reference.strip()
    ticket = tickets.create(
        session,
        assistant,
        f"{proposal.origin}-{proposal.id[-10:]}",
        one.context,
        wanted.reference,
        wanted.must_say,
        wanted.must_not_say,
        topic=wanted.topic or one.topic,
        conversation_id=one.answer.conversation_id,
        feedback_id=one.correction.id if one.correction and is_correction else None,
        expects=wanted.expects,
        origin=TicketOrigin(proposal.origin),
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
