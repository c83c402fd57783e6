"""Rows of a CSV or JSONL file, each with the line it begins on, and everything wrong with them.

Reads one row at a time and knows nothing of what the columns mean; that is `imports.py`, its only
caller. A line that cannot be read is a problem with a place, never an exception halfway.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from feedback.errors import Invalid

CSV = (".csv", ".tsv")
JSONL = (".jsonl", ".ndjson")
DELIMITERS = ",;\t"

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the size of the file."""


@dataclass(frozen=True)
class Row:
    """One record: column name to value, and the physical line it begins on."""

    line: int
    values: dict[str, Any]


class Problems:
    """Everything wrong with a file: all counted, the first few kept word for word."""

    def __init__(self, path: Path, limit: int = 20) -> None:
        self.path = path
        self.count = 0
        self._limit = limit
        self._kept: list[str] = []

    def add(self, line: int, column: str | None, sentence: str) -> None:
        """Note what is wrong at a line and, where known, in a column."""
        self.count += 1
        if self.count <= self._limit:
            place = f"{self.path.name}, line {line}" + (f", column {column!r}" if column else "")
            self._kept.append(f"{place}: {sentence}")

    def raise_if_any(self) -> None:
        """Raise Invalid with all that was found."""
        if self.count:
            more = self.count - len(self._kept)
            tail = [f"… and {more} more."] if more else []
            noun = "problem" if self.count == 1 else "problems"
            raise Invalid(
                "\n".join([f"{self.count} {noun}; nothing was stored.", *self._kept, *tail])
            )


def header(path: Path, problems: Problems) -> list[str] | None:
    """The columns of a CSV file. None for JSONL, where every row names its own."""
    if not path.is_file():
        raise Invalid(f"There is no file {str(path)!r}.")
    if path.suffix.lower() in JSONL:
        return None
    if path.suffix.lower() not in CSV:
        raise Invalid(
            f"Found the file name {path.name!r}, expected one ending in {', '.join(CSV + JSONL)}."
        )
    ignored = Problems(path)  # rows() meets the same lines again and notes them
    _, columns = next(_records(_lines(path, ignored, None), problems), (1, []))
    if not columns:
        problems.add(1, None, "The file is empty; expected a first line with the column names.")
    for name in {name for name in columns if columns.count(name) > 1}:
        problems.add(1, name, "Two columns have this name; rename one of them.")
    return columns


def rows(path: Path, problems: Problems, progress: Progress | None = None) -> Iterator[Row]:
    """Every record that can be read, in order; blank lines are passed over."""
    lines = _lines(path, problems, progress)
    return (
        _json_rows(lines, problems) if path.suffix.lower() in JSONL else _csv_rows(lines, problems)
    )


def _lines(path: Path, problems: Problems, progress: Progress | None) -> Iterator[str]:
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            done += len(raw)
            if progress:
                progress(done, total)
            line = raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                problems.add(
                    number,
                    None,
                    f"Byte {error.start + 1} is {line[error.start]:#04x}, which is not UTF-8. Save "
                    "the file as UTF-8 (in a spreadsheet: 'CSV UTF-8').",
                )
                yield line.decode("utf-8", "replace")


def _csv_rows(lines: Iterator[str], problems: Problems) -> Iterator[Row]:
    records = _records(lines, problems)
    _, columns = next(records, (1, []))
    for line, cells in records:
        if len(cells) == len(columns):
            yield Row(line, dict(zip(columns, cells, strict=True)))
        else:
            problems.add(
                line,
                None,
                f"Found {len(cells)} cells, expected {len(columns)} as in the first line. "
                "Put quotes around a text that contains the delimiter, a quote or a line break.",
            )


def _records(lines: Iterator[str], problems: Problems) -> Iterator[tuple[int, list[str]]]:
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(line, None, f"The record is broken ({error}). Is a quote open or doubled?")
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _json_rows(lines: Iterator[str], problems: Problems) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.rstrip("\r\n"))
        except json.JSONDecodeError as error:
            problems.add(
                number,
                None,
                f"Not JSON at character {error.colno}: {error.msg}. One object a line.",
            )
        except RecursionError:
            problems.add(number, None, "The JSON is nested too deeply; expected one flat object.")
        else:
            if isinstance(value, dict):
                yield Row(number, value)
            else:
                problems.add(number, None, f"Found {value!r:.60}, expected one JSON object a line.")
