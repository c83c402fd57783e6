"""What became of a person's corrections: in which datasets, learned by which adapters, right by now?

A recheck asks a correction's question again of what is live; the loop does that (evals/recheck.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlmodel import Session, col, func, select

from feedback.desk_tables import Recheck, RecheckState
from feedback.disputes import Withheld, withheld
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Dataset,
    DatasetItem,
    Feedback,
    FeedbackKind,
    FeedbackState,
    ItemSource,
    Message,
    now,
)

TEACHING = (FeedbackKind.CORRECTION, FeedbackKind.DEMONSTRATION)


@dataclass
class Learned:
    """A correction with what became of it."""

    feedback: Feedback
    message: Message
    question: str
    datasets: list[Dataset] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    recheck: Recheck | None = None
    withheld: Withheld | None = None
    """Why it does not teach, when another reviewer of the answer did not agree."""


def by_author(
    session: Session,
    assistant: Assistant,
    author: str | None,
    before: str | None = None,
    limit: int = 50,
) -> list[Learned]:
    """Corrections and demonstrations of one person (None: everybody), newest first."""
    query = (
        select(Feedback, Message)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Feedback.kind).in_(TEACHING),
            Feedback.state == FeedbackState.ACTIVE,
        )
        .order_by(col(Feedback.id).desc())
        .limit(limit)
    )
    if author is not None:
        query = query.where(Feedback.author == author)
    if before is not None:
        query = query.where(col(Feedback.id) < before)
    found = session.exec(query).all()
    questions = _questions(session, [message for _, message in found])
    out = withheld(session, assistant, found)
    learned = {
        feedback.id: Learned(
            feedback, message, questions[message.id], withheld=out.get(feedback.id)
        )
        for feedback, message in found
    }
    _add_lineage(session, learned)
    _add_rechecks(session, learned)
    return list(learned.values())


def _questions(session: Session, messages: list[Message]) -> dict[str, str]:
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


def _add_rechecks(session: Session, learned: dict[str, Learned]) -> None:
    rows = session.exec(
        select(Recheck)
        .where(col(Recheck.feedback_id).in_(list(learned)))
        .order_by(col(Recheck.created_at), col(Recheck.id))
    )
    for recheck in rows:
        learned[recheck.feedback_id].recheck = recheck


def counts(session: Session, assistant: Assistant, author: str | None) -> dict[str, int]:
    """How many corrections there are, how many some adapter learned, and how the rechecks went."""
    mine = (
        select(Feedback.id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Feedback.kind).in_(TEACHING),
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
    newest = (
        select(Recheck.feedback_id, func.max(Recheck.id).label("id"))
        .where(col(Recheck.feedback_id).in_(select(ids.c.id)))
        .group_by(col(Recheck.feedback_id))
        .subquery()
    )
    states = session.exec(
        select(Recheck.state, func.count())
        .join(newest, newest.c.id == Recheck.id)
        .group_by(col(Recheck.state))
    )
    return found | {str(state): count for state, count in states}


# Rechecks


def get(session: Session, feedback_id: str) -> Feedback:
    """A correction, or NotFound."""
    found = session.get(Feedback, feedback_id)
    if found is None:
        raise NotFound(f"There is no feedback {feedback_id!r}.")
    return found


def request_recheck(session: Session, feedback: Feedback, requested_by: str) -> Recheck:
    """Ask that a correction's question be asked again; one request at a time."""
    if feedback.kind not in TEACHING:
        raise Invalid(
            f"Only corrections and demonstrations can be checked; this is a {feedback.kind}."
        )
    newest = newest_recheck(session, feedback.id)
    if newest and newest.state == RecheckState.REQUESTED:
        raise Conflict("This correction is being checked already.")
    message = session.get_one(Message, feedback.message_id)
    conversation = session.get_one(Conversation, message.conversation_id)
    row = Recheck(
        assistant_id=conversation.assistant_id, feedback_id=feedback.id, requested_by=requested_by
    )
    session.add(row)
    session.flush()
    return row


def newest_recheck(session: Session, feedback_id: str, done: bool = False) -> Recheck | None:
    """The last recheck of a correction; with `done` the last that came to an end."""
    query = (
        select(Recheck)
        .where(Recheck.feedback_id == feedback_id)
        .order_by(col(Recheck.created_at).desc(), col(Recheck.id).desc())
    )
    if done:
        query = query.where(Recheck.state != RecheckState.REQUESTED)
    return session.exec(query).first()


def request_rechecks(
    session: Session, feedback: Iterable[Feedback], requested_by: str, at_most: int
) -> int:
    """Ask for the newest of many corrections to be checked; those under way are left alone."""
    newest = sorted(feedback, key=lambda row: row.id, reverse=True)
    requested = 0
    for row in newest:
        if requested == at_most:
            break
        if row.kind in TEACHING and row.state == FeedbackState.ACTIVE:
            try:
                request_recheck(session, row, requested_by)
            except Conflict:
                continue
            requested += 1
    return requested


def requested(session: Session, limit: int = 20) -> list[Recheck]:
    """Rechecks to be done, oldest first."""
    return list(
        session.exec(
            select(Recheck)
            .where(Recheck.state == RecheckState.REQUESTED)
            .order_by(col(Recheck.created_at), col(Recheck.id))
            .limit(limit)
        )
    )


def is_requested_by(session: Session, assistant: Assistant, requested_by: str) -> bool:
    """Whether rechecks were ever asked for in this name."""
    query = select(Recheck.id).where(
        Recheck.assistant_id == assistant.id, Recheck.requested_by == requested_by
    )
    return session.exec(query.limit(1)).first() is not None


def was_fixed(session: Session, feedback_id: str) -> bool:
    """Whether the bot was ever seen to say what this correction taught."""
    query = select(Recheck.id).where(
        Recheck.feedback_id == feedback_id, Recheck.state == RecheckState.FIXED
    )
    return session.exec(query.limit(1)).first() is not None


def finish_recheck(
    session: Session,
    recheck: Recheck,
    state: RecheckState,
    adapter: Adapter | None,
    text: str | None = None,
    chrf: float | None = None,
    chrf_before: float | None = None,
) -> Recheck:
    """Keep what the bot said this time."""
    recheck = session.get_one(Recheck, recheck.id)
    recheck.state = state
    recheck.adapter_id = adapter.id if adapter else None
    recheck.text, recheck.chrf, recheck.chrf_before = text, chrf, chrf_before
    recheck.finished_at = now()
    return recheck
