"""What people taught, word by word, each with its place: a stream, question by question.

lessons.py makes rows of it, holding_out.py tickets. Nothing is written here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, case
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from feedback.batches import in_batches
from feedback.disputes import withheld
from feedback.holds import Held
from feedback.tables import (
    UNSEEN,
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Customer,
    DatasetItem,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    ItemSource,
    Message,
    MessageState,
    Role,
)
from feedback.transcript import ModelMessages, turns

BATCH = 400
"""Questions in memory at a time; below what one query may name."""


@dataclass(slots=True)
class Taught:
    """A word with its place: what it is about, in which conversation, whose."""

    feedback: Feedback
    message: Message
    conversation_id: str
    customer_id: str | None
    customer: str | None
    external_id: str | None
    topic: str | None
    topic_by: str | None
    context: ModelMessages

    @property
    def who(self) -> str:
        """Whoever the split goes by: the customer, else the conversation, else its first words."""
        return self.customer or self.external_id or self.context[0]["content"]


def questions(
    session: Session, assistant: Assistant, kinds: Sequence[FeedbackKind]
) -> Iterator[list[Taught]]:
    """Words of these kinds in force, those on one question together, oldest first."""
    asked = case(
        (col(Feedback.kind) == FeedbackKind.DEMONSTRATION, col(Message.id)),
        else_=func.coalesce(Message.reply_to_id, Message.id),
    )
    query = (
        columns(
            Feedback,
            Message,
            col(Conversation.customer_id),
            col(Conversation.external_id),
            col(Conversation.topic),
            col(Conversation.topic_by),
            col(Customer.external_id),
            asked,
        )
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(
            col(Conversation.assistant_id) == assistant.id,
            col(Feedback.kind).in_(kinds),
            col(Feedback.state) == FeedbackState.ACTIVE,
        )
        .order_by(asked, col(Feedback.created_at), col(Feedback.id))
        .execution_options(yield_per=1000)
    )
    for _, rows in groupby(session.execute(query), key=lambda row: row[-1]):
        yield [_taught(*row) for row in rows]


def _taught(
    feedback: Feedback,
    message: Message,
    customer_id: str | None,
    external_id: str | None,
    topic: str | None,
    topic_by: str | None,
    customer: str | None,
    _asked: str,
) -> Taught:
    return Taught(
        feedback, message, message.conversation_id, customer_id, customer, external_id, topic,
        topic_by, [],
    )  # fmt: skip


def standing(
    session: Session,
    assistant: Assistant,
    held: Held,
    batch: list[list[Taught]],
    counts: Counter[str],
) -> list[Taught]:
    """Of several people's words on one answer, the newest counts; without those in dispute or held."""
    every = [word for question in batch for word in question]
    counts["feedback"] += len(every)
    out: dict[str, str] = {**held.why(word.feedback for word in every)}
    out |= {
        word.feedback.id: "policy_retired"
        for word in every
        if word.feedback.policy_id in held.policies
    }
    out |= withheld(session, assistant, ((word.feedback, word.message) for word in every))
    counts.update(str(why) for why in out.values())
    newest = []
    for question in batch:
        left = [word for word in question if word.feedback.id not in out]
        counts["outdated"] += max(0, len(left) - 1)
        newest += left[-1:]
    return newest


def with_context(session: Session, words: list[Taught]) -> None:
    """Fill in what had been said when the answer that each word is about was due."""
    said = _said(session, {word.conversation_id for word in words})
    for word in words:
        word.context = context_of(word.feedback, word.message, said[word.conversation_id])


def _said(session: Session, conversation_ids: set[str]) -> dict[str, list[Row[Any]]]:
    said: dict[str, list[Row[Any]]] = {each: [] for each in conversation_ids}
    for ids in in_batches(sorted(said), BATCH):
        query = (
            columns(
                col(Message.conversation_id),
                col(Message.id),
                col(Message.position),
                col(Message.speaker),
                col(Message.state),
                col(Message.text),
            )
            .where(col(Message.conversation_id).in_(ids))
            .order_by(col(Message.conversation_id), col(Message.position))
        )
        for row in session.execute(query):
            said[row[0]].append(row)
    return said


def context_of(feedback: Feedback, message: Message, said: Sequence[Any]) -> ModelMessages:
    """What had been said when the answer that feedback is about was due.

    `said`: the conversation's messages in order, as rows or as these columns.
    """
    last = message.position - 1
    if feedback.kind == FeedbackKind.DEMONSTRATION:
        last = message.position
    elif message.state in UNSEEN:
        # Made beside what was said, maybe after it; it answers what its question had led to.
        last = next((m.position for m in said if m.id == message.reply_to_id), last)
    return turns(m for m in said if m.position <= last)


def is_whole(message: Message) -> bool:
    """Whether an answer was finished; what broke off is no example of anything."""
    return message.state in (MessageState.COMPLETE, MessageState.DRAFT)


def chosen_of(word: Taught) -> str | None:
    """What a word would have the bot say: its own text, or the whole answer approved."""
    if word.feedback.kind in (FeedbackKind.APPROVAL, FeedbackKind.RATING):
        return word.message.text if is_whole(word.message) else None
    return word.feedback.text


def learned_already(session: Session, assistant: Assistant, feedback_ids: list[str]) -> set[str]:
    """Those of these words that the newest adapter has learned."""
    newest = (
        select(Adapter.id)
        .where(Adapter.assistant_id == assistant.id)
        .order_by(col(Adapter.version).desc())
        .limit(1)
    )
    query = (
        select(ItemSource.feedback_id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(
            col(ItemSource.feedback_id).in_(feedback_ids),
            col(AdapterDataset.adapter_id).in_(newest),
        )
    )
    return set(session.exec(query))


def staff_reasons(session: Session, message_ids: list[str]) -> dict[tuple[str, str], FlagReason]:
    """What staff say was wrong with these answers, by message and author."""
    query = select(Feedback.message_id, Feedback.author, Feedback.reason).where(
        col(Feedback.message_id).in_(message_ids),
        Feedback.kind == FeedbackKind.FLAG,
        Feedback.state == FeedbackState.ACTIVE,
        Feedback.author_role != Role.CUSTOMER,
    )
    return {
        (message_id, author): FlagReason(reason)
        for message_id, author, reason in session.exec(query)
        if reason is not None
    }


def said_by_staff(session: Session, held: Held, message_ids: list[str]) -> dict[str, bool]:
    """Whether staff found these answers good, where they looked and are of one mind. Whose words are held
    confirms nothing.
    """
    about = (FeedbackKind.APPROVAL, FeedbackKind.CORRECTION, FeedbackKind.FLAG)
    words = session.exec(
        select(Feedback).where(
            col(Feedback.message_id).in_(message_ids),
            col(Feedback.kind).in_(about),
            Feedback.state == FeedbackState.ACTIVE,
            Feedback.author_role != Role.CUSTOMER,
        )
    ).all()
    out = held.why(words)
    found: dict[str, set[bool]] = {}
    for word in words:
        if word.id not in out:
            found.setdefault(word.message_id, set()).add(word.kind == FeedbackKind.APPROVAL)
    return {message_id: good.pop() for message_id, good in found.items() if len(good) == 1}
