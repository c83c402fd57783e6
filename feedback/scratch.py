"""Lessons on their way to becoming rows: merged, limited and put in order on disk, not in memory.

A private SQLite file without a name, whatever database the lessons come from; it is gone with this
object. Used by freezing.py alone.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from feedback.learning import Learning
from feedback.lessons import Lesson
from feedback.tables import DatasetKind, Split
from feedback.topics import TOPIC

LIMITS = {
    "over_author": ("author", "rows_per_author"),
    "over_customer": ("customer", "rows_per_customer"),
    "over_topic": ("topic", "rows_per_topic"),
}
"""The counts of what a limit leaves out: whose lessons are counted, and the limit's name in `Learning`."""

TABLES = """
CREATE TABLE lesson (
    kind TEXT, key TEXT, feedback_id TEXT, author TEXT, customer TEXT, topic TEXT, split TEXT,
    weight REAL, prompt TEXT, chosen TEXT, rejected TEXT, label INTEGER, edit TEXT
);
CREATE TABLE row (kind TEXT, key TEXT, split TEXT, weight REAL, lesson INTEGER, sha256 TEXT);
"""


@dataclass(frozen=True)
class Row:
    """One row as it will be frozen, with the feedback it rests on."""

    sha256: str
    split: Split
    weight: float
    prompt: str
    """JSON: model messages, the system prompt first."""
    chosen: str
    rejected: str | None
    label: bool | None
    edit: str | None
    sources: list[str]


def key_of(prompt: str, chosen: str, rejected: str | None, label: bool | None = None) -> str:
    """Hash of what a row teaches: two lessons that teach the same become one row.

    A good and a bad word on one answer have one key: they cancel each other.
    """
    told = [json.dumps(chosen, ensure_ascii=False), json.dumps(rejected, ensure_ascii=False)]
    if label is not None:
        told.append('"good or bad"')
    return hashlib.sha256(f"[{prompt},{','.join(told)}]".encode()).hexdigest()


def _sha256(key: str, split: str, weight: float, label: int | None) -> str:
    """Hash of a row as it is frozen."""
    told = f"{key}:{split}"
    if label is not None:
        told += f":{bool(label)}"
    return hashlib.sha256((told if weight == 1 else f"{told}:{weight:g}").encode()).hexdigest()


class Scratch:
    """All lessons of one freeze. Memory stays flat however many there are."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.create_function("row_sha256", 4, _sha256, deterministic=True)
        self._file.executescript(f"PRAGMA journal_mode=OFF;PRAGMA synchronous=OFF;{TABLES}BEGIN;")

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def add(self, lessons: Iterable[Lesson]) -> None:
        """Take in lessons; each is one word about one dataset's row."""
        self._file.executemany(
            "INSERT INTO lesson VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    each.kind,
                    key_of(each.prompt, each.chosen, each.rejected, each.label),
                    each.feedback_id,
                    each.author,
                    each.customer,
                    each.topic,
                    each.split,
                    each.weight,
                    each.prompt,
                    each.chosen,
                    each.rejected,
                    each.label,
                    each.edit,
                )
                for each in lessons
            ),
        )

    def settle(self, learning: Learning) -> dict[DatasetKind, dict[str, int]]:
        """Apply the limits and merge what is alike; what that left out, by dataset.

        Which lessons a limit keeps is drawn by their hash, so that it is the same on any machine.
        """
        left_out = {kind: self._limit(kind, learning) for kind in DatasetKind}
        self._file.execute("CREATE INDEX lesson_key ON lesson (kind, key)")
        self._file.execute(
            "INSERT INTO row SELECT kind, key, min(split), max(weight), min(rowid), "
            "row_sha256(key, min(split), max(weight), min(label)) FROM lesson "
            # 'train' sorts before 'validation': one row from two customers must not measure itself.
            "GROUP BY kind, key HAVING min(label) IS max(label)"
        )
        self._file.execute("CREATE INDEX row_order ON row (kind, sha256)")
        for kind, counts in left_out.items():
            total, alike, cancelled = self._merged(kind)
            counts.update(alike=alike, cancelled=cancelled, rows=total)
        return left_out

    def _limit(self, kind: DatasetKind, learning: Learning) -> dict[str, int]:
        counts = {}
        for count, (column, limit) in LIMITS.items():
            most = getattr(learning, limit)
            counts[count] = 0
            if most is None:
                continue
            # Rows that teach a topic come besides, so they crowd out no answer.
            order = (
                f"row_number() OVER (PARTITION BY {column}, edit IS '{TOPIC}' ORDER BY key, split)"
            )
            counts[count] = self._file.execute(
                "DELETE FROM lesson WHERE rowid IN (SELECT id FROM "  # noqa: S608 - our own column names
                f"(SELECT rowid AS id, {order} AS n FROM lesson WHERE kind = ? AND {column} IS NOT NULL) "
                "WHERE n > ?)",
                (kind, most),
            ).rowcount
        return counts

    def _merged(self, kind: DatasetKind) -> tuple[int, int, int]:
        lessons = self._one("SELECT count(*) FROM lesson WHERE kind = ?", kind)
        rows = self._one("SELECT count(*) FROM row WHERE kind = ?", kind)
        cancelled = self._one(
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM lesson WHERE kind = ? "
            "GROUP BY key HAVING min(label) IS NOT max(label))",
            kind,
        )
        return rows, lessons - rows - cancelled, cancelled

    def _one(self, query: str, kind: DatasetKind) -> int:
        return int(self._file.execute(query, (kind,)).fetchone()[0])

    def hashes(self, kind: DatasetKind) -> Iterator[tuple[str, str]]:
        """Each row's hash and split, in frozen order."""
        yield from self._file.execute(
            "SELECT sha256, split FROM row WHERE kind = ? ORDER BY sha256", (kind,)
        )

    def rows(self, kind: DatasetKind, start: int, count: int) -> list[Row]:
        """Some rows in frozen order, from position `start` on."""
        found = self._file.execute(
            "SELECT sha256, row.split, row.weight, prompt, chosen, rejected, label, edit, row.key "
            "FROM (SELECT * FROM row WHERE kind = ? ORDER BY sha256 LIMIT ? OFFSET ?) AS row "
            "JOIN lesson ON lesson.rowid = row.lesson ORDER BY sha256",
            (kind, count, start),
        ).fetchall()
        return [self._row(kind, *each) for each in found]

    def _row(self, kind: DatasetKind, *columns: Any) -> Row:
        sha256, split, weight, prompt, chosen, rejected, label, edit, key = columns
        sources = self._file.execute(
            "SELECT DISTINCT feedback_id FROM lesson WHERE kind = ? AND key = ? ORDER BY feedback_id",
            (kind, key),
        )
        known = None if label is None else bool(label)
        return Row(
            sha256, Split(split), weight, prompt, chosen, rejected, known, edit,
            [each for (each,) in sources],
        )  # fmt: skip
