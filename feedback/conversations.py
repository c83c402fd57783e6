"""The log: conversations and what was said in them. Called by the service's doors and by imports.

A question is stored before the model sees it, together with the row its answer will fill, so that a
retry of the same request finds both.
"""

import hashlib
import json
import math
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback.errors import Invalid, NotFound
from feedback.settings import feedback_settings
from feedback.storing import storable
from feedback.tables import (
    UNSEEN,
    Adapter,
    Assistant,
    Conversation,
    Customer,
    Message,
    MessageState,
    Prompt,
    Speaker,
    now,
)
from feedback.transcript import ModelMessages, turns

QUERY_IDS = 500
"""How many rows one query names; databases bound the number of parameters."""


def check_text(text: str, what: str = "message") -> str:
    """The text without outer white space, or Invalid if it is empty, too long or not text."""
    text = text.strip()
    limit = feedback_settings().text_max_chars
    if not text:
        raise Invalid(f"The {what} is empty; expected 1 to {limit} characters.")
    if len(text) > limit:
        raise Invalid(
            f"The {what} has {len(text)} characters; expected at most {limit} "
            "(setting FEEDBACK_TEXT_MAX_CHARS)."
        )
    _check_plain(text, what)
    return text


def check_name(name: str, what: str, limit: int = 200) -> str:
    """An id or name given from outside, or Invalid if it would not fit its column."""
    name = name.strip()
    if not 1 <= len(name) <= limit:
        raise Invalid(f"The {what} has {len(name)} characters; expected 1 to {limit}.")
    _check_plain(name, what)
    return name


def _check_plain(text: str, what: str) -> None:
    if "\x00" in text:
        raise Invalid(f"The {what} contains a NUL character; expected plain text.")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise Invalid(f"The {what} contains half of a surrogate pair; expected plain text.")


def customer_named(session: Session, assistant: Assistant, external_id: str) -> Customer:
    """The customer the site calls `external_id`, made on first sight."""
    found = find_customer(session, assistant, external_id)
    if found is not None:
        return found
    external_id = check_name(external_id, "customer's name")
    try:
        with session.begin_nested():
            session.add(Customer(assistant_id=assistant.id, external_id=external_id))
    except IntegrityError:
        pass  # another request met this customer in the same moment
    return session.exec(_customer(assistant, external_id)).one()


def find_customer(session: Session, assistant: Assistant, external_id: str) -> Customer | None:
    """The customer the site calls `external_id`, if they were ever seen."""
    return session.exec(_customer(assistant, external_id.strip())).first()


def _customer(assistant: Assistant, external_id: str) -> SelectOfScalar[Customer]:
    return select(Customer).where(
        Customer.assistant_id == assistant.id, Customer.external_id == external_id
    )


def begin(
    session: Session,
    assistant: Assistant,
    adapter: Adapter | None,
    customer: str | None = None,
    channel: str = "api",
    **more: Any,
) -> Conversation:
    """A new conversation; its voice is `adapter` (None: the base model) from first to last."""
    conversation = Conversation(
        assistant_id=assistant.id,
        adapter_id=adapter.id if adapter else None,
        customer_id=customer_named(session, assistant, customer).id if customer else None,
        channel=channel,
        **more,
    )
    session.add(conversation)
    session.flush()
    return conversation


def get(session: Session, conversation_id: str, lock: bool = False) -> Conversation:
    """The conversation, or NotFound. `lock` makes writers to one conversation take turns."""
    query = select(Conversation).where(Conversation.id == conversation_id)
    found = session.exec(query.with_for_update() if lock else query).first()
    if found is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return found


def messages_of(session: Session, conversation_id: str) -> list[Message]:
    """Everything said, in order."""
    return list(
        session.exec(
            select(Message)
            .where(Message.conversation_id == conversation_id)
            .order_by(col(Message.position))
        )
    )


def told(messages: list[Message]) -> list[Message]:
    """What the customer may see: everything but drafts and shadow answers."""
    return [message for message in messages if message.state not in UNSEEN]


def not_being_written(session: Session, answer_ids: list[str]) -> set[str]:
    """Those of these answers that somebody has ended."""
    ended: set[str] = set()
    for start in range(0, len(answer_ids), QUERY_IDS):
        query = select(Message.id).where(
            col(Message.id).in_(answer_ids[start : start + QUERY_IDS]),
            Message.state != MessageState.WRITING,
        )
        ended.update(session.exec(query))
    return ended


def message(session: Session, message_id: str) -> Message:
    """One message, or NotFound."""
    found = session.get(Message, message_id)
    if found is None:
        raise NotFound(f"There is no message {message_id!r}.")
    return found


def say(
    session: Session, conversation: Conversation, speaker: Speaker, text: str, **more: Any
) -> Message:
    """Append a message. The caller holds the conversation's lock."""
    if text:
        text = storable(session.get_one(Assistant, conversation.assistant_id), text)
    position = session.exec(
        select(func.count()).where(col(Message.conversation_id) == conversation.id)
    ).one()
    row = Message(
        conversation_id=conversation.id, position=position, speaker=speaker, text=text, **more
    )
    session.add(row)
    _note(conversation, row)
    session.add(conversation)
    session.flush()
    return row


def noted(message: Message, lowest_confidence: float | None) -> dict[str, Any]:
    """What lists of conversations show once this was said: the last words, and how sure the bot was."""
    if message.state in UNSEEN:
        return {}
    shown: dict[str, Any] = {"last_message_at": message.finished_at or message.created_at}
    if message.text:
        shown["last_text"] = message.text[:160]
    if (sure := confidence(message)) is not None:
        shown["lowest_confidence"] = min(sure, lowest_confidence or 1.0)
    if message.speaker == Speaker.ASSISTANT:
        shown["reviewed_at"] = None
    return shown


def _note(conversation: Conversation, message: Message) -> None:
    for name, value in noted(message, conversation.lowest_confidence).items():
        setattr(conversation, name, value)


def confidence(answer: Message) -> float | None:
    """How sure the bot was: the geometric mean of its tokens' probabilities, 0 to 1; None if unknown."""
    return None if answer.mean_logprob is None else math.exp(answer.mean_logprob)


def asked_before(
    session: Session, conversation: Conversation, idempotency_key: str
) -> tuple[Message, Message | None] | None:
    """The question sent under this key, and its answer's row, if the bot was to answer."""
    question = session.exec(
        select(Message).where(
            Message.conversation_id == conversation.id,
            Message.idempotency_key == idempotency_key,
        )
    ).first()
    if question is None:
        return None
    return question, answer_to(session, question)


def answer_to(session: Session, question: Message) -> Message | None:
    """The row of the bot's answer to a question; None where a person answers."""
    return session.exec(
        select(Message)
        .where(
            Message.reply_to_id == question.id,
            Message.speaker == Speaker.ASSISTANT,
            col(Message.state).not_in(UNSEEN),
        )
        .order_by(col(Message.position).desc())
    ).first()


def ask(
    session: Session,
    conversation: Conversation,
    text: str,
    prompt: Prompt,
    adapter: Adapter | None,
    base_model: str,
    sampling: dict[str, Any],
    idempotency_key: str | None = None,
    writer: str | None = None,
) -> tuple[Message, Message]:
    """Store a customer's question and open the row of its answer, to be filled by `writer`."""
    question = write(session, conversation, text, idempotency_key)
    answer = say(
        session,
        conversation,
        Speaker.ASSISTANT,
        "",
        state=MessageState.WRITING,
        reply_to_id=question.id,
        prompt_id=prompt.id,
        adapter_id=adapter.id if adapter else None,
        adapter_digest=adapter.digest if adapter else None,
        base_model=base_model,
        sampling=sampling,
        writer=writer,
    )
    return question, answer


def write(
    session: Session, conversation: Conversation, text: str, idempotency_key: str | None = None
) -> Message:
    """Store what a customer says, without an answer: a person reads it."""
    return say(
        session,
        conversation,
        Speaker.CUSTOMER,
        check_text(text),
        idempotency_key=idempotency_key,
        finished_at=now(),
    )


def finish(session: Session, answer_id: str, state: MessageState, **result: Any) -> Message:
    """Fill an answer's row: text, tokens, timings, or the error."""
    answer = message(session, answer_id)
    answer.state = state
    answer.finished_at = now()
    for name, value in result.items():
        setattr(answer, name, value)
    session.add(answer)
    conversation = get(session, answer.conversation_id)
    _note(conversation, answer)
    conversation.transcript_sha256 = transcript_sha256(turns(messages_of(session, conversation.id)))
    session.add(conversation)
    session.flush()
    return answer


def transcript_sha256(conversation: ModelMessages) -> str:
    """A fingerprint of what was said, by which a stateless client's conversation is found again."""
    return hashlib.sha256(json.dumps(conversation, sort_keys=True).encode()).hexdigest()


def with_transcript(
    session: Session, assistant: Assistant, api_key_id: str, said: ModelMessages
) -> Conversation | None:
    """The newest conversation of this caller in which exactly this was said."""
    return session.exec(
        select(Conversation)
        .where(
            Conversation.transcript_sha256 == transcript_sha256(as_stored(assistant, said)),
            Conversation.assistant_id == assistant.id,
            Conversation.api_key_id == api_key_id,
        )
        .order_by(col(Conversation.created_at).desc())
        .limit(1)
    ).first()


def as_stored(assistant: Assistant, said: ModelMessages) -> ModelMessages:
    """Turns as they would be stored, to find the conversation in which they were said."""
    return [{**turn, "content": storable(assistant, turn["content"])} for turn in said]


def take_over(session: Session, conversation: Conversation, said: ModelMessages) -> None:
    """Store turns that happened elsewhere. Their answers were not made here: no adapter is named."""
    for turn in said:
        speaker = Speaker.CUSTOMER if turn["role"] == "user" else Speaker.ASSISTANT
        say(session, conversation, speaker, check_text(turn["content"]), finished_at=now())


def close_abandoned(session: Session, writer: str, older_than_seconds: float) -> int:
    """Mark answers whose writer died as interrupted, so that the same request may resume them.

    Those of `writer` itself, which has just started again, and any that are far too old.
    """
    limit = now() - timedelta(seconds=older_than_seconds)
    abandoned = session.exec(
        select(Message).where(
            Message.state == MessageState.WRITING,
            or_(Message.writer == writer, col(Message.created_at) < limit),
        )
    ).all()
    for answer in abandoned:
        answer.state = MessageState.INTERRUPTED
        answer.finished_at = now()
        answer.error = "The service stopped while it was answering."
        session.add(answer)
    return len(abandoned)
