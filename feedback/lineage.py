"""From a person to every adapter that learned from them, and from any answer back to the people behind it.

A row of training data names the feedback it rests on, feedback its message, a message its conversation,
a conversation its customer. An adapter that was trained on from another one's weights has that one's datasets
beside those of its own cycle, so its datasets are all that an adapter knows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from feedback import adapters
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Conversation,
    Customer,
    Dataset,
    DatasetItem,
    Feedback,
    ItemSource,
    Message,
)


@dataclass(frozen=True)
class Author:
    """Somebody whose words an adapter learned, and how many rows rest on them."""

    name: str
    role: str
    rows: int


@dataclass(frozen=True)
class Behind:
    """The people behind an adapter's weights. `customer` and `author` counts are rows, not words."""

    adapter: Adapter | None
    """None: the base model, which learned from nobody here."""
    customers: list[tuple[Customer, int]]
    without_name: int
    """Rows from conversations whose customer is unknown."""
    erased: int
    """Rows whose people were erased since."""
    authors: list[Author]


@dataclass(frozen=True)
class Counted:
    """How much stands behind an adapter's weights, without a name."""

    words: dict[str, int]
    """Kind of feedback to how many."""
    authors: int
    conversations: int
    customers: int
    """Of those who are known by a name."""
    erased_rows: int
    """Rows whose people were erased since."""


def counted_behind(session: Session, adapter: Adapter) -> Counted:
    """How many corrections of how many authors and customers an adapter learned from."""
    kind, once = col(Feedback.kind), func.count(func.distinct(col(Feedback.id)))
    words = session.exec(_behind(select(kind, once), adapter).group_by(kind).order_by(kind))
    people = select(
        func.count(func.distinct(col(Feedback.author))),
        func.count(func.distinct(col(Conversation.id))),
        func.count(func.distinct(col(Conversation.customer_id))),
    )
    authors, talks, customers = session.exec(_behind(people, adapter)).one()
    said = {str(name): count for name, count in words}
    return Counted(said, authors, talks, customers, erased_rows(session, adapter))


def _behind(query: Any, adapter: Adapter) -> Any:
    """The query over all feedback an adapter learned from, with its conversations."""
    return (
        query.select_from(Feedback)
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(AdapterDataset.adapter_id == adapter.id)
    )


def erased_rows(session: Session, adapter: Adapter) -> int:
    """Rows an adapter learned from whose people were erased since."""
    return session.exec(
        select(func.count(func.distinct(col(DatasetItem.id))))
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(AdapterDataset.adapter_id == adapter.id, col(DatasetItem.erased_at).is_not(None))
    ).one()


def learned_from(session: Session, customer: Customer) -> list[Adapter]:
    """Every adapter that learned from this customer's conversations, oldest first."""
    return learned_from_talks(session, col(Conversation.customer_id) == customer.id)


def learned_from_talks(session: Session, whose: ColumnElement[bool]) -> list[Adapter]:
    """The same for any choice of conversations: one query, over every dataset there is."""
    query = (
        select(Adapter)
        .join(AdapterDataset, col(AdapterDataset.adapter_id) == Adapter.id)
        .join(DatasetItem, col(DatasetItem.dataset_id) == AdapterDataset.dataset_id)
        .join(ItemSource, col(ItemSource.item_id) == DatasetItem.id)
        .join(Feedback, col(Feedback.id) == ItemSource.feedback_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(whose)
        .distinct()
        .order_by(col(Adapter.version))
    )
    return list(session.exec(query))


def datasets_with(session: Session, customer: Customer) -> list[Dataset]:
    """Every dataset with a row that rests on this customer's conversations, oldest first."""
    query = (
        select(Dataset)
        .join(DatasetItem, col(DatasetItem.dataset_id) == Dataset.id)
        .join(ItemSource, col(ItemSource.item_id) == DatasetItem.id)
        .join(Feedback, col(Feedback.id) == ItemSource.feedback_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(Conversation.customer_id == customer.id)
        .distinct()
        .order_by(col(Dataset.created_at), col(Dataset.id))
    )
    return list(session.exec(query))


def feedback_behind(session: Session, adapter: Adapter) -> list[Feedback]:
    """Every correction, approval and demonstration an adapter learned from."""
    return list(
        session.exec(
            select(Feedback)
            .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
            .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
            .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
            .where(AdapterDataset.adapter_id == adapter.id)
            .distinct()
            .order_by(col(Feedback.id))
        )
    )


def customers_behind(session: Session, adapter: Adapter) -> list[tuple[Customer, int]]:
    """The customers whose conversations an adapter learned from, with how many rows each gave."""
    return list(
        session.exec(
            select(Customer, func.count(func.distinct(col(DatasetItem.id))))
            .join(Conversation, col(Conversation.customer_id) == Customer.id)
            .join(Message, col(Message.conversation_id) == Conversation.id)
            .join(Feedback, col(Feedback.message_id) == Message.id)
            .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
            .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
            .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
            .where(AdapterDataset.adapter_id == adapter.id)
            .group_by(col(Customer.id))
            .order_by(col(Customer.external_id))
        )
    )


def people_behind(session: Session, adapter: Adapter | None) -> Behind:
    """The customers whose conversations an adapter learned from, and who said what it should say."""
    if adapter is None:
        return Behind(None, [], 0, 0, [])
    rows = func.count(func.distinct(col(DatasetItem.id)))
    nameless = session.exec(
        select(rows)
        .join(ItemSource, col(ItemSource.item_id) == DatasetItem.id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .join(Feedback, col(Feedback.id) == ItemSource.feedback_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(AdapterDataset.adapter_id == adapter.id, col(Conversation.customer_id).is_(None))
    ).one()
    authors = session.exec(
        select(Feedback.author, Feedback.author_role, rows)
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(AdapterDataset.adapter_id == adapter.id)
        .group_by(col(Feedback.author), col(Feedback.author_role))
        .order_by(col(Feedback.author))
    )
    return Behind(
        adapter,
        customers_behind(session, adapter),
        nameless,
        erased_rows(session, adapter),
        [Author(name, str(role), count) for name, role, count in authors],
    )


def behind_answer(session: Session, message: Message) -> Behind:
    """The people behind the weights that an answer was made with."""
    return people_behind(session, adapters.by_id(session, message.adapter_id))
