"""What an edit says about the answer: which kind of mistake it mends. Pure; used by lessons.py.

What only mends spelling or form must not become a preference against the answer as a whole. The agent's
own word, their flag on the same answer, counts first; without one the difference of the texts decides.
"""

import re
from collections import Counter
from enum import StrEnum

from feedback.tables import FlagReason

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[%$\u20ac\u00a3\u00a5]|[-\u2212](?=\d)")
"""Words, and the signs that change what a number means."""
TYPO_CHARS = 5
"""A shorter word that differs in one letter is often another word: now and not, our and out."""
KEPT = 0.9
"""Share of the answer's words that an edit keeps when it only adds to it."""
SAME_CONTENT = 0.6
"""Overlap of the longer words from which two texts say the same, in another tone."""
CONTENT_CHARS = 4
"""Words from this length on are counted as content; shorter ones carry the tone."""
EVEN_CHARS = 50
"""Added to both lengths before they are compared: of two short texts one may well be twice as long."""


class EditKind(StrEnum):
    """What a correction mends."""

    WRONG_FACT = "wrong_fact"
    MISSING_STEP = "missing_step"
    UNSAFE = "unsafe"
    TONE = "tone"
    FORMAT = "format"
    TYPO = "typo"
    SHOULD_HAND_OVER = "should_hand_over"
    REWRITE = "rewrite"


ONLY_FORM = (EditKind.FORMAT, EditKind.TYPO)
"""These teach the answer, and say nothing against the one that was given."""


def kind_of(before: str, after: str, reason: FlagReason | None = None) -> EditKind:
    """What an edit mends, by the agent's own reason, else by how the words differ.

    Numbers that changed are a fact; words that were only added, a missing step; the same content in
    other small words, the tone; anything else is a rewrite.
    """
    if reason not in (None, FlagReason.FORMAT):
        return EditKind(reason)
    old, new = WORD.findall(before.casefold()), WORD.findall(after.casefold())
    if len(old) == len(new) and all(map(_is_slip, old, new)):
        return EditKind.FORMAT if old == new or reason else EditKind.TYPO
    if reason:
        return EditKind.REWRITE  # they called it form, but words changed
    if _numbers(old) and _numbers(new) and _numbers(old) != _numbers(new):
        return EditKind.WRONG_FACT
    if old and len(new) > len(old) and _shared(old, new) >= KEPT * len(old):
        return EditKind.MISSING_STEP
    mine, theirs = _content(old), _content(new)
    if mine and len(mine & theirs) >= SAME_CONTENT * len(mine | theirs):
        return EditKind.TONE
    return EditKind.REWRITE


def length_ratio(a: str, b: str) -> float:
    """How many times the longer text is as long as the shorter, from 1."""
    short, long = sorted((len(a) + EVEN_CHARS, len(b) + EVEN_CHARS))
    return long / short


def _numbers(words: list[str]) -> set[str]:
    return {word for word in words if any(char.isdigit() for char in word)}


def _content(words: list[str]) -> set[str]:
    return {word for word in words if len(word) >= CONTENT_CHARS}


def _shared(old: list[str], new: list[str]) -> int:
    return (Counter(old) & Counter(new)).total()


def _is_slip(a: str, b: str) -> bool:
    """The same word, but for a letter or two that changed places."""
    if a == b:
        return True
    if min(len(a), len(b)) < TYPO_CHARS or not (a + b).isalpha() or a[0] != b[0]:
        return False
    start = next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    rest, other = a[start:], b[start:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return swapped or rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]
