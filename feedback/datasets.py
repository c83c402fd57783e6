"""Frozen datasets: named by their content, never changed. What is in one, why, and who learned from it.

They are made in freezing.py.
"""

from collections.abc import Iterator

from sqlmodel import Session, col, select

from feedback.errors import NotFound
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    Dataset,
    DatasetItem,
    DatasetKind,
    Feedback,
    ItemSource,
    Message,
)

FILTERS = {
    "feedback": "corrections, approvals and demonstrations in force",
    "topic_rows": "taught besides: what the question is about",
    "not_reviewed": "nobody of the staff has looked at the answer yet",
    "not_confirmed": "staff see the answer otherwise",
    "policy_retired": "rests on a policy that was retired",
    "disputed": "two people disagree, and no third has decided yet",
    "outvoted": "a third person has decided otherwise",
    "held": "by an author whose words wait for a person's decision",
    "rejected": "by an author whose words a person has rejected",
    "outdated": "replaced by a newer word on the same question",
    "ticket_conversation": "from a conversation that an exam ticket came from",
    "ticket_customer": "from a customer of an exam ticket",
    "ticket_near_copy": "too close to an exam ticket",
    "without_question_or_answer": "without a question or an answer",
    "personal_answer": "the answer tells personal data that the customer had not said",
    "without_weight": "by an author or on a topic that does not count",
    "not_replayed": "learned already, and not drawn to be taught again",
    "without_pair": "no answer of the bot's to prefer it to",
    "form_only": "only spelling or form was mended: learned as an answer, not as a preference",
    "length_apart": "so much longer or shorter that length would be learned",
    "over_author": "more than the limit of rows by one author",
    "over_customer": "more than the limit of rows from one customer",
    "over_topic": "more than the limit of rows of one topic",
    "cancelled": "the same answer was found good and bad",
    "alike": "teaches the same as another",
    "rows": "rows frozen",
}
"""The counts of a dataset in the order of the filters, as people say them. `feedback` and what is taught
besides, less all that is left out, are the `rows`."""
ONLY = {
    DatasetKind.SFT: ("topic_rows",),
    DatasetKind.DPO: ("without_pair", "form_only", "length_apart"),
    DatasetKind.KTO: ("not_reviewed", "not_confirmed", "cancelled"),
}
"""Filters that only one kind of dataset has."""
NOT_OF_THUMBS = ("disputed", "outvoted", "outdated", "held", "rejected", "policy_retired")
THUMBS = "customers' thumbs, up or down"


def get(session: Session, name: str, assistant: Assistant | None = None) -> Dataset:
    """The dataset of that name (its kind and the start of its hash), or NotFound.

    Two assistants may have frozen the same rows; then only `assistant` tells which is meant.
    """
    query = select(Dataset).where(Dataset.name == name, col(Dataset.frozen_at).is_not(None))
    if assistant is not None:
        query = query.where(Dataset.assistant_id == assistant.id)
    found = session.exec(query).first()
    if found is None:
        raise NotFound(f"There is no dataset {name!r}. See `understudy feedback datasets list`.")
    return found


def every(session: Session, assistant: Assistant) -> list[Dataset]:
    """An assistant's datasets, newest first."""
    return list(
        session.exec(
            select(Dataset)
            .where(Dataset.assistant_id == assistant.id, col(Dataset.frozen_at).is_not(None))
            .order_by(col(Dataset.created_at).desc())
        )
    )


def items(session: Session, dataset: Dataset) -> list[DatasetItem]:
    """A dataset's rows in their frozen order."""
    return list(
        session.exec(
            select(DatasetItem)
            .where(DatasetItem.dataset_id == dataset.id)
            .order_by(col(DatasetItem.position))
        )
    )


def page(session: Session, dataset: Dataset, offset: int = 0, limit: int = 25) -> list[DatasetItem]:
    """Some of a dataset's rows, in their frozen order."""
    return list(
        session.exec(
            select(DatasetItem)
            .where(DatasetItem.dataset_id == dataset.id)
            .order_by(col(DatasetItem.position))
            .offset(offset)
            .limit(limit)
        )
    )


def sources(session: Session, rows: list[DatasetItem]) -> dict[str, list[tuple[Feedback, str]]]:
    """By row: the feedback it rests on, each with the id of the conversation it came from."""
    found: dict[str, list[tuple[Feedback, str]]] = {row.id: [] for row in rows}
    query = (
        select(ItemSource.item_id, Feedback, Message.conversation_id)
        .join(Feedback, col(Feedback.id) == ItemSource.feedback_id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .where(col(ItemSource.item_id).in_(list(found)))
        .order_by(col(Feedback.id))
    )
    for item_id, feedback, conversation_id in session.exec(query):
        found[item_id].append((feedback, conversation_id))
    return found


def learned_by(session: Session, dataset: Dataset) -> list[Adapter]:
    """The adapters that learned from a dataset, newest first."""
    return list(
        session.exec(
            select(Adapter)
            .join(AdapterDataset, col(AdapterDataset.adapter_id) == Adapter.id)
            .where(AdapterDataset.dataset_id == dataset.id)
            .order_by(col(Adapter.version).desc())
        )
    )


def in_order(session: Session, dataset: Dataset, batch: int = 1000) -> Iterator[DatasetItem]:
    """A dataset's rows in their frozen order, a batch in memory at a time."""
    mine = select(DatasetItem).where(DatasetItem.dataset_id == dataset.id)
    for start in range(0, dataset.train_rows + dataset.validation_rows, batch):
        these = col(DatasetItem.position).between(start, start + batch - 1)
        rows = session.exec(mine.where(these).order_by(col(DatasetItem.position))).all()
        yield from rows
        for row in rows:
            session.expunge(row)


def explain(dataset: Dataset) -> list[tuple[str, int, str]]:
    """The way from all feedback to the rows: key, how many, what it means."""
    return [
        (key, dataset.counts.get(key, 0), _meaning(key, dataset))
        for key in counted(DatasetKind(dataset.kind))
    ]


def counted(kind: DatasetKind) -> list[str]:
    """The counts of such a dataset, from all feedback to its rows."""
    return [key for key in FILTERS if _applies(key, kind)]


def left_out(kind: DatasetKind) -> list[str]:
    """Those of the counts that take something away."""
    return [key for key in counted(kind) if key not in ("feedback", "topic_rows", "rows")]


def _applies(key: str, kind: DatasetKind) -> bool:
    if kind == DatasetKind.KTO and key in NOT_OF_THUMBS:
        return False
    return all(key not in keys or kind == only for only, keys in ONLY.items())


def _meaning(key: str, dataset: Dataset) -> str:
    is_thumbs = key == "feedback" and dataset.kind == DatasetKind.KTO
    return THUMBS if is_thumbs else FILTERS[key]
