"""Where in a text something was found, and of which type. What the recognisers of redaction.py speak in."""

from bisect import bisect, insort
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

    `taken`: characters that nobody may have; they are not in the result, and do not overlap either.
    """
    blocked = sorted(taken, key=_start)
    settled: list[Span] = []
    for group in groups:
        for span in sorted(group, key=lambda each: (each.start - each.end, each.start)):
            left = list(_without(span, blocked))
            settled += left
            for part in left:
                insort(blocked, part, key=_start)
    return sorted(settled, key=_start)


def _start(span: Span) -> int:
    return span.start


def _without(span: Span, blocked: list[Span]) -> Iterator[Span]:
    """What of the span none of these has; they are in order, so only its neighbours are looked at."""
    start = span.start
    for at in range(max(0, bisect(blocked, start, key=_start) - 1), len(blocked)):
        other = blocked[at]
        if other.start >= span.end:
            break
        if other.end <= start:
            continue
        if other.start > start:
            yield Span(start, other.start, span.type)
        start = other.end
    if start < span.end:
        yield Span(start, span.end, span.type)
