"""What became of a person's corrections: in which datasets, learned by which adapters, right by now?

rechecks.py says what the bot said when it was asked again; here it is put beside what was taught.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session, col, func, select

from feedback import rechecks
from feedback.desk_tables import Recheck, RecheckState
from feedback.disputes import Withheld, withheld
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Dataset,
    DatasetItem,
    Feedback,
    FeedbackState,
    ItemSource,
    Message,
)


@dataclass
class Learned:
    """A correction with what became of it."""

    feedback: Feedback
    message: Message
    question: str
    datasets: list[Dataset] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    recheck: Recheck | None = None
    """The one that counts: of what is live, else the newest; one that failed only where there is no other."""
    is_pending: bool = False
    """Whether it is being checked right now."""
    withheld: Withheld | None = None
    """Why it does not teach, when another reviewer of the answer did not agree."""


def by_author(
    session: Session,
    assistant: Assistant,
    author: str | None,
    before: str | None = None,
    limit: int = 50,
    state: RecheckState | None = None,
) -> list[Learned]:
    """Corrections and demonstrations of one person (None: everybody), newest first.

    `state`: only those of which the recheck that counts ended so.
    """
    query = (
        select(Feedback, Message)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Feedback.kind).in_(rechecks.CORRECTIONS),
            Feedback.state == FeedbackState.ACTIVE,
        )
        .order_by(col(Feedback.id).desc())
        .limit(limit)
    )
    if author is not None:
        query = query.where(Feedback.author == author)
    if before is not None:
        query = query.where(col(Feedback.id) < before)
    if state is not None:
        that_count = rechecks.standing(session, assistant)
        query = (
            query.join(that_count, that_count.c.feedback_id == Feedback.id)
            .join(Recheck, col(Recheck.id) == that_count.c.id)
            .where(that_count.c.place == 1, Recheck.state == state)
        )
    return _whole(session, assistant, session.exec(query).all())


def of_word(session: Session, assistant: Assistant, feedback: Feedback) -> Learned:
    """The same of one correction."""
    message = session.get_one(Message, feedback.message_id)
    return _whole(session, assistant, [(feedback, message)])[0]


def _whole(
    session: Session, assistant: Assistant, found: Sequence[tuple[Feedback, Message]]
) -> list[Learned]:
    questions = questions_of(session, [message for _, message in found])
    out = withheld(session, assistant, found)
    learned = {
        feedback.id: Learned(
            feedback, message, questions[message.id], withheld=out.get(feedback.id)
        )
        for feedback, message in found
    }
    _add_lineage(session, learned)
    _add_rechecks(session, assistant, learned)
    return list(learned.values())


def questions_of(session: Session, messages: list[Message]) -> dict[str, str]:
    """By message: what the customer had asked."""
    asked = {message.id: message.reply_to_id or message.id for message in messages}
    query = select(Message.id, Message.text).where(col(Message.id).in_(list(asked.values())))
    texts = dict(session.exec(query).all())
    return {ident: texts.get(question, "") for ident, question in asked.items()}


def _add_lineage(session: Session, learned: dict[str, Learned]) -> None:
    rows = session.exec(
        select(ItemSource.feedback_id, Dataset, Adapter)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(Dataset, col(Dataset.id) == DatasetItem.dataset_id)
        .outerjoin(AdapterDataset, col(AdapterDataset.dataset_id) == Dataset.id)
        .outerjoin(Adapter, col(Adapter.id) == AdapterDataset.adapter_id)
        .where(col(ItemSource.feedback_id).in_(list(learned)))
        .order_by(col(Dataset.created_at).desc(), col(Adapter.version).desc())
    )
    for feedback_id, dataset, adapter in rows:
        one = learned[feedback_id]
        if dataset not in one.datasets:
            one.datasets.append(dataset)
        if adapter is not None and adapter not in one.adapters:
            one.adapters.append(adapter)


def _add_rechecks(session: Session, assistant: Assistant, learned: dict[str, Learned]) -> None:
    that_count = rechecks.that_count(session, assistant, list(learned))
    rows = session.exec(
        select(Recheck)
        .where(
            col(Recheck.feedback_id).in_(list(learned)),
            col(Recheck.state).in_([RecheckState.REQUESTED, RecheckState.FAILED]),
        )
        .order_by(col(Recheck.created_at), col(Recheck.id))
    )
    for row in rows:
        one = learned[row.feedback_id]
        one.is_pending = one.is_pending or row.state == RecheckState.REQUESTED
        one.recheck = row
    for ident, recheck in that_count.items():
        learned[ident].recheck = recheck


def counts(session: Session, assistant: Assistant, author: str | None) -> dict[str, int]:
    """How many corrections there are, how many some adapter learned, and how the rechecks went."""
    mine = (
        select(Feedback.id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Feedback.kind).in_(rechecks.CORRECTIONS),
            Feedback.state == FeedbackState.ACTIVE,
        )
    )
    if author is not None:
        mine = mine.where(Feedback.author == author)
    ids = mine.subquery()
    found = {"given": session.exec(select(func.count()).select_from(ids)).one()}
    found["learned"] = session.exec(
        select(func.count(func.distinct(col(ItemSource.feedback_id))))
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(col(ItemSource.feedback_id).in_(select(ids.c.id)))
    ).one()
    that_count = rechecks.standing(session, assistant)
    states = session.exec(
        select(Recheck.state, func.count())
        .join(that_count, that_count.c.id == Recheck.id)
        .where(that_count.c.place == 1, col(Recheck.feedback_id).in_(select(ids.c.id)))
        .group_by(col(Recheck.state))
    )
    return found | {str(state): count for state, count in states}
