"""What conversations are about, by name: who may say so, what is still unnamed, and the assistant's list.

The loop names what nobody has (training/naming.py); people do so in the console, over the API and on the
command line. What the bot named never teaches a topic (lessons.py).
"""

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import conversations
from feedback.batches import in_batches
from feedback.errors import Invalid
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackState,
    Message,
    Speaker,
)
from feedback.topics import BOT
from feedback.transcript import ModelMessages, turns


def name(
    session: Session, conversation: Conversation, topic: str | None, by: str
) -> tuple[str | None, str | None]:
    """Say what a conversation is about, or take it back (None); the topic before and after.

    Raises Invalid where the assistant has no such topic.
    """
    topic = (topic or "").strip() or None
    known = session.get_one(Assistant, conversation.assistant_id).topics
    if topic is not None and topic not in known:
        listed = ", ".join(map(repr, known)) or "none yet; an operator sets them"
        raise Invalid(f"Found the topic {topic!r}; expected one of the assistant's: {listed}.")
    before = conversation.topic
    conversation.topic, conversation.topic_by = topic, by[:200] if topic else None
    session.add(conversation)
    session.flush()
    return before, topic


def name_by_bot(session: Session, conversation_id: str, topic: str) -> bool:
    """Keep what the model chose, unless somebody said something meanwhile, or the talk or topic is gone."""
    found = session.get(Conversation, conversation_id)
    if found is None or found.topic is not None:
        return False
    if topic not in session.get_one(Assistant, found.assistant_id).topics:
        return False
    name(session, found, topic, BOT)
    return True


def number_unnamed(session: Session, assistant: Assistant) -> int:
    """How many conversations with feedback in force nobody has named the topic of."""
    wanted = _unnamed(assistant).subquery()
    return session.exec(select(func.count()).select_from(wanted)).one()


def unnamed(session: Session, assistant: Assistant, most: int) -> list[tuple[str, ModelMessages]]:
    """The newest of them, each with what was said."""
    newest = _unnamed(assistant).order_by(col(Conversation.id).desc()).limit(most)
    ids = list(session.exec(newest))
    found: list[tuple[str, ModelMessages]] = []
    for batch in in_batches(ids, conversations.QUERY_IDS):
        said: dict[str, list[Message]] = {each: [] for each in batch}
        query = select(Message).where(col(Message.conversation_id).in_(batch))
        for message in session.exec(query.order_by(col(Message.position))):
            said[message.conversation_id].append(message)
        found += [(each, turns(said[each])) for each in batch]
    return found


def _unnamed(assistant: Assistant) -> SelectOfScalar[str]:
    """Without a topic, with feedback in force, and with a customer's words to name it by."""
    judged = (
        select(Message.conversation_id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .where(Feedback.state == FeedbackState.ACTIVE)
    )
    asked = select(Message.conversation_id).where(
        Message.speaker == Speaker.CUSTOMER, Message.text != ""
    )
    return select(Conversation.id).where(
        Conversation.assistant_id == assistant.id,
        col(Conversation.topic).is_(None),
        col(Conversation.id).in_(judged),
        col(Conversation.id).in_(asked),
    )
