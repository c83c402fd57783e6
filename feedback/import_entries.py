"""Rows understood: which column holds which field, and whether a row says what its kind needs.

No database here. `imports.py` stores what comes out; what is wrong goes to the file's problems.
"""

import difflib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from feedback.conversations import check_name, check_text
from feedback.errors import Invalid
from feedback.import_rows import Problems, Row
from feedback.tables import Expects
from feedback.tickets import check_context, expected
from feedback.transcript import ModelMessages


class ImportKind(StrEnum):
    """What the rows of a file are."""

    CONVERSATIONS = "conversations"
    CORRECTIONS = "corrections"
    TICKETS = "tickets"


COMMON = ("id", "topic", "customer", "agent", "policy", "question", "context")
TEXTS = {
    ImportKind.CONVERSATIONS: ("answer",),
    ImportKind.CORRECTIONS: ("answer", "correction"),
    ImportKind.TICKETS: ("reference",),
}
LISTS = ("must_say", "must_not_say")
NAME_LIMITS = {"id": 180, "topic": 120, "customer": 200, "agent": 200, "policy": 80}


def fields(kind: ImportKind) -> tuple[str, ...]:
    """What a row of this kind may say."""
    return COMMON + TEXTS[kind] + ((*LISTS, "expects") if kind == ImportKind.TICKETS else ())


@dataclass
class Entry:
    """One row, understood and checked."""

    line: int
    id: str
    topic: str | None
    customer: str | None
    agent: str | None
    policy: str | None
    context: ModelMessages
    texts: dict[str, str]
    lists: dict[str, list[str]]
    expects: Expects = Expects.ANSWER
    """Tickets only."""


class EntryReader:
    """Turns rows into entries; remembers the columns and ids it has met. `policies` are those in force."""

    def __init__(
        self,
        kind: ImportKind,
        mapping: Mapping[str, str],
        problems: Problems,
        policies: Collection[str] = (),
    ) -> None:
        unknown = sorted(set(mapping) - set(fields(kind)))
        if unknown:
            raise Invalid(
                f"Found the field {unknown[0]!r} in the mapping, expected one of "
                f"{', '.join(fields(kind))}. Write --map field=Column."
            )
        self._kind = kind
        self._mapping = mapping
        self._problems = problems
        self._policies = policies
        self._columns = {field: mapping.get(field, field) for field in fields(kind)}
        self._seen: dict[str, None] = {}
        self._ids: dict[str, tuple[int, str]] = {}
        self._absent: set[str] = set()
        self.repeated = 0

    def check_header(self, header: list[str] | None) -> None:
        """A CSV file has all columns that are mapped or needed, before any row is read."""
        if not header:
            return
        needed = {self._columns[field] for field in TEXTS[self._kind]}
        for column in sorted({*needed, *self._mapping.values()} - set(header)):
            self._problems.add(1, column, _no_such_column(column, header))
        if not {self._columns["question"], self._columns["context"]} & set(header):
            column = self._columns["question"]
            self._problems.add(1, column, _no_such_column(column, header))

    def check_columns_seen(self) -> None:
        """In JSONL a mapped column may be missing from a row, but not from every one."""
        if not self._seen:
            return
        for column in sorted(set(self._mapping.values()) - set(self._seen)):
            self._problems.add(1, column, _no_such_column(column, list(self._seen)))

    def unused_columns(self) -> list[str]:
        """Columns of the file that no field took."""
        return [column for column in self._seen if column not in self._columns.values()]

    def entries(self, rows: Iterable[Row]) -> Iterator[Entry]:
        """The rows that are in order; what is wrong with the others goes to the problems."""
        for row in rows:
            self._seen.update(dict.fromkeys(row.values))
            before = self._problems.count
            entry = self._entry(row)
            if self._problems.count == before and not self._absent and self._is_first(entry):
                yield entry

    def _entry(self, row: Row) -> Entry:
        names = {field: self._name(row, field) for field in NAME_LIMITS}
        context = self._context(row)
        texts = {field: self._text(row, field) for field in TEXTS[self._kind]}
        is_ticket = self._kind == ImportKind.TICKETS
        lists = {field: self._list(row, field) for field in LISTS} if is_ticket else {}
        expects = self._expects(row) if is_ticket else Expects.ANSWER
        content = [names["customer"], names["agent"], context, texts, lists]
        content += [expects] if expects != Expects.ANSWER else []
        return Entry(
            line=row.line,
            id=names["id"] or f"row-{_fingerprint(content)[:16]}",
            topic=names["topic"],
            customer=names["customer"],
            agent=names["agent"],
            policy=self._policy(row, names["policy"]),
            context=context,
            texts=texts,
            lists=lists,
            expects=expects,
        )

    def _is_first(self, entry: Entry) -> bool:
        """False for a row that stands in the file twice; two rows that share an id are a problem."""
        fingerprint = _fingerprint([entry.topic, entry.customer, entry.context, entry.texts])
        line, earlier = self._ids.setdefault(entry.id, (entry.line, fingerprint))
        if line == entry.line:
            return True
        if earlier == fingerprint:
            self.repeated += 1
        else:
            self._add(
                entry.line, "id", f"The id {entry.id!r} stands for another row in line {line}."
            )
        return False

    def _add(self, line: int, field: str, sentence: str) -> None:
        self._problems.add(line, self._columns[field], sentence)

    def _name(self, row: Row, field: str) -> str | None:
        value = row.values.get(self._columns[field])
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None or value == "":
            return None
        return self._checked(
            row, field, value, lambda text: check_name(text, field, NAME_LIMITS[field])
        )

    def _policy(self, row: Row, name: str | None) -> str | None:
        if name is not None and name not in self._policies:
            found = ", ".join(map(repr, sorted(self._policies))) or "none"
            self._add(row.line, "policy", f"Found {name!r}, expected a policy in force: {found}.")
        return name

    def _expects(self, row: Row) -> Expects:
        value = row.values.get(self._columns["expects"])
        if value in (None, ""):
            return Expects.ANSWER
        return Expects(self._checked(row, "expects", value, expected) or Expects.ANSWER)

    def _text(self, row: Row, field: str) -> str:
        column = self._columns[field]
        if column not in row.values:
            if column in self._seen or column not in self._absent:  # not the same for every row
                self._add(row.line, field, _no_such_column(column, list(row.values)))
            self._absent.add(column)
            return ""
        value = row.values[column]
        value = "" if value is None else value
        return self._checked(row, field, value, lambda text: check_text(text, field)) or ""

    def _checked(self, row: Row, field: str, value: Any, check: Callable[[str], str]) -> str | None:
        if not isinstance(value, str):
            self._add(row.line, field, f"Found {value!r:.60}, expected text.")
            return None
        try:
            return check(value.replace("\r\n", "\n"))
        except Invalid as error:
            self._add(row.line, field, str(error))
            return None

    def _list(self, row: Row, field: str) -> list[str]:
        value = row.values.get(self._columns[field]) or []
        if isinstance(value, str):
            value = value.split("|")
        if not isinstance(value, list):
            self._add(row.line, field, f"Found {value!r:.60}, expected a list, or texts between |.")
            return []
        said = [item for item in value if item != ""]
        return [
            text
            for item in said
            if (text := self._checked(row, field, item, lambda text: check_text(text, "rule")))
        ]

    def _context(self, row: Row) -> ModelMessages:
        context = row.values.get(self._columns["context"])
        has_question = row.values.get(self._columns["question"]) not in (None, "")
        if context in (None, "", []):
            return [{"role": "user", "content": self._text(row, "question")}]
        if has_question:
            self._add(row.line, "question", "The row has a context too; expected one of the two.")
        if not isinstance(context, list):
            self._add(
                row.line, "context", f"Found {context!r:.60}, expected a list of role and content."
            )
            return []
        try:
            return check_context(context)
        except Invalid as error:
            self._add(row.line, "context", str(error))
            return []


def _no_such_column(column: str, found: list[str]) -> str:
    close = difflib.get_close_matches(column, found, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"There is no such column; found {', '.join(map(repr, found)) or 'none'}.{hint} "
        "Say which column to read with --map field=Column."
    )


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
