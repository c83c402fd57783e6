"""Recognises postal addresses by how they are written in many languages. Called by redaction.py.

Pure. A street, a flat or a box is the anchor; from it the address grows over the parts beside it: house
numbers, floors, post codes, cities. A place alone is none.
"""

import re
from collections.abc import Iterable, Iterator

from feedback.spans import Span
from feedback.street_forms import ANCHORS, HEAD, NO_NAME, TAIL

LONGEST_HEAD = 60
MOST_PARTS = 8
"""Parts that an address has on each side of its anchor, at most."""

FULL_STOP = re.compile(r"[^\W\d_]{4}\.\Z")
"""Behind a whole word; St. and Apt. keep theirs."""


def find(text: str, places: Iterable[Span] = ()) -> list[Span]:
    """The addresses in a text, each with the places that stand behind it; spans may overlap.

    `places`: cities, countries and buildings as the language model sees them. Alone they are no address.
    """
    if not any(map(str.isdigit, text)):
        return []
    return [_placed(text, span, places) for span in _anchored(text)]


def _anchored(text: str) -> Iterator[Span]:
    for pattern in ANCHORS:
        part = "value" if "value" in pattern.groupindex else 0
        until = 0
        for found in pattern.finditer(text):
            if found.start() and text[found.start() - 1].isalnum():
                continue
            if found.end(part) > until and not NO_NAME.fullmatch(found[part]):
                address = _grown(text, found.start(part), found.end(part))
                until = address.end
                yield address


def _placed(text: str, address: Span, places: Iterable[Span]) -> Span:
    end = address.end
    for place in places:
        if place.end > end >= place.start - 4 and not text[end : place.start].strip(" ,\n"):
            end = place.end
    if FULL_STOP.search(text, max(0, end - 5), end):
        end -= 1
    return Span(address.start, end, address.type)


def _grown(text: str, start: int, end: int) -> Span:
    """The whole address around an anchor: as far as its parts follow each other."""
    for _ in range(MOST_PARTS):
        end = tail.end() if (tail := TAIL.match(text, end)) else end
        head = HEAD.search(text, max(0, start - LONGEST_HEAD), start)
        start = head.start() if head else start
    return Span(start, end, "ADDRESS")
