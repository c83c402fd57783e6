"""Frozen datasets: built from feedback, named by their content, never changed.

The same feedback gives the same hash in any order, on any machine and either database: rows are
sorted by their own hashes, and no id or time enters one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import insert
from sqlmodel import Session, col, select

from feedback import policies
from feedback.assistants import prompt_in_force
from feedback.conversations import customer_names, messages_of_all
from feedback.corrections import staff_reasons, that_teach
from feedback.edits import is_only_form
from feedback.errors import NotFound
from feedback.ids import new_id
from feedback.near_copies import Sealed
from feedback.reviews import withheld
from feedback.settings import FeedbackSettings, feedback_settings
from feedback.tables import (
    UNSEEN,
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Dataset,
    DatasetItem,
    DatasetKind,
    Feedback,
    FeedbackKind,
    ItemSource,
    Message,
    MessageState,
    Split,
)
from feedback.tickets import held_out
from feedback.transcript import ModelMessages, render, turns

FILTERS = {
    "feedback": "corrections, approvals and demonstrations in force",
    "disputed": "two reviewers disagree, and no third has decided yet",
    "outvoted": "a third reviewer has decided otherwise",
    "policy_retired": "rests on a policy that was retired",
    "outdated": "replaced by a newer word on the same question",
    "ticket_conversation": "from a conversation that an exam ticket came from",
    "ticket_customer": "from a customer of an exam ticket",
    "ticket_near_copy": "too close to an exam ticket",
    "without_question_or_answer": "without a question or an answer",
    "without_pair": "no answer of the bot's to prefer it to",
    "form_only": "only spelling or form was mended: learned as an answer, not as a preference",
    "alike": "teaches the same as another",
    "rows": "rows frozen",
}
"""The counts of a dataset in the order of the filters, as people say them. All between `feedback` and `rows`
is left out; the first less these is the last."""
LEFT_OUT = tuple(FILTERS)[1:-4]
"""The filters in front of both kinds."""
PAIRS_ONLY = ("without_pair", "form_only")


def canonical(value: object) -> str:
    """One spelling of a JSON value, for hashing and for files."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass
class Row:
    """A row before it is frozen. Two corrections that teach the same thing become one row."""

    split: Split
    prompt: ModelMessages
    chosen: str
    rejected: str | None
    sources: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Hash of what the row teaches."""
        return hashlib.sha256(
            canonical([self.prompt, self.chosen, self.rejected]).encode()
        ).hexdigest()

    @property
    def sha256(self) -> str:
        """Hash of the row as frozen, its split included."""
        return hashlib.sha256(f"{self.key}:{self.split}".encode()).hexdigest()


def freeze(session: Session, assistant: Assistant) -> tuple[Dataset, Dataset]:
    """The SFT and the DPO dataset of all feedback that may teach today.

    Left out, and counted: what reviewers disagree about or a third one has decided against, feedback
    on conversations or customers that a held-out ticket came from, near-copies of a ticket, and answers
    without text. Splits go by customer (by conversation where the customer is unknown), never by row.
    """
    settings = feedback_settings()
    counts: Counter[str] = Counter()
    taught = _newest_per_question(session, assistant, counts)
    rows: dict[DatasetKind, dict[str, Row]] = {kind: {} for kind in DatasetKind}
    reasons, form_only = staff_reasons(session, assistant.id), 0
    for feedback, context, rejected, split in _admitted(
        session, assistant, taught, settings, counts
    ):
        chosen = feedback.text or rejected or ""
        _merge(rows[DatasetKind.SFT], Row(split, context, chosen, None), feedback)
        if feedback.kind != FeedbackKind.CORRECTION or not rejected or rejected == chosen:
            continue
        if is_only_form(rejected, chosen, reasons.get((feedback.message_id, feedback.author))):
            form_only += 1
        else:
            _merge(rows[DatasetKind.DPO], Row(split, context, chosen, rejected), feedback)
    admitted = counts["feedback"] - sum(counts[each] for each in LEFT_OUT)
    sft, dpo = (
        _counted(counts, admitted, rows[DatasetKind.SFT]),
        _counted(counts, admitted, rows[DatasetKind.DPO], form_only),
    )
    return (
        _store(session, assistant, DatasetKind.SFT, list(rows[DatasetKind.SFT].values()), sft),
        _store(session, assistant, DatasetKind.DPO, list(rows[DatasetKind.DPO].values()), dpo),
    )


def _counted(
    counts: Counter[str], admitted: int, rows: dict[str, Row], form_only: int = 0
) -> dict[str, int]:
    """The way from all feedback to one dataset's rows, in numbers that add up (see `FILTERS`)."""
    taught = sum(len(row.sources) for row in rows.values())
    return {
        **counts,
        "without_pair": admitted - taught - form_only,
        "form_only": form_only,
        "alike": taught - len(rows),
        "rows": len(rows),
    }


Taught = tuple[Feedback, Message, Conversation]


def _newest_per_question(
    session: Session, assistant: Assistant, counts: Counter[str]
) -> list[Taught]:
    """Of several people's words on one answer, the newest counts; of reviewers, those that stand."""
    newest: dict[str, Taught] = {}
    words = that_teach(session, assistant.id)
    gone = policies.retired(session, assistant)
    in_dispute = withheld(session, assistant, ((word, message) for word, message, _ in words))
    for taught in words:
        counts["feedback"] += 1
        feedback, message, _ = taught
        if feedback.policy_id in gone:
            counts["policy_retired"] += 1
            continue
        if feedback.id in in_dispute:
            counts[in_dispute[feedback.id]] += 1
            continue
        asked = message.id if feedback.kind == FeedbackKind.DEMONSTRATION else message.reply_to_id
        key = asked or message.id
        counts["outdated"] += key in newest
        newest[key] = taught
    return list(newest.values())


def _admitted(
    session: Session,
    assistant: Assistant,
    taught: list[Taught],
    settings: FeedbackSettings,
    counts: Counter[str],
) -> list[tuple[Feedback, ModelMessages, str | None, Split]]:
    """What passes every filter, with its rendered prompt, what the bot had said, and its split."""
    tickets = held_out(session, assistant)
    sealed_conversations = {ticket.conversation_id for ticket in tickets} - {None}
    sealed_customers = {ticket.customer_id for ticket in tickets} - {None}
    sealed = Sealed(
        ((ticket.external_id, ticket.context) for ticket in tickets),
        settings.near_copy_similarity,
    )
    prompt = prompt_in_force(session, assistant).text
    names = customer_names(session, assistant)
    everything = messages_of_all(session, [conversation.id for _, _, conversation in taught])
    admitted = []
    for feedback, message, conversation in taught:
        said = everything[conversation.id]
        is_answer = feedback.kind != FeedbackKind.DEMONSTRATION
        context = context_of(feedback, message, said)
        if conversation.id in sealed_conversations:
            counts["ticket_conversation"] += 1
        elif conversation.customer_id in sealed_customers:
            counts["ticket_customer"] += 1
        elif not context or context[-1]["role"] != "user" or not _chosen(feedback, message):
            counts["without_question_or_answer"] += 1
        elif sealed.near(context):
            counts["ticket_near_copy"] += 1
        else:
            rendered = render(prompt, context, settings.transcript_max_chars)
            who = names.get(conversation.customer_id or "") or conversation.external_id
            split = _split(who or context[0]["content"], settings.validation_percent)
            said_whole = message.text if is_answer and _is_whole(message) else None
            admitted.append((feedback, rendered, said_whole, split))
    return admitted


def context_of(feedback: Feedback, message: Message, said: list[Message]) -> ModelMessages:
    """What had been said when the answer that feedback is about was due."""
    last = message.position - 1
    if feedback.kind == FeedbackKind.DEMONSTRATION:
        last = message.position
    elif message.state in UNSEEN:
        # Made beside what was said, maybe after it; it answers what its question had led to.
        last = next((m.position for m in said if m.id == message.reply_to_id), last)
    return turns(m for m in said if m.position <= last)


def _is_whole(message: Message) -> bool:
    return message.state in (MessageState.COMPLETE, MessageState.DRAFT)


def _chosen(feedback: Feedback, message: Message) -> str | None:
    """What the feedback would have the bot say: its own text, or the whole answer approved."""
    if feedback.kind == FeedbackKind.APPROVAL:
        return message.text if _is_whole(message) else None
    return feedback.text


def _split(who: str, percent: int) -> Split:
    bucket = int(hashlib.sha256(who.encode()).hexdigest(), 16) % 100
    return Split.VALIDATION if bucket < percent else Split.TRAIN


def _merge(rows: dict[str, Row], row: Row, feedback: Feedback) -> None:
    kept = rows.setdefault(row.key, row)
    kept.sources.append(feedback.id)
    if row.split == Split.TRAIN:  # the same row from two customers must not measure itself
        kept.split = Split.TRAIN


def _store(
    session: Session,
    assistant: Assistant,
    kind: DatasetKind,
    rows: list[Row],
    counts: dict[str, int],
) -> Dataset:
    rows.sort(key=lambda row: row.sha256)
    sha256 = hashlib.sha256("\n".join([kind, *(row.sha256 for row in rows)]).encode()).hexdigest()
    frozen = session.exec(
        select(Dataset).where(
            Dataset.assistant_id == assistant.id, Dataset.kind == kind, Dataset.sha256 == sha256
        )
    ).first()
    if frozen:
        return frozen
    train = sum(row.split == Split.TRAIN for row in rows)
    dataset = Dataset(
        assistant_id=assistant.id,
        kind=kind,
        name=f"{kind}-{sha256[:12]}",
        sha256=sha256,
        train_rows=train,
        validation_rows=len(rows) - train,
        counts=counts,
    )
    session.add(dataset)
    session.flush()
    _store_items(session, dataset, rows)
    return dataset


def _store_items(session: Session, dataset: Dataset, rows: list[Row]) -> None:
    items = [
        {
            "id": new_id(),
            "dataset_id": dataset.id,
            "position": position,
            "split": row.split,
            "prompt": row.prompt,
            "chosen": row.chosen,
            "rejected": row.rejected,
            "sha256": row.sha256,
        }
        for position, row in enumerate(rows)
    ]
    sources = [
        {"item_id": item["id"], "feedback_id": feedback_id}
        for item, row in zip(items, rows, strict=True)
        for feedback_id in dict.fromkeys(row.sources)
    ]
    if items:
        session.exec(insert(DatasetItem), params=items)
        session.exec(insert(ItemSource), params=sources)


def get(session: Session, name: str, assistant: Assistant | None = None) -> Dataset:
    """The dataset of that name (its kind and the start of its hash), or NotFound.

    Two assistants may have frozen the same rows; then only `assistant` tells which is meant.
    """
    query = select(Dataset).where(Dataset.name == name)
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
            .where(Dataset.assistant_id == assistant.id)
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
        (key, dataset.counts.get(key, 0), what)
        for key, what in FILTERS.items()
        if key not in PAIRS_ONLY or dataset.kind == DatasetKind.DPO
    ]
