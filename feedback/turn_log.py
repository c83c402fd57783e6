"""What chat writes with every turn, in the few statements it needs. Called by service/turns.py.

The rows are those of `conversations.begin`, `ask` and `finish`, which do the same through the ORM for
whoever is in no hurry; a test compares them. What is out of the ordinary is left to those.
"""

from typing import Any, NamedTuple, TypeVar

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import configure_mappers, make_transient_to_detached
from sqlalchemy.orm.attributes import manager_of_class
from sqlmodel import Session, SQLModel

from feedback.conversations import check_text, customer_named, noted, transcript_sha256
from feedback.errors import NotFound
from feedback.ids import new_id
from feedback.prepared import Prepared
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Handling,
    Message,
    MessageState,
    Speaker,
    now,
)
from feedback.transcript import ModelMessages

configure_mappers()  # `_row` makes rows without it
T = TypeVar("T", Message, Conversation)
_OF, _SAYS = SQLModel.metadata.tables["conversation"], SQLModel.metadata.tables["message"]
_UNSAID, _NOTHING = dict.fromkeys(_OF.columns.keys()), dict.fromkeys(_SAYS.columns.keys())


class Talk(NamedTuple):
    """What a turn needs to know of its conversation; the columns of these names."""

    id: str
    assistant_id: str
    customer_id: str | None
    api_key_id: str | None
    adapter_id: str | None
    topic: str | None
    trial_id: str | None
    handling: str
    lowest_confidence: float | None


class Line(NamedTuple):
    """What a turn needs to know of something said before."""

    id: str
    speaker: str
    text: str
    state: str
    idempotency_key: str | None
    engine: str | None


class Before(NamedTuple):
    """Where a conversation stands when a question arrives; held until the transaction ends."""

    conversation: Talk
    said: list[Line]


# Made once, of tables and not of classes: to build a statement takes longer than to run it.
_CONVERSATION = Prepared(
    select(*(_OF.c[name] for name in Talk._fields))
    .where(_OF.c.id == bindparam("_id"))
    .with_for_update()
)
_SAID = Prepared(
    select(*(_SAYS.c[name] for name in Line._fields))
    .where(_SAYS.c.conversation_id == bindparam("_id"))
    .order_by(_SAYS.c.position)
)
_BEGIN = Prepared(insert(_OF))
_SAY = Prepared(insert(_SAYS))
_FILL = Prepared(
    update(_SAYS).where(_SAYS.c.id == bindparam("_id"), _SAYS.c.state == bindparam("_state"))
)
_SHOW = Prepared(update(_OF).where(_OF.c.id == bindparam("_id")))
_SETTLE = Prepared(
    update(_OF).where(
        _OF.c.id == bindparam("_id"),
        or_(_OF.c.topic.is_(None), _OF.c.topic == bindparam("_topic")),
    )
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
    at = now()
    known = customer_named(session, assistant, customer) if customer else None
    values = {
        **_UNSAID,
        "id": new_id(),
        "assistant_id": assistant.id,
        "adapter_id": adapter.id if adapter else None,
        "customer_id": known.id if known else None,
        "channel": channel,
        "handling": Handling.BOT,
        "last_text": "",
        "created_at": at,
        "last_message_at": at,
        **more,
    }
    _BEGIN.run(session.connection(), values)
    return _row(Conversation, values)


def before(session: Session, conversation_id: str) -> Before:
    """The conversation and everything said in it; NotFound if there is none."""
    connection = session.connection()
    found = _CONVERSATION.run(connection, {"_id": conversation_id}).fetchone()
    if found is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    said = _SAID.run(connection, {"_id": conversation_id}).fetchall()
    return Before(Talk(*found), [Line(*line) for line in said])


def ask(
    session: Session, stands: Before, text: str, idempotency_key: str | None, **how: Any
) -> tuple[Message, Message]:
    """Store a question and open the row of its answer; `how` names the columns that reproduce it."""
    found, at = stands.conversation, now()
    common = {**_NOTHING, "conversation_id": found.id, "created_at": at}
    asked = {
        **common,
        "id": new_id(),
        "position": len(stands.said),
        "speaker": Speaker.CUSTOMER,
        "text": check_text(text),
        "state": MessageState.COMPLETE,
        "idempotency_key": idempotency_key,
        "finished_at": at,
    }
    opened = {
        **common,
        "id": new_id(),
        "position": len(stands.said) + 1,
        "speaker": Speaker.ASSISTANT,
        "text": "",
        "state": MessageState.WRITING,
        "reply_to_id": asked["id"],
        **how,
    }
    question, answer = _row(Message, asked), _row(Message, opened)
    connection = session.connection()
    _SAY.run_all(connection, [asked, opened])
    shown = noted(question, found.lowest_confidence) | noted(answer, found.lowest_confidence)
    _SHOW.run(connection, {"_id": found.id, **shown})
    return question, answer


def move(session: Session, conversation_id: str, adapter: Adapter | None) -> None:
    """From now on the conversation speaks with this adapter (None: the base model)."""
    values = {"_id": conversation_id, "adapter_id": adapter.id if adapter else None}
    _SHOW.run(session.connection(), values)


def settle(
    session: Session, answer: Message, adapter: Adapter | None, topic: str | None, **more: Any
) -> bool:
    """Before its first word an answer, and so its conversation, gets its voice: this adapter (None: the
    base model). `more`: who named the topic, the canary's arm it falls into.

    False, and nothing is stored, where somebody named another topic meanwhile, or it was erased.
    """
    connection = session.connection()
    voice: dict[str, Any] = {"adapter_id": adapter.id if adapter else None}
    known = {"_id": answer.conversation_id, "_topic": topic, "topic": topic}
    if _SETTLE.run(connection, {**known, **voice, **more}).rowcount != 1:
        return False
    voice["adapter_digest"] = adapter.digest if adapter else None
    _FILL.run(connection, {"_id": answer.id, "_state": MessageState.WRITING, **voice})
    return True


def finish(session: Session, answer: Message, said: ModelMessages, **result: Any) -> Message | None:
    """Fill an answer's row. `said`: everything said before it.

    None, and nothing is stored, where it is not that simple: a person has the conversation, or the
    answer was ended by somebody else. NotFound where its customer was erased meanwhile.
    """
    connection = session.connection()
    held = _CONVERSATION.run(connection, {"_id": answer.conversation_id}).fetchone()
    if held is None:
        raise NotFound("This conversation was erased; nothing of it was stored.")
    found = Talk(*held)
    if found.handling != Handling.BOT:
        return None
    result["finished_at"] = now()
    filled = _FILL.run(connection, {"_id": answer.id, "_state": MessageState.WRITING, **result})
    if filled.rowcount != 1:
        return None
    row = _row(Message, {name: getattr(answer, name) for name in _NOTHING} | result)
    shown = noted(row, found.lowest_confidence)
    spoken = [{"role": "assistant", "content": row.text}] if row.text else []
    shown["transcript_sha256"] = transcript_sha256([*said, *spoken])
    _SHOW.run(connection, {"_id": row.conversation_id, **shown})
    return row


def _row(table: type[T], values: dict[str, Any]) -> T:
    """A row as if it had been read: SQLModel's constructor takes longer than the database."""
    row: T = manager_of_class(table).new_instance()
    row.__dict__.update(values)
    make_transient_to_detached(row)
    return row
