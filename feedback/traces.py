"""Looks for words wherever they may lie: in every text column, in the files under var, in SQLite's own file.

Of a person's texts those count that nobody else said, too: "Hello, I need help" is found everywhere, and
rightly. Used by an erasure to scrub what was quoted, and in the end to see that nothing is left.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Select, Text, TextClause, cast, select
from sqlalchemy import text as sql
from sqlalchemy.sql import FromClause
from sqlmodel import Session, SQLModel, col

from feedback import whereabouts
from feedback.batches import in_batches
from feedback.tables import Customer

TEXT_CHARS = 24
"""A shorter text is not looked for: "Yes, please." is nobody's."""
NAME_CHARS = 6
"""A shorter name is looked for as a whole value only: "42" stands in every second number."""
MOST = 300
"""So many texts are looked for, the longest first; that everything is gone does not rest on the search."""
AT_ONCE = 40
"""Texts looked for in one query."""
BLOCK_BYTES = 1 << 20
SPOKEN = (
    ("message", "text"),
    ("feedback", "text"),
    ("feedback", "note"),
    ("ticket", "context"),
    ("ticket", "reference"),
    ("exam_answer", "text"),
    ("prompt", "text"),
)
"""Where a text is said in the first place. What is found here once a person is gone, others said."""


@dataclass(frozen=True)
class Words:
    """What is looked for: what the site calls a person, and what was said."""

    names: list[str]
    texts: list[str]

    @classmethod
    def of(cls, names: Iterable[str], texts: Iterable[str]) -> "Words":
        """Only what is long enough to mean somebody; the longest texts, if there are many."""
        kept = {text.strip() for text in texts if len(text.strip()) >= TEXT_CHARS}
        longest = sorted(kept, key=lambda text: (-len(text), text))[:MOST]
        return cls(sorted(set(names)), longest)

    def less(self, shared: set[str]) -> "Words":
        """Without the texts that others said, too."""
        return Words(self.names, [text for text in self.texts if text not in shared])

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.names and not self.texts


@dataclass(frozen=True)
class Place:
    """Where something was found: a column, or a file; and in how many rows or how often."""

    where: str
    count: int


def others_of_that_name(session: Session, names: Iterable[str]) -> set[str]:
    """Names that another assistant's customer bears, too."""
    query = select(col(Customer.external_id)).where(col(Customer.external_id).in_(list(names)))
    return set(session.execute(query).scalars())


def said_by_others(session: Session, texts: Sequence[str]) -> set[str]:
    """Texts that are still said somewhere, also as a part of something longer."""
    shared: set[str] = set()
    for table, name in SPOKEN:
        column = SQLModel.metadata.tables[table].columns[name]
        for some in in_batches([text for text in texts if text not in shared], AT_ONCE):
            for value in session.execute(_values(session, column, some)).scalars():
                shared |= {text for text in some if _spelled(column, text) in value}
    return shared


def _spelled(column: Column[str], text: str) -> str:
    """A text as it stands in the column: in JSON, quotes and what is not ASCII are escaped."""
    return json.dumps(text)[1:-1] if isinstance(column.type, JSON) else text


def _holding(session: Session, column: Column[str], texts: Sequence[str]) -> TextClause:
    """A condition: the column holds one of these texts. Written out, as it is asked of every column."""
    find = "instr" if session.get_bind().dialect.name == "sqlite" else "strpos"
    value = f'CAST("{column.table.name}"."{column.name}" AS TEXT)'
    holds = " OR ".join(f"{find}({value}, :sought{number}) > 0" for number in range(len(texts)))
    sought = {f"sought{number}": _spelled(column, each) for number, each in enumerate(texts)}
    return sql(f"({holds})").bindparams(**sought)


def _values(session: Session, column: Column[str], texts: Sequence[str]) -> Select[Any]:
    """The values of a column that hold one of these texts."""
    return select(cast(column, Text)).where(_holding(session, column, texts))


def in_column(session: Session, column: Column[str], words: Words, but: str = "") -> list[str]:
    """The values of a column in which one of the words stands; `but` in the row of this id."""
    found: list[str] = []
    for some in in_batches([*words.names, *words.texts], AT_ONCE):
        query = _values(session, column, some)
        if but:
            query = query.where(column.table.c.id != but)
        for value in session.execute(query).scalars():
            if words_in(value, words, isinstance(column.type, JSON)):
                found.append(value)
    return found


def rows_with(
    session: Session, column: Column[str], words: Words, assistant_id: str
) -> Iterator[tuple[str, Any, set[str]]]:
    """The rows of a column that hold one of the words: id, value, and the texts that stand in it.

    Of tables that know assistants, only this one's rows.
    """
    is_json = isinstance(column.type, JSON)
    seen: set[str] = set()
    for some in in_batches([*words.names, *words.texts], AT_ONCE):
        query = _values(session, column, some).add_columns(column.table.c.id, column)
        if "assistant_id" in column.table.c:
            query = query.where(column.table.c.assistant_id == assistant_id)
        for spelled, ident, value in session.execute(query).all():
            if ident not in seen and words_in(spelled, words, is_json):
                seen.add(ident)
                yield (
                    ident,
                    value,
                    {text for text in words.texts if _spelled(column, text) in spelled},
                )


def scrubbed(value: Any, words: Words, mark: str) -> Any:
    """A value, also one of JSON, in which the words are replaced by a mark."""
    if isinstance(value, str):
        return without(value, words, mark)
    if isinstance(value, list):
        return [scrubbed(each, words, mark) for each in value]
    if isinstance(value, dict):
        return {key: scrubbed(each, words, mark) for key, each in value.items()}
    return value


def words_in(value: str, words: Words, in_json: bool) -> bool:
    """Whether one of the words stands in a value; a name only as a name, not as a part of another."""
    spelled = json.dumps if in_json else str
    if any(
        _name_pattern(name, in_json, json.dumps(name)[1:-1] if in_json else name).search(value)
        for name in words.names
    ):
        return True
    return any((spelled(text)[1:-1] if in_json else text) in value for text in words.texts)


def _name_pattern(name: str, quoted: bool, spelled: str) -> re.Pattern[str]:
    if len(name) < NAME_CHARS:
        whole = re.escape(f'"{spelled}"') if quoted else rf"\A{re.escape(spelled)}\Z"
        return re.compile(whole)
    return re.compile(rf"(?<![\w-]){re.escape(spelled)}(?![\w-])")


def without(value: str, words: Words, mark: str) -> str:
    """A text in which the words are replaced by a mark."""
    for text in words.texts:
        value = value.replace(text, mark)
    for name in words.names:
        value = _name_pattern(name, False, name).sub(mark, value)
    return value


def _is_filled(session: Session, table: FromClause, known: dict[str, bool]) -> bool:
    """Whether a table has rows at all; asked once."""
    name = str(table.name)  # type: ignore[attr-defined]
    if name not in known:
        known[name] = session.execute(select(1).select_from(table).limit(1)).first() is not None
    return known[name]


def in_database(session: Session, words: Words, but: str) -> list[Place]:
    """Every column with one of the words, and in how many rows; `but` one erasure's own row."""
    if words.nothing:
        return []
    found = []
    filled: dict[str, bool] = {}
    for column in whereabouts.searched():
        if not _is_filled(session, column.table, filled):
            continue
        own = but if column.table.name == "erasure" else ""
        values = in_column(session, column, words, own)
        if values:
            found.append(Place(f"{column.table.name}.{column.name}", len(values)))
    return found


# Files


def patterns(words: Words) -> list[re.Pattern[bytes]]:
    """What to look for in files: each text as it is, and as JSON spells it; names as names."""
    found = [re.compile(re.escape(spelled)) for text in words.texts for spelled in spellings(text)]
    for name in words.names:
        for spelled in spellings(name):
            one = re.escape(spelled)
            edge = rb"(?<![\w-])%s(?![\w-])" % one if len(name) >= NAME_CHARS else b'"%s"' % one
            found.append(re.compile(edge))
    return found


def spellings(text: str) -> set[bytes]:
    """A text as bytes: as it is, and as JSON spells it with and without what is not ASCII."""
    return {
        text.encode(),
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    }


def count_in_file(path: Path, sought: Sequence[re.Pattern[bytes]], longest: int) -> int:
    """How many of the patterns stand in a file of any size; `longest`: bytes a match may have."""
    left, tail = list(sought), b""
    for block in _blocks(path):
        window = tail + block
        left = [pattern for pattern in left if not pattern.search(window)]
        tail = window[-longest:]
        if not left:
            break
    return len(sought) - len(left)


def _blocks(path: Path) -> Iterator[bytes]:
    """What a file holds, piece by piece; of Parquet, which is compressed, its rows."""
    if path.suffix == ".parquet":
        # Without pyarrow, or where the file is none, it is read as any other.
        with contextlib.suppress(ImportError, OSError, ValueError):
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(1000):
                    yield json.dumps(batch.to_pylist(), ensure_ascii=False, default=str).encode()
            return
    with path.open("rb") as plain:
        while block := plain.read(BLOCK_BYTES):
            yield block


def in_files(words: Words, paths: Iterable[Path]) -> tuple[list[tuple[Path, int]], int, int]:
    """The files with one of the words in them; how many files were looked through, and bytes."""
    sought = patterns(words)
    longest = max((len(each.pattern) for each in sought), default=0)
    found, files, size = [], 0, 0
    for path in paths:
        try:
            count = count_in_file(path, sought, longest) if sought else 0
            size += path.stat().st_size
        except FileNotFoundError:
            continue  # it went while we looked
        files += 1
        if count:
            found.append((path, count))
    return found, files, size


def files_under(folder: Path, but: Iterable[Path] = ()) -> Iterator[Path]:
    """Every file under a folder, in order, except in folders that are left out."""
    left_out = {path.resolve() for path in but}
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if (here / name).resolve() not in left_out)
        yield from (here / name for name in sorted(names))
