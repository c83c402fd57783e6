"""How commands print: a table for people, JSON for scripts, and help that ends with examples."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from feedback.database import explained

UNBROKEN = ("id", "message", "name", "adapter", "at", "made_at", "kind", "state")
"""Columns that people copy or scan; on a narrow screen the others give way."""
CUT = ("said", "question", "reference", "chosen", "rejected")
"""Columns of which people need the beginning; the whole is in the JSON."""

Record = Mapping[str, Any]

AssistantOption = Annotated[
    str | None,
    typer.Option("--assistant", "-a", help="Its name; not needed while there is only one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class CommandGroup(TyperGroup):
    """Commands on the database: when it is away, they say so instead of showing a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with explained():
            return super().invoke(ctx)


def examples(*lines: str) -> str:
    """The end of a command's help: lines that can be typed as they stand."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  {escape(line)}" for line in lines)])


def say(sentence: str) -> None:
    """One line for a person."""
    Console().print(escape(sentence), soft_wrap=True, highlight=False)


def print_records(records: Sequence[Record], as_json: bool, nothing: str = "Nothing yet.") -> None:
    """Many things: one row each, or a JSON list."""
    if as_json:
        print_json(records)
    elif not records:
        say(nothing)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in records[0]:
            table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column in UNBROKEN)
        for record in records:
            table.add_row(*(_cell(column, value) for column, value in record.items()))
        Console().print(table)


def _cell(column: str, value: object) -> Text:
    cut = column in CUT
    return Text(_text(value), no_wrap=cut or None, overflow="ellipsis" if cut else None)


def print_record(record: Record, as_json: bool) -> None:
    """One thing: a line per field, or a JSON object."""
    if as_json:
        print_json(record)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name.replace("_", " "), escape(_text(value)))
    Console().print(table)


def print_json(value: object) -> None:
    """JSON on standard output, without colours or line breaks of our own."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_json))


def short(text: str | None, limit: int = 60) -> str:
    """The beginning of a text, on one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value) or "-"
    return str(value)


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"found {type(value)!r}, expected something JSON can hold")
