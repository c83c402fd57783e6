"""Where in a text something was found, and of which type. What the recognisers of redaction.py speak in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` up to but without `end` of a text, and what they are."""

    start: int
    end: int
    type: str


def settle(groups: Iterable[Sequence[Span]], taken: Iterable[Span] = ()) -> list[Span]:
    """Spans that do not overlap, in the order of the text. Earlier groups win, in a group the longer;
    of what loses, the part that nobody else has stays.

    `taken`: characters that nobody may have; they are not in the result.
    """
    blocked = list(taken)
    settled: list[Span] = []
    for group in groups:
        for span in sorted(group, key=lambda each: (each.start - each.end, each.start)):
            settled += list(_without(span, [*blocked, *settled]))
    return sorted(settled, key=lambda span: span.start)


def _without(span: Span, others: list[Span]) -> Iterator[Span]:
    start = span.start
    for other in sorted(others, key=lambda each: each.start):
        if other.end <= start or other.start >= span.end:
            continue
        if other.start > start:
            yield Span(start, other.start, span.type)
        start = other.end
    if start < span.end:
        yield Span(start, span.end, span.type)
