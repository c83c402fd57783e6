"""Draws runs and decisions on a terminal: what report.py loads. Used by commands.py and the demo.

Customers' and models' words are shown as they are: no markup, nothing that steers the terminal.
"""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evals import steadiness
from evals.by_topic import TopicGain
from evals.report import Pair, Report, Sat, sentence, value_of
from feedback.confusion import Confusion
from feedback.measures import CHRF, INVENTED_FACTS, LEAKED, MEAN_LOGPROB, MEASURES
from feedback.measures import MUST_NOT_SAY_BROKEN as FORBIDDEN
from feedback.measures import MUST_SAY_BROKEN as LEFT_OUT
from feedback.spending import Budget
from feedback.tickets import question_of

SHOWN = 3
"""How many best wins, and how many worst losses, are shown."""
WIDEST = 12
"""A terminal is not wide enough for a matrix of more classes."""

_HEADINGS = {
    CHRF: "chrF",
    MEAN_LOGPROB: "log-prob",
    LEFT_OUT: "left out",
    FORBIDDEN: "forbidden",
    INVENTED_FACTS: "invented",
    LEAKED: "leaked",
}
"""What stands beside every answer; the other metrics have a table of their own."""


def decision(report: Report, shown: int = SHOWN) -> Group:
    """Verdict, reasons, mean scores, topics, and the best wins and worst losses side by side."""
    style = "bold green" if report.decision.promote else "bold red"
    parts: list[RenderableType] = [Text(sentence(report), style)]
    parts += [_plain(f"  · {reason}") for reason in report.decision.reasons]
    sats = [report.candidate, report.live]
    parts += [Text(), means_table(sats), *more_means(sats)]
    parts += [
        _figures(f"{sat.name}: {title}", found)
        for title, name in (("topics", "topics"), ("hand-overs", "handovers"))
        for sat in sats
        if (found := getattr(sat.choices, name))
    ]
    parts += [_topics_table(report.topics)] if any(t.topic for t in report.topics) else []
    if batching := report.decision.detail.get("batching"):
        parts += [Text(), _plain(steadiness.sentence(batching))]
    wins = [pair for pair in report.pairs if (pair.gain or 0) > 0]
    losses = [pair for pair in reversed(report.pairs) if (pair.gain or 0) < 0]
    for title, pairs in (("Best wins", wins), ("Worst losses", losses)):
        if pairs:
            title = f"{title}, {min(shown, len(pairs))} of {len(pairs)}"
            parts.append(_pairs_table(title, report, pairs[:shown]))
    return Group(*parts)


def run(sat: Sat) -> Group:
    """A run's mean scores, and each answer with its scores."""
    table = Table("ticket", "question", "answer", *_HEADINGS.values(), show_lines=True)
    for one in sat.answers:
        said = f"no answer: {one.answer.error}" if one.answer.error else one.answer.text
        values = [number(value_of(one, metric)) for metric in _HEADINGS]
        table.add_row(
            one.ticket.external_id, _plain(question_of(one.ticket)), _plain(said), *values
        )
    return Group(means_table([sat]), *more_means([sat]), *choices_of(sat), table)


def choices_of(sat: Sat) -> list[RenderableType]:
    """What a run chose: topics and hand-overs, each with its figures and its matrix."""
    parts: list[RenderableType] = []
    found = ("Topics", sat.choices.topics), ("Hand-overs", sat.choices.handovers)
    for title, each in found:
        if each:
            parts += [_figures(title, each), _classes(each), *_matrix(each)]
    return parts


def _figures(title: str, found: Confusion) -> Text:
    figures = {"accuracy": found.accuracy, "macro-F1": found.macro_f1, "kappa": found.kappa}
    told = ", ".join(f"{name} {number(value)}" for name, value in figures.items())
    return Text(f"{title} of {found.total}: {told}", "bold")


def _classes(found: Confusion) -> Table:
    table = Table("class", "expected", "chosen", "right", "precision", "recall", "F1")
    for each in found.by_class:
        counts = str(each.expected), str(each.chosen), str(each.right)
        table.add_row(
            _plain(each.name), *counts, *map(number, (each.precision, each.recall, each.f1))
        )
    return table


def _matrix(found: Confusion) -> list[RenderableType]:
    """A row for each class expected; of many classes only JSON and the console have it."""
    if len(found.classes) > WIDEST:
        return [
            Text(f"The matrix of {len(found.classes)} classes is in the console and in --json.")
        ]
    table = Table("expected, down; chosen, across")
    for name in found.classes:
        table.add_column(_plain(name))
    for name, row in zip(found.classes, found.matrix, strict=True):
        table.add_row(_plain(name), *map(str, row))
    return [table]


def means_table(sats: Sequence[Sat]) -> Table:
    """The mean scores of runs, one a row."""
    table = Table("mean per ticket", *_HEADINGS.values(), "no answer", "tickets")
    for sat in sats:
        means = [number(sat.means[metric]) for metric in _HEADINGS]
        table.add_row(_plain(sat.name), *means, str(sat.failed), str(len(sat.answers)))
    return table


def more_means(sats: Sequence[Sat]) -> list[Table]:
    """The means of the other metrics, one a row and how many answers it applies to; none: no table."""
    table = Table("where it applies", "unit", *(str(_plain(sat.name)) for sat in sats), "answers")
    for metric, measure in MEASURES.items():
        counts = [sat.count(metric) for sat in sats]
        if metric not in _HEADINGS and any(counts):
            means = [number(sat.means[metric]) for sat in sats]
            table.add_row(measure.title, measure.unit, *means, str(max(counts)))
    return [table] if table.row_count else []


def _topics_table(topics: Sequence[TopicGain]) -> Table:
    table = Table("topic", "tickets", "live", "candidate", "gain")
    for topic in topics:
        values = f"{topic.live:.2f}", f"{topic.candidate:.2f}", f"{topic.gain:+.2f}"
        table.add_row(_plain(topic.topic or "no topic"), str(topic.tickets), *values)
    return table


def _pairs_table(title: str, report: Report, pairs: Sequence[Pair]) -> Table:
    ours, theirs = _plain(report.candidate.name), _plain(report.live.name)
    table = Table(title=title, title_justify="left", show_lines=True)
    for heading in ("question", "the agent's answer", theirs, ours):
        table.add_column(heading, ratio=1)
    table.add_column("gain", justify="right")
    for pair in pairs:
        texts = (
            question_of(pair.ticket),
            pair.ticket.reference,
            pair.live.answer.text,
            pair.candidate.answer.text,
        )
        table.add_row(*map(_plain, texts), f"{pair.gain:+.1f}")
    return table


def _plain(text: str) -> Text:
    """Others' words: no markup, and nothing that would steer the terminal."""
    return Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))


def number(value: float | None) -> str:
    """A score for a table."""
    return "-" if value is None else f"{value:.2f}"


def budget(found: Budget, power: dict[str, Any] | None) -> list[str]:
    """What is left of the year's chance, and what the tickets can tell, in sentences."""
    said = [
        f"A worse adapter passes with a chance of at most {found.of:.3g} within {found.days:g} days.",
        f"Spent: {found.spent:.3g} by {found.refused} refused candidates ({found.planned} are planned); "
        f"{found.promoted} that passed gave theirs back. Left: {found.left:.3g}.",
        f"The next look may cost {found.next:.3g}: a stake of 1 must become {1 / found.next:,.0f}."
        if found.next
        else "The next look may cost nothing, so no candidate may pass until a part comes back.",
        f"Expected wrong promotions from these looks: at most {found.expected_wrong:.3g}.",
    ]
    if power is None:
        return [*said, "After the first exam this says how small a gain the tickets can show."]
    smallest = power["smallest_gain"]
    told = "nothing: they are too few" if smallest is None else f"a gain of {smallest:.3g} or more"
    said.append(f"The tickets of {power['customers']} customers find, four times in five: {told}.")
    for gain, needed in power["needed"].items():
        count = (
            "more tickets than can be had"
            if needed is None
            else f"tickets of about {needed:,} customers"
        )
        said.append(f"A gain of {gain} takes {count}.")
    return said
