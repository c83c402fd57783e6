"""What an edit changed: a fact, a step, the tone, or only spelling or form. Pure; called when data is frozen.

The agent's own choice, their flag on the same answer, counts first. Without one the words are compared: an
edit that only mends letters or punctuation says nothing against the answer as a whole, so it must not become
a preference against it.
"""

import re
from difflib import SequenceMatcher
from enum import StrEnum

from feedback.tables import FlagReason

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[%$\u20ac\u00a3\u00a5]|[-\u2212](?=\d)")
"""Words, and the signs that change what a number means."""
TYPO_CHARS = 5
"""A shorter word that differs in one letter is often another word: now and not, our and out."""


class Edit(StrEnum):
    """What a correction is about. The first six are an agent's reasons for a flag, too."""

    WRONG_FACT = FlagReason.WRONG_FACT
    MISSING_STEP = FlagReason.MISSING_STEP
    UNSAFE = FlagReason.UNSAFE
    TONE = FlagReason.TONE
    FORMAT = FlagReason.FORMAT
    SHOULD_HAND_OVER = FlagReason.SHOULD_HAND_OVER
    TYPO = "typo"
    WORDING = "wording"
    """Words were changed, and nobody said why."""


def classify(before: str, after: str, reason: FlagReason | None = None) -> Edit:
    """What was changed from one text to the other; `reason`: what the agent chose, if anything."""
    if reason is not None:
        return Edit(reason)
    return _by_words(before, after)


def is_only_form(before: str, after: str, reason: FlagReason | None = None) -> bool:
    """Whether an edit says nothing against what the answer says: letters or punctuation were mended, and
    the agent does not say that more was wrong.
    """
    if reason not in (None, FlagReason.FORMAT):
        return False
    return _by_words(before, after) in (Edit.TYPO, Edit.FORMAT)


def _by_words(before: str, after: str) -> Edit:
    old, new = WORD.findall(before), WORD.findall(after)
    if [word.casefold() for word in old] == [word.casefold() for word in new]:
        return Edit.FORMAT
    if len(old) == len(new) and all(map(_one_slip, old, new)):
        return Edit.TYPO
    changes = [
        (old[a:b], new[c:d])
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    if any(_numbers(gone) != _numbers(come) and gone for gone, come in changes):
        return Edit.WRONG_FACT
    if not any(gone for gone, _ in changes):
        return Edit.MISSING_STEP
    return Edit.WORDING


def _one_slip(a: str, b: str) -> bool:
    """The same word, but for a letter or two that changed places."""
    a, b = a.casefold(), b.casefold()
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


def _numbers(words: list[str]) -> list[str]:
    return [word for word in words if any(char.isdigit() for char in word)]
