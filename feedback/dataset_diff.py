"""What changed between two frozen datasets: rows that came, went or moved, and what became of their feedback.

Rows are the same where they teach the same; a row that is in both but in another split has moved.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import Session, col, select

from feedback import datasets
from feedback.canonical import canonical
from feedback.errors import Invalid
from feedback.scratch import key_of
from feedback.tables import Dataset, DatasetItem, Feedback, FeedbackState

BATCH = 500
"""Ids in one query: SQLite takes no more than some thousand."""


@dataclass(frozen=True)
class Change:
    """A row that is only in one of them, or in another split, and the feedback it rests on."""

    row: DatasetItem
    sources: list[tuple[Feedback, str]]
    """Each with the id of its conversation."""
    why: str

    @property
    def question(self) -> str:
        """The customer's last words before the answer."""
        return self.row.prompt[-1]["content"]

    @property
    def authors(self) -> list[str]:
        """Who taught it, each once."""
        return list(dict.fromkeys(feedback.author for feedback, _ in self.sources))


@dataclass(frozen=True)
class Diff:
    """From `older` to `newer`."""

    older: Dataset
    newer: Dataset
    same: int
    added: list[Change]
    removed: list[Change]
    moved: list[Change]
    """As they are in the newer one."""

    @property
    def counts(self) -> list[tuple[str, int, int, str]]:
        """Every count of either: key, in the older, in the newer, what it means."""
        before, after = datasets.explain(self.older), datasets.explain(self.newer)
        return [
            (key, then, now, what)
            for (key, then, what), (_, now, _) in zip(before, after, strict=True)
        ]


def diff(session: Session, older: Dataset, newer: Dataset) -> Diff:
    """What came, went and moved; Invalid for datasets that teach different things."""
    if older.kind != newer.kind:
        raise Invalid(
            f"Found {older.name!r} for {older.kind} and {newer.name!r} for {newer.kind}; expected two "
            "datasets of one kind."
        )
    before, after = _hashes(session, older), _hashes(session, newer)
    gone = {
        _key(row): row for row in _rows(session, (before[sha] for sha in before.keys() - after))
    }
    come = {_key(row): row for row in _rows(session, (after[sha] for sha in after.keys() - before))}
    moved = gone.keys() & come
    return Diff(
        older,
        newer,
        same=len(before.keys() & after),
        added=_changes(session, [come[key] for key in come.keys() - moved]),
        removed=_changes(session, [gone[key] for key in gone.keys() - moved], went=True),
        moved=_changes(session, [come[key] for key in moved]),
    )


def _hashes(session: Session, dataset: Dataset) -> dict[str, str]:
    """Row ids by what they teach, and in which split."""
    query = select(DatasetItem.sha256, DatasetItem.id).where(DatasetItem.dataset_id == dataset.id)
    return dict(session.exec(query).all())


def _rows(session: Session, ids: Iterable[str]) -> list[DatasetItem]:
    every = list(ids)
    found: list[DatasetItem] = []
    for start in range(0, len(every), BATCH):
        query = select(DatasetItem).where(col(DatasetItem.id).in_(every[start : start + BATCH]))
        found += session.exec(query).all()
    return found


def _key(row: DatasetItem) -> str:
    return key_of(canonical(row.prompt), row.chosen, row.rejected, row.label)


def _changes(session: Session, rows: list[DatasetItem], went: bool = False) -> list[Change]:
    rows.sort(key=lambda row: row.position)
    changes = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        sources = datasets.sources(session, batch)
        changes += [
            Change(row, sources[row.id], _why(sources[row.id]) if went else "") for row in batch
        ]
    return changes


def _why(sources: list[tuple[Feedback, str]]) -> str:
    """Why a row went, as far as its feedback says."""
    states = {feedback.state for feedback, _ in sources}
    if not sources:
        return "its feedback is no longer here"
    if states == {FeedbackState.WITHDRAWN}:
        return "taken back by its author"
    if FeedbackState.ACTIVE not in states:
        return "replaced by its author"
    return "a filter leaves it out now, or its prompt reads differently"
