"""The section of a model card on data: what an adapter learned from, in numbers, without anybody's words."""

from sqlmodel import Session, col, func, select

from feedback import adapters, lineage, tickets
from feedback.card_shape import Named, Part, Section, Table
from feedback.learning import Learning, learning_of
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Dataset,
    DatasetItem,
    DatasetKind,
    Feedback,
    ItemSource,
    Message,
)

KEPT_APART = ("ticket_conversation", "ticket_customer", "ticket_near_copy")
"""Counts of a dataset: what did not teach because of the exam."""
SHA_CHARS = 16


def section(session: Session, owner: Assistant, adapter: Adapter, named: Named) -> Section:
    """Its datasets, who is behind them, what was redacted and what was held out."""
    datasets = adapters.datasets_of(session, adapter)
    if not datasets:
        return Section("Data", ["No dataset is recorded for it: it was made elsewhere."])
    counted = lineage.counted_behind(session, adapter)
    words = ", ".join(f"{count} {kind}s" for kind, count in counted.words.items()) or "no words"
    parts: list[Part] = [
        f"It learned from {words} by {_number(counted.authors, 'person', 'people')} in "
        f"{_number(counted.conversations, 'conversation')} with customers.",
        _datasets(session, datasets),
        *_topics(session, owner, datasets),
        [*_redaction(learning_of(owner), datasets, counted.erased_rows)],
        [*_held_out(session, owner, datasets)],
    ]
    if named == Named.EVERYBODY:
        told = [
            (each.name, str(each.rows)) for each in lineage.people_behind(session, adapter).authors
        ]
        parts.append(Table(("author", "rows"), told))
    return Section("Data", parts)


def _number(count: int, what: str, several: str = "") -> str:
    return f"{count} {what if count == 1 else several or f'{what}s'}"


def _datasets(session: Session, datasets: list[Dataset]) -> Table:
    rows = [
        (
            each.name,
            DatasetKind(each.kind).upper(),
            each.sha256[:SHA_CHARS],
            str(each.train_rows),
            str(each.validation_rows),
            str(_authors(session, each)),
        )
        for each in datasets
    ]
    head = (
        "dataset",
        "stage",
        "SHA-256 of its rows",
        "rows that teach",
        "that validate",
        "authors",
    )
    return Table(head, rows)


def _authors(session: Session, dataset: Dataset) -> int:
    query = (
        select(func.count(func.distinct(col(Feedback.author))))
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .where(DatasetItem.dataset_id == dataset.id)
    )
    return session.exec(query).one()


def _topics(session: Session, owner: Assistant, datasets: list[Dataset]) -> list[Part]:
    """Rows by topic. Only the assistant's own topics are named: another may be what an import brought."""
    query = (
        select(Conversation.topic, func.count(func.distinct(col(DatasetItem.id))))
        .join(Message, col(Message.conversation_id) == Conversation.id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .where(col(DatasetItem.dataset_id).in_([each.id for each in datasets]))
        .group_by(col(Conversation.topic))
    )
    found = {topic: count for topic, count in session.exec(query)}
    rows = [(topic, str(found.pop(topic))) for topic in owner.topics if topic in found]
    unnamed = found.pop(None, 0)
    others = sum(found.values())
    rows += [("another topic", str(others))] * bool(others)
    rows += [("no topic named", str(unnamed))] * bool(unnamed)
    return [Table(("topic", "rows"), rows)] if len(rows) > 1 or not unnamed else []


def _redaction(rules: Learning, datasets: list[Dataset], erased: int) -> list[str]:
    told = sum(each.counts.get("personal_answer", 0) for each in datasets)
    own = f", and {len(rules.patterns)} patterns of the house's own" if rules.patterns else ""
    stored = "also before they are stored" if rules.redact_before_storage else "before they teach"
    return [
        "Personal data: names, addresses, numbers and secrets are replaced by typed placeholders "
        f"{stored}{own}. What is not recognised stays.",
        f"Left out because the answer tells personal data: {_number(told, 'row')}.",
        f"Rows whose people asked to be erased since: {erased}. Their texts are gone from the datasets, not "
        "from these weights.",
    ]


def _held_out(session: Session, owner: Assistant, datasets: list[Dataset]) -> list[str]:
    asked, sealed = tickets.held_out(session, owner), len(tickets.sealed_asked(session, owner))
    apart = sum(each.counts.get(key, 0) for each in datasets for key in KEPT_APART)
    return [
        f"Held out: {_number(len(asked), 'exam ticket')} today, {sealed} of them sealed until an adapter is "
        f"about to go live. {learning_of(owner).held_out_percent:g} % of customers give new ones.",
        f"Left out as a ticket's own, its customer's or too close to one: {_number(apart, 'row')}.",
        f"Split by customer: {feedback_settings().validation_percent} % of customers only validate.",
    ]
