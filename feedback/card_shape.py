"""The shape of a model card: front matter, and sections of sentences, lists, tables and code. Pure.

model_card.py fills it. Here it becomes Markdown as hubs read it; the console draws the same parts as a page.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Named(StrEnum):
    """Who is called by name on a card. Customers never are."""

    NOBODY = "nobody"
    DECIDERS = "deciders"
    """Who asked for the training, and who let it go live."""
    EVERYBODY = "everybody"
    """Those, and the authors of what it learned."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Code:
    """Lines to be typed, and the language they are in."""

    text: str
    language: str


Part = str | list[str] | Table | Code
"""A sentence or several, a list, a table, or code."""


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    title: str
    parts: list[Part]


@dataclass(frozen=True)
class Card:
    """A whole card. `front` is what a hub reads: a value or a list of values by name."""

    title: str
    front: dict[str, str | list[str]]
    sections: list[Section]


def markdown(card: Card) -> str:
    """A card as README.md of a hub repository: YAML front matter, then Markdown."""
    sections = [f"## {each.title}\n\n{_parts(each)}" for each in card.sections]
    return "\n\n".join([_front(card.front), f"# {_plain(card.title)}", *sections]) + "\n"


def _front(front: dict[str, str | list[str]]) -> str:
    """Printable strings of JSON are YAML's, too: nothing in them can end the front matter."""
    lines = ["---"]
    for name, value in front.items():
        if isinstance(value, str):
            lines.append(f"{name}: {_quoted(value)}")
        else:
            lines += [f"{name}:", *(f"- {_quoted(each)}" for each in value)]
    return "\n".join([*lines, "---"])


def _quoted(value: str) -> str:
    return json.dumps("".join(filter(str.isprintable, value)), ensure_ascii=False)


def _parts(section: Section) -> str:
    return "\n\n".join(_part(each) for each in section.parts)


def _part(part: Part) -> str:
    match part:
        case str():
            return _plain(part)
        case Table(head, rows):
            return "\n".join([_row(head), _row(("---",) * len(head)), *(_row(row) for row in rows)])
        case Code(text, language):
            return f"```{language}\n{text}\n```"
        case _:
            return "\n".join(f"- {_plain(each)}" for each in part)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(each if each == '---' else _plain(each) for each in cells)} |"


def _plain(text: str) -> str:
    """Words as they are: nothing in them is taken for Markdown or HTML."""
    return re.sub(r"([\\`*<>|\[\]])", r"\\\1", " ".join(text.split()))
