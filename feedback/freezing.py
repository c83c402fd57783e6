"""Freezing: all feedback that may teach today becomes an SFT, a DPO and a KTO dataset.

The same feedback gives the same hash in any order, on any machine and either database: rows are sorted
by their own hashes, and no id or time enters one. Memory stays flat: lessons.py is a stream, scratch.py
sorts on disk, and rows are stored a batch at a time, each in a transaction of its own, so that the
service is never kept waiting. A freeze that was cut off is gone on with by the next one.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, SQLModel, select

from feedback import leaks, redactions
from feedback.corrections import number_that_teach
from feedback.database import reading, writing
from feedback.datasets import counted
from feedback.errors import Conflict
from feedback.learning import learning_of
from feedback.lessons import Lessons
from feedback.scratch import Row, Scratch
from feedback.tables import (
    Assistant,
    Dataset,
    DatasetItem,
    DatasetKind,
    ItemSource,
    Split,
    now,
)

BATCH = 1000
"""Rows stored in one transaction: a tenth of a second."""
ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""
Opened = Callable[[], AbstractContextManager[Session]]


class Frozen(NamedTuple):
    """What a freeze made, one dataset for each way of training."""

    sft: Dataset
    dpo: Dataset
    kto: Dataset


def freeze(session: Session, assistant: Assistant) -> Frozen:
    """Freeze within a transaction that is open already. For what is small; see `freeze_in_steps`."""

    def here() -> AbstractContextManager[Session]:
        return nullcontext(session)

    return _freeze(assistant, here, here, lambda done, total: None)


def freeze_in_steps(
    database: Database | None,
    assistant: Assistant,
    progress: Progress = lambda done, total: None,
) -> Frozen:
    """Freeze while others go on writing: looked at in one transaction, stored in many short ones.

    Whoever calls it has redacted ahead (redact_ahead.py); what has come since is redacted on the way.
    """
    return _freeze(assistant, partial(reading, database), partial(writing, database), progress)


def _freeze(assistant: Assistant, look: Opened, store: Opened, progress: Progress) -> Frozen:
    with closing(Scratch()) as scratch:
        with look() as session:
            total = sum(number_that_teach(session, assistant.id).values())
            lessons = Lessons(session, assistant, redactions.redactor_of(assistant))
            for batch in lessons:
                scratch.add(batch)
                progress(lessons.seen, total)
        with store() as session:
            leaks.record(session, assistant, lessons.near)
        counts = _counted(lessons, scratch.settle(learning_of(assistant)))
        return Frozen(
            *(_stored(assistant, kind, scratch, counts[kind], store) for kind in DatasetKind)
        )


def _counted(
    lessons: Lessons, merged: dict[DatasetKind, dict[str, int]]
) -> dict[DatasetKind, dict[str, int]]:
    """The way from all feedback to each dataset's rows, in numbers that add up (see `FILTERS`)."""
    shared = lessons.counts[DatasetKind.SFT]
    told = {
        DatasetKind.SFT: shared,
        DatasetKind.DPO: shared + lessons.counts[DatasetKind.DPO],
        DatasetKind.KTO: lessons.counts[DatasetKind.KTO],
    }
    return {
        kind: {key: {**told[kind], **merged[kind]}.get(key, 0) for key in counted(kind)}
        for kind in DatasetKind
    }


def _stored(
    assistant: Assistant,
    kind: DatasetKind,
    scratch: Scratch,
    counts: dict[str, int],
    store: Opened,
) -> Dataset:
    """The dataset of these rows: the one that is there, else a new one, visible once it is whole."""
    digest, rows, train = hashlib.sha256(kind.encode()), 0, 0
    for sha256, split in scratch.hashes(kind):
        digest.update(f"\n{sha256}".encode())
        rows, train = rows + 1, train + (split == Split.TRAIN)
    with store() as session:
        dataset = _begun(session, assistant, kind, digest.hexdigest(), train, rows - train, counts)
        if dataset.frozen_at is not None:
            return dataset
    for start in range(0, rows, BATCH):
        with store() as session:
            _store_rows(session, dataset, start, scratch.rows(kind, start, BATCH))
    with store() as session:
        dataset = session.get_one(Dataset, dataset.id)
        dataset.frozen_at = dataset.frozen_at or now()
    return dataset


def _begun(
    session: Session,
    assistant: Assistant,
    kind: DatasetKind,
    sha256: str,
    train_rows: int,
    validation_rows: int,
    counts: dict[str, int],
) -> Dataset:
    row = Dataset(
        assistant_id=assistant.id,
        kind=kind,
        name=f"{kind}-{sha256[:12]}",
        sha256=sha256,
        train_rows=train_rows,
        validation_rows=validation_rows,
        counts=counts,
    )
    _insert(
        session, Dataset, [row.model_dump()]
    )  # nothing, where one has it or another begins it now
    return session.exec(
        select(Dataset).where(
            Dataset.assistant_id == assistant.id, Dataset.kind == kind, Dataset.sha256 == sha256
        )
    ).one()


def _store_rows(session: Session, dataset: Dataset, start: int, rows: list[Row]) -> None:
    """Rows from position `start` on; what another, cut-off freeze has stored stays as it is."""
    items = [
        {
            "id": _id_at(dataset, position),
            "dataset_id": dataset.id,
            "position": position,
            "split": row.split,
            "prompt": json.loads(row.prompt),
            "chosen": row.chosen,
            "rejected": row.rejected,
            "label": row.label,
            "weight": row.weight,
            "edit": row.edit,
            "sha256": row.sha256,
        }
        for position, row in enumerate(rows, start)
    ]
    sources = [
        {"item_id": item["id"], "feedback_id": feedback_id}
        for item, row in zip(items, rows, strict=True)
        for feedback_id in row.sources
    ]
    _insert(session, DatasetItem, items)
    _insert(session, ItemSource, sources)


def _insert(session: Session, table: type[SQLModel], rows: list[dict[str, object]]) -> None:
    is_postgres = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert(table) if is_postgres else sqlite.insert(table)
    if not rows:
        return
    try:
        session.execute(insert.on_conflict_do_nothing(), rows)
    except IntegrityError:  # it names feedback that is not there any more
        raise Conflict(
            "Somebody was erased while their words were being frozen; nothing of them was stored. "
            "Freeze again."
        ) from None


def _id_at(dataset: Dataset, position: int) -> str:
    """The id of a dataset's row: the same whoever stores it, so that two may."""
    number = int.from_bytes(hashlib.sha256(f"{dataset.id}:{position}".encode()).digest()[:16])
    return "".join(ID_ALPHABET[number >> 5 * place & 31] for place in range(25, -1, -1))
