"""Held-out tickets: the questions of the exam, with reference answers and rules."""

from sqlmodel import Session, col, select

from feedback import policies
from feedback.conversations import check_text, customer_named
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import Assistant, Conversation, Expects, Ticket, TicketOrigin, now
from feedback.transcript import ModelMessages

ROLES = ("user", "assistant")


def check_context(context: ModelMessages) -> ModelMessages:
    """The turns of an exam question: known roles, text in each, the customer's word last."""
    if not context:
        raise Invalid("The context is empty; expected at least one turn by the user.")
    for number, turn in enumerate(context, 1):
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise Invalid(
                f"Turn {number} is {turn!r}; expected an object with 'role' and 'content'."
            )
        if turn["role"] not in ROLES:
            raise Invalid(f"Turn {number} has the role {turn['role']!r}; expected one of {ROLES}.")
        if not isinstance(turn["content"], str):
            raise Invalid(f"Turn {number} says {turn['content']!r}; expected text.")
        check_text(turn["content"], f"text of turn {number}")
    if context[-1]["role"] != "user":
        raise Invalid("The last turn is the assistant's; expected the user's question.")
    return context


def expected(name: str) -> Expects:
    """What a ticket expects, by its name in a form or a file; or Invalid."""
    try:
        return Expects(name.strip().casefold())
    except ValueError:
        known = ", ".join(repr(str(each)) for each in Expects)
        raise Invalid(f"Found {name!r:.60}, expected one of {known}.") from None


def question_of(ticket: Ticket) -> str:
    """The customer's last words; empty once they were erased."""
    return ticket.context[-1]["content"] if ticket.context else ""


def create(
    session: Session,
    assistant: Assistant,
    external_id: str,
    context: ModelMessages,
    reference: str,
    must_say: list[str] | None = None,
    must_not_say: list[str] | None = None,
    topic: str | None = None,
    customer: str | None = None,
    conversation_id: str | None = None,
    feedback_id: str | None = None,
    sealed: bool = False,
    policy: str | None = None,
    expects: Expects = Expects.ANSWER,
    origin: TicketOrigin | None = None,
) -> Ticket:
    """A new held-out ticket; its name is unique within the assistant.

    `policy` names the rule of the house that its reference answer rests on. `origin`: None means written,
    or made from the correction `feedback_id`.
    """
    taken = session.exec(
        select(Ticket).where(Ticket.assistant_id == assistant.id, Ticket.external_id == external_id)
    ).first()
    if taken:
        raise Conflict(f"A ticket named {external_id!r} exists already for {assistant.name!r}.")
    ticket = Ticket(
        assistant_id=assistant.id,
        external_id=external_id,
        context=check_context(context),
        reference=check_text(reference, "reference answer"),
        must_say=must_say or [],
        must_not_say=must_not_say or [],
        topic=topic,
        customer_id=customer_named(session, assistant, customer).id
        if customer
        else _customer_of(session, conversation_id),
        conversation_id=conversation_id,
        feedback_id=feedback_id,
        sealed=sealed,
        policy_id=policies.to_rest_on(session, assistant.id, policy),
        expects=expects,
        origin=origin or (TicketOrigin.CORRECTION if feedback_id else TicketOrigin.WRITTEN),
    )
    session.add(ticket)
    session.flush()
    return ticket


def _customer_of(session: Session, conversation_id: str | None) -> str | None:
    """Whose talk a ticket is made from: what they say elsewhere must not teach either."""
    talk = session.get(Conversation, conversation_id) if conversation_id else None
    return talk.customer_id if talk else None


def get(session: Session, assistant: Assistant, external_id: str) -> Ticket:
    """The ticket of that name, or NotFound."""
    found = session.exec(
        select(Ticket).where(Ticket.assistant_id == assistant.id, Ticket.external_id == external_id)
    ).first()
    if found is None:
        raise NotFound(
            f"There is no ticket {external_id!r} for {assistant.name!r}. "
            "See `understudy feedback tickets list`."
        )
    return found


def retire(session: Session, ticket: Ticket) -> Ticket:
    """Take a ticket out of the exam. It stays on record; what is close to it may teach again."""
    ticket.retired_at = ticket.retired_at or now()
    session.add(ticket)
    return ticket


def every(session: Session, assistant: Assistant) -> list[Ticket]:
    """All tickets of an assistant, also retired ones, by name."""
    return list(
        session.exec(
            select(Ticket)
            .where(Ticket.assistant_id == assistant.id)
            .order_by(col(Ticket.external_id))
        )
    )


SEALED_LEAST = 6
"""Fewer sealed tickets could not show that a candidate is worse."""


def sealed_asked(session: Session, assistant: Assistant) -> list[Ticket]:
    """The tickets that are asked only when an adapter is about to go live."""
    return [ticket for ticket in in_exam(session, assistant) if ticket.sealed]


def can_confirm(sealed: list[Ticket]) -> bool:
    """Whether so many tickets of so many people can speak against a candidate."""
    return len(sealed) >= SEALED_LEAST and len({cluster_of(ticket) for ticket in sealed}) > 1


def cluster_of(ticket: Ticket) -> str:
    """Tickets of one customer, or else of one conversation, hang together."""
    return ticket.customer_id or ticket.conversation_id or ticket.id


def held_out(session: Session, assistant: Assistant) -> list[Ticket]:
    """The tickets that are kept apart from training, in a fixed order.

    Those that rest on a retired policy are among them: not asked now, they may be asked again.
    """
    return list(
        session.exec(
            select(Ticket)
            .where(Ticket.assistant_id == assistant.id, col(Ticket.retired_at).is_(None))
            .order_by(col(Ticket.external_id))
        )
    )


def in_exam(session: Session, assistant: Assistant) -> list[Ticket]:
    """The tickets that exams ask, in a fixed order: those held out, less what rests on a retired policy."""
    gone = policies.retired(session, assistant)
    return [each for each in held_out(session, assistant) if each.policy_id not in gone]
