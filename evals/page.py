"""An exam's record as one HTML page that needs nothing else: styles and drawings inside, no script.

It shows what record.py gathered. Others' words are text only: escaped by Jinja2, their control
characters made visible, each in a block of its own direction.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evals import plots
from evals.record_shapes import ExamRecord, Pair
from feedback.measures import title
from feedback.spending import in_words
from feedback.tables import now
from service.console.differences import word_diff
from service.console.pages import HERE as CONSOLE
from service.console.pages import duration, words

TEMPLATES = Path(__file__).parent / "templates"
NOTHING = 1e-9
"""What is left of zero after sums of rounded numbers."""
SHOWN = 5
"""How many worst losses and how many best wins stand side by side."""
BROKEN_SHOWN = 40
"""Tickets with a broken rule that are listed; the JSON has all."""
NONE = "\u2013"
HARMLESS = "\n\t\u200c\u200d"
"""Not printable, but part of how people write: joiners make letters of Persian, and emoji."""
DETAILS = {
    "power": "What these tickets can show",
    "fresh": "New tickets",
    "used": "Tickets asked before",
    "budget": "Budget for wrong promotions",
    "batching": "How far batching moves an answer",
}
"""Sections of what else the gate wrote down; what it writes beside these goes by its own name."""


def html(told: ExamRecord, printed_at: datetime | None = None) -> str:
    """The whole page. `printed_at` (default: now) is the only thing on it that is not in the record."""
    return (
        _environment()
        .get_template("record.html")
        .render(
            told=told,
            css=Markup(style()),  # noqa: S704 - our own style sheets
            policy=policy(),
            printed_at=printed_at or now(),
            forest=plots.forest(told.statistics.title, _rows(told)),
            differences=_differences(told),
            scatter=_scatter(told),
            losses=_losses(told),
            wins=_wins(told),
            broken=told.rules.broken[:BROKEN_SHOWN],
            details=list(_details(told.detail)),
        )
    )


def policy() -> str:
    """The Content-Security-Policy for the page: its own style sheet and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """The consoles' colours and the page's own rules."""
    colours = (CONSOLE / "static" / "tokens.css").read_text(encoding="utf-8")
    return f"\n{colours}{(TEMPLATES / 'record.css').read_text(encoding='utf-8')}"


def environment(templates: Path) -> Environment:
    """For pages that need nothing else: what others wrote is text there, whatever is in it."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        finalize=_said,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _environment() -> Environment:
    made = environment(TEMPLATES)
    made.filters |= {
        "num": number,
        "stake": in_words,
        "signed": signed,
        "time": lambda at: f"{at:%Y-%m-%d %H:%M} UTC" if at else NONE,
        "duration": duration,
        "words": words,
        "value": _value,
        "interval": lambda it: plots.interval(it.gain, it.low, it.high),
    }
    made.globals["changed"] = lambda pair: _changes(pair.live.text, pair.candidate.text)
    return made


def _said(value: object) -> object:
    """Whatever is put into the page: what would steer the reader's eyes is made visible."""
    return _plain(value) if type(value) is str else value


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() or char in HARMLESS else "\ufffd" for char in text)


def number(value: float | None) -> str:
    """A figure to three digits."""
    if value is not None and abs(value) < NOTHING:
        return "0"
    return NONE if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def signed(value: float | None) -> str:
    """A difference to three digits, with its sign."""
    return NONE if value is None else f"{value:+.3g}" if abs(value) >= NOTHING else "0"


def _value(value: object) -> str:
    """Whatever stands in JSON, as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return NONE if value is None else str(value)


def _changes(before: str, after: str) -> list[tuple[str, str]]:
    """What the candidate says differently, word by word; as a whole where little of live's answer is left."""
    changes = word_diff(before, after)
    same = sum(len(text) for kind, text in changes if kind == "same" and text.strip())
    return changes if same * 2 >= len(after) else [("new", after)]


def _rows(told: ExamRecord) -> list[plots.Row]:
    """All tickets together, then topic by topic."""
    numbers = told.statistics
    rows = [
        plots.Row(
            _plain(each.topic or "no topic"), str(each.tickets), each.gain, each.low, each.high
        )
        for each in told.topics
    ]
    if numbers.gain is None:
        return rows
    tickets = str(numbers.tickets)
    whole = plots.Row("all tickets", tickets, numbers.gain, numbers.low, numbers.high, is_all=True)
    return [whole, *rows]


def _differences(told: ExamRecord) -> Markup | None:
    gains = [pair.gain for pair in told.pairs if pair.gain is not None]
    return plots.differences(_unit(told), gains) if gains else None


def _scatter(told: ExamRecord) -> Markup | None:
    metric = told.statistics.paired_by
    points = []
    for pair in told.pairs:
        ours, theirs = (side.scores.get(metric) for side in (pair.candidate, pair.live))
        if ours and theirs and ours.value is not None and theirs.value is not None:
            points.append((ours.value, theirs.value))
    return plots.scatter(_unit(told), points) if points else None


def _unit(told: ExamRecord) -> str:
    return title(told.statistics.paired_by)


def _losses(told: ExamRecord) -> list[Pair]:
    """The worst first."""
    return [pair for pair in reversed(told.pairs) if pair.gain is not None and pair.gain < 0][
        :SHOWN
    ]


def _wins(told: ExamRecord) -> list[Pair]:
    return [pair for pair in told.pairs if pair.gain is not None and pair.gain > 0][:SHOWN]


def _details(detail: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """What else the gate wrote down, section by section, each as names with values."""
    loose = [(name, value) for name, value in detail.items() if not isinstance(value, dict)]
    for name in sorted(
        detail, key=lambda name: list(DETAILS).index(name) if name in DETAILS else 99
    ):
        if isinstance(detail[name], dict) and detail[name]:
            yield DETAILS.get(name, words(name)), list(_flat(detail[name]))
    if loose:
        yield "Also written down", loose


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """Names with values, also of facts inside of facts."""
    for name, value in facts.items():
        whole = f"{before}{words(str(name))}"
        if isinstance(value, dict):
            yield from _flat(value, f"{whole}, ")
        else:
            yield whole, value
