"""Is a conversation close to a held-out ticket? Then nothing said about it may teach.

Similarity is the Jaccard index of the sets of character trigrams (Broder, 1997, with characters for
words), over letters and digits only, so that typos, word order and punctuation do not hide a copy.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from feedback.transcript import ModelMessages

WORDS = re.compile(r"[^\W_]+")
MIN_TURN_CHARS = 20
"""A last turn shorter than this ("yes, please") says nothing by itself; only whole contexts count."""


def trigrams(text: str) -> frozenset[str]:
    """The set of character trigrams of a text, case, accents and punctuation folded."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = f"  {' '.join(WORDS.findall(plain))}  "
    return frozenset(plain[i : i + 3] for i in range(len(plain) - 2))


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard index of two trigram sets, 0 to 1."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


@dataclass(frozen=True)
class _Prints:
    whole: frozenset[str]
    last: frozenset[str] | None


def _prints(context: ModelMessages) -> _Prints:
    said = [turn for turn in context if turn["role"] != "system"]
    last = said[-1]["content"] if said else ""
    return _Prints(
        whole=trigrams(" ".join(turn["content"] for turn in said)),
        last=trigrams(last) if len(last) >= MIN_TURN_CHARS else None,
    )


class Sealed:
    """The held-out tickets of an assistant, ready to be compared with."""

    def __init__(self, contexts: Iterable[tuple[str, ModelMessages]], threshold: float) -> None:
        self._tickets = [(name, _prints(context)) for name, context in contexts]
        self._threshold = threshold

    def near(self, context: ModelMessages) -> tuple[str, float] | None:
        """The ticket this context comes too close to, with the similarity; None when it is free."""
        mine = _prints(context)
        best: tuple[str, float] | None = None
        for name, theirs in self._tickets:
            found = self._alike(mine.whole, theirs.whole)
            if mine.last is not None and theirs.last is not None:
                found = max(found, self._alike(mine.last, theirs.last))
            if found >= self._threshold and (best is None or found > best[1]):
                best = (name, found)
        return best

    def _alike(self, a: frozenset[str], b: frozenset[str]) -> float:
        # The index cannot exceed the ratio of the sizes, which is far cheaper to know.
        if min(len(a), len(b)) < self._threshold * max(len(a), len(b)):
            return 0.0
        return similarity(a, b)
