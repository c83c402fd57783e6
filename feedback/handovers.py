"""A person takes over: asked for, taken by one agent, handed back or closed. Daily work teaches, too.

Nobody's absence holds a conversation: a colleague may take it from whoever has it (the doors let only
operators do that), and the conversations of somebody who is shut out wait for a person again.

What an agent sends from the bot's draft is a correction where they changed it and an approval where
they did not; what they write from scratch until the customer's next message is one demonstration.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from feedback import conversations, corrections
from feedback.desk import desk_of, is_open
from feedback.desk_tables import Handover, HandoverOutcome, HandoverReason, Staff
from feedback.errors import Conflict, Invalid
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Handling,
    Message,
    MessageState,
    Role,
    Speaker,
    now,
)


def request(
    session: Session, conversation: Conversation, reason: HandoverReason, detail: str = ""
) -> Handover:
    """Put a conversation into the human queue; one that is there already stays where it is."""
    conversation = conversations.get(session, conversation.id, lock=True)
    running = current(session, conversation)
    if running is not None:
        return running
    assistant = session.get_one(Assistant, conversation.assistant_id)
    handover = Handover(
        conversation_id=conversation.id,
        reason=reason,
        detail=detail[:400],
        out_of_hours=not is_open(desk_of(assistant), now()),
    )
    conversation.handling = Handling.WAITING
    conversation.waiting_since = handover.created_at
    conversation.closed_at = None
    session.add(handover)
    session.flush()
    return handover


def current(session: Session, conversation: Conversation) -> Handover | None:
    """The hand-over under way, waiting or taken."""
    return session.exec(
        select(Handover)
        .where(Handover.conversation_id == conversation.id, col(Handover.ended_at).is_(None))
        .order_by(col(Handover.created_at).desc())
    ).first()


def history(session: Session, conversation: Conversation) -> list[Handover]:
    """Every hand-over of a conversation, oldest first."""
    return list(
        session.exec(
            select(Handover)
            .where(Handover.conversation_id == conversation.id)
            .order_by(col(Handover.created_at), col(Handover.id))
        )
    )


def people_ahead(session: Session, conversation: Conversation) -> int:
    """How many conversations of the same assistant have waited for longer."""
    if conversation.handling != Handling.WAITING or conversation.waiting_since is None:
        return 0
    return session.exec(
        select(func.count())
        .select_from(Conversation)
        .where(
            Conversation.assistant_id == conversation.assistant_id,
            Conversation.handling == Handling.WAITING,
            col(Conversation.waiting_since) < conversation.waiting_since,
        )
    ).one()


def take(session: Session, conversation: Conversation, person: Staff) -> Handover:
    """One agent takes a conversation; the bot is silent from now on. Two cannot."""
    conversation = conversations.get(session, conversation.id, lock=True)
    if (holder := _other_holder(session, conversation, person)) is not None:
        raise Conflict(
            f"{holder.name} has taken this conversation already; an operator may take it over."
        )
    handover = current(session, conversation) or request(
        session, conversation, HandoverReason.AGENT_STEPPED_IN
    )
    return _give_to(session, conversation, handover, person)


def take_over(session: Session, conversation: Conversation, person: Staff) -> Staff:
    """Take a conversation from whoever has it, say because they are away; returns who that was."""
    conversation = conversations.get(session, conversation.id, lock=True)
    holder = _other_holder(session, conversation, person)
    if holder is None:
        raise Conflict("Nobody else has this conversation; simply take it.")
    again = _begin_again(session, conversation, person.id, HandoverOutcome.TAKEN_OVER)
    _give_to(session, conversation, again, person)
    return holder


def put_back(session: Session, person: Staff, assistant_id: str | None = None) -> int:
    """What a person has (of one assistant, or of all) waits for a person again; says how many."""
    theirs = select(Conversation.id).where(
        Conversation.assigned_to_id == person.id, Conversation.handling == Handling.PERSON
    )
    if assistant_id is not None:
        theirs = theirs.where(Conversation.assistant_id == assistant_id)
    count = 0
    for ident in session.exec(theirs.order_by(col(Conversation.id))).all():
        conversation = conversations.get(session, ident, lock=True)
        if conversation.handling != Handling.PERSON or conversation.assigned_to_id != person.id:
            continue  # let go in the moment before it was locked
        first_asked_at = _asked_at(session, conversation)
        _begin_again(session, conversation, None, HandoverOutcome.PUT_BACK)
        conversation.handling = Handling.WAITING
        conversation.assigned_to_id = None
        # The customer asked then and is not sent to the end of the queue.
        conversation.waiting_since = first_asked_at
        count += 1
    session.flush()
    return count


def _asked_at(session: Session, conversation: Conversation) -> datetime:
    running = current(session, conversation)
    return running.created_at if running else now()


def _begin_again(
    session: Session,
    conversation: Conversation,
    ended_by_id: str | None,
    outcome: HandoverOutcome,
) -> Handover:
    """End one person's stay and open another for the same reason."""
    running = current(session, conversation)
    reason, detail = HandoverReason.AGENT_STEPPED_IN, ""
    if running is not None:
        reason, detail = running.reason, running.detail
        running.ended_at, running.ended_by_id, running.outcome = now(), ended_by_id, outcome
        session.flush()
    return request(session, conversation, reason, detail)


def _other_holder(session: Session, conversation: Conversation, person: Staff) -> Staff | None:
    """Who has the conversation, if it is somebody else."""
    if conversation.handling != Handling.PERSON or conversation.assigned_to_id == person.id:
        return None
    return session.get_one(Staff, conversation.assigned_to_id)


def _give_to(
    session: Session, conversation: Conversation, handover: Handover, person: Staff
) -> Handover:
    handover.taken_by_id = person.id
    handover.taken_at = handover.taken_at or now()
    conversation.handling = Handling.PERSON
    conversation.assigned_to_id = person.id
    conversation.waiting_since = None
    _silence(session, conversation)
    session.flush()
    return handover


def _silence(session: Session, conversation: Conversation) -> None:
    """An answer being written ends here; whoever writes it finds it ended and stops."""
    for message in conversations.messages_of(session, conversation.id):
        if message.state == MessageState.WRITING:
            message.state = MessageState.INTERRUPTED
            message.finished_at = now()
            message.error = "A person took over."


def hand_back(session: Session, conversation: Conversation, person: Staff) -> Conversation:
    """The bot answers again."""
    return _let_go(session, conversation, person, HandoverOutcome.HANDED_BACK)


def close(session: Session, conversation: Conversation, person: Staff) -> Conversation:
    """Done. The customer's next message opens it again, with the bot."""
    return _let_go(session, conversation, person, HandoverOutcome.CLOSED)


def _let_go(
    session: Session, conversation: Conversation, person: Staff, outcome: HandoverOutcome
) -> Conversation:
    conversation = conversations.get(session, conversation.id, lock=True)
    _check_theirs(session, conversation, person)
    return _end(session, conversation, person.id, outcome)


def leave(session: Session, conversation: Conversation) -> Conversation:
    """The customer ends the chat: nobody waits any more, and a person who was there is free."""
    conversation = conversations.get(session, conversation.id, lock=True)
    if conversation.handling == Handling.CLOSED:
        return conversation
    return _end(session, conversation, None, HandoverOutcome.CUSTOMER_LEFT)


def _end(
    session: Session, conversation: Conversation, by_id: str | None, outcome: HandoverOutcome
) -> Conversation:
    handover = current(session, conversation)
    if handover is not None:
        handover.ended_at, handover.ended_by_id, handover.outcome = now(), by_id, outcome
    closed = outcome != HandoverOutcome.HANDED_BACK
    conversation.handling = Handling.CLOSED if closed else Handling.BOT
    conversation.assigned_to_id = None
    conversation.waiting_since = None
    conversation.closed_at = now() if closed else None
    session.flush()
    return conversation


def _check_theirs(session: Session, conversation: Conversation, person: Staff) -> None:
    if conversation.assigned_to_id not in (None, person.id):
        holder = session.get_one(Staff, conversation.assigned_to_id)
        raise Conflict(
            f"{holder.name} has this conversation; ask them to hand it back, or an operator to take "
            "it over."
        )


@dataclass(frozen=True)
class Sent:
    """An agent's message and what it taught."""

    message: Message
    feedback: Feedback | None


def send(
    session: Session,
    conversation: Conversation,
    person: Staff,
    text: str,
    draft_id: str | None = None,
    idempotency_key: str | None = None,
) -> Sent:
    """An agent's message to the customer. Sent again under its key, it is sent once."""
    conversation = conversations.get(session, conversation.id, lock=True)
    if idempotency_key and (earlier := _sent_before(session, conversation, idempotency_key)):
        return Sent(earlier, None)
    if conversation.handling != Handling.PERSON or conversation.assigned_to_id != person.id:
        raise Conflict("Take this conversation first; then the customer hears you and not the bot.")
    text = conversations.check_text(text)
    question = last_question(session, conversation)
    message = conversations.say(
        session,
        conversation,
        Speaker.AGENT,
        text,
        author=person.name,
        finished_at=now(),
        reply_to_id=question.id if question else None,
        idempotency_key=idempotency_key,
    )
    return Sent(message, _taught(session, conversation, person, text, draft_id, question))


def _sent_before(
    session: Session, conversation: Conversation, idempotency_key: str
) -> Message | None:
    return session.exec(
        select(Message).where(
            Message.conversation_id == conversation.id,
            Message.idempotency_key == idempotency_key,
            Message.speaker == Speaker.AGENT,
        )
    ).first()


def last_question(session: Session, conversation: Conversation) -> Message | None:
    """What the customer said last."""
    return session.exec(
        select(Message)
        .where(Message.conversation_id == conversation.id, Message.speaker == Speaker.CUSTOMER)
        .order_by(col(Message.position).desc())
    ).first()


def _taught(
    session: Session,
    conversation: Conversation,
    person: Staff,
    text: str,
    draft_id: str | None,
    question: Message | None,
) -> Feedback | None:
    """The training signal in a message: a correction, an approval or a demonstration."""
    if draft_id is not None:
        draft = conversations.message(session, draft_id)
        if draft.conversation_id != conversation.id or draft.state != MessageState.DRAFT:
            raise Invalid(f"Message {draft_id!r} is not a draft of this conversation.")
        if question is not None and draft.reply_to_id == question.id:
            if draft.text.strip() == text:
                return _give(session, draft, FeedbackKind.APPROVAL, person)
            return _give(session, draft, FeedbackKind.CORRECTION, person, text)
        # The customer wrote meanwhile: the draft answers an earlier question, the text this one.
    if question is None or _taught_by_draft(session, question, person):
        return None
    whole = _said_to(session, question, person)
    if len(whole) > feedback_settings().text_max_chars:
        return None  # longer than one lesson may be; what was kept so far stands
    return _give(session, question, FeedbackKind.DEMONSTRATION, person, whole)


def _give(
    session: Session, about: Message, kind: FeedbackKind, person: Staff, text: str | None = None
) -> Feedback:
    return corrections.give(session, about.id, kind, person.email, Role.AGENT, text=text)


def _taught_by_draft(session: Session, question: Message, person: Staff) -> bool:
    """Whether the person answered this question from a draft: that word stands, and what they add to
    it ("Anything else?") would only take its place.
    """
    word = session.exec(
        select(Feedback.id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .where(
            Message.conversation_id == question.conversation_id,
            Message.reply_to_id == question.id,
            Message.state == MessageState.DRAFT,
            Feedback.author == person.email,
            col(Feedback.kind).in_((FeedbackKind.CORRECTION, FeedbackKind.APPROVAL)),
            Feedback.state == FeedbackState.ACTIVE,
        )
        .limit(1)
    )
    return word.first() is not None


def _said_to(session: Session, question: Message, person: Staff) -> str:
    """All that a person has written to this question, the message just sent included.

    Joined, and not the last alone: no message of several is *the* answer. "Hi, one moment" comes before
    it, "Anything else?" after it, and a long one comes in parts; together they are what the customer was
    told, and just what `transcript.render` makes of them when the conversation goes on.
    """
    said = session.exec(
        select(Message.text)
        .where(
            Message.conversation_id == question.conversation_id,
            Message.speaker == Speaker.AGENT,
            Message.reply_to_id == question.id,
            Message.author == person.name,
        )
        .order_by(col(Message.position))
    )
    return "\n\n".join(said)


def keep_draft(session: Session, conversation: Conversation, text: str, **how: Any) -> Message:
    """Keep what the bot would say now as a draft; `how` names the columns that reproduce it."""
    question = last_question(session, conversation)
    if question is None:
        raise Invalid("There is nothing to answer yet: the customer has not said anything.")
    return conversations.say(
        session,
        conversation,
        Speaker.ASSISTANT,
        text,
        state=MessageState.DRAFT,
        reply_to_id=question.id,
        finished_at=now(),
        **how,
    )


def waiting_minutes(conversation: Conversation, at: datetime) -> int:
    """How long a customer has waited."""
    if conversation.waiting_since is None:
        return 0
    return int((at - conversation.waiting_since).total_seconds() // 60)
