"""Does an edit say that an answer was wrong, or does it only mend its letters? Pure; used by datasets.py.

What only mends spelling or punctuation must not become a preference against the answer as a whole. The
agent's own word, their flag on the same answer, counts first.
"""

import re

from feedback.tables import FlagReason

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[%$\u20ac\u00a3\u00a5]|[-\u2212](?=\d)")
"""Words, and the signs that change what a number means."""
TYPO_CHARS = 5
"""A shorter word that differs in one letter is often another word: now and not, our and out."""


def is_only_form(before: str, after: str, reason: FlagReason | None = None) -> bool:
    """Whether each word stayed what it was, but for a slip; unless the agent says that more was wrong."""
    if reason not in (None, FlagReason.FORMAT):
        return False
    old, new = WORD.findall(before.casefold()), WORD.findall(after.casefold())
    return len(old) == len(new) and all(map(_is_slip, old, new))


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
