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
"""A turn shorter than this ("yes, please") says nothing by itself; only whole contexts count."""


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
class _Print:
    """A trigram set as the bits of a number, one per known trigram, and the size of the whole set."""

    bits: int
    size: int


@dataclass(frozen=True)
class _Prints:
    whole: _Print
    questions: list[_Print]
    """The customer's turns that are long enough to mean something."""
    last: _Print | None


class Sealed:
    """The held-out tickets of an assistant, ready to be compared with."""

    def __init__(self, contexts: Iterable[tuple[str, ModelMessages]], threshold: float) -> None:
        self._threshold = threshold
        self._bits: dict[str, int] = {}
        self._tickets = [(name, self._prints(context, learn=True)) for name, context in contexts]

    def near(self, context: ModelMessages) -> tuple[str, float] | None:
        """The ticket this context comes too close to, with the similarity; None when it is free."""
        mine = self._prints(context)
        best: tuple[str, float] | None = None
        for name, theirs in self._tickets:
            found = self._alike(mine.whole, theirs.whole)
            if theirs.last is not None:  # asked anywhere in the conversation, not only at its end
                alike = (self._alike(mine_asked, theirs.last) for mine_asked in mine.questions)
                found = max([found, *alike])
            if found >= self._threshold and (best is None or found > best[1]):
                best = (name, found)
        return best

    def _prints(self, context: ModelMessages, learn: bool = False) -> _Prints:
        said = [turn for turn in context if turn["role"] != "system"]
        asked = [turn["content"] for turn in said if turn["role"] == "user"]
        whole = self._print(" ".join(turn["content"] for turn in said), learn)
        questions = [self._print(text, learn) for text in asked if len(text) >= MIN_TURN_CHARS]
        last = questions[-1] if asked and len(asked[-1]) >= MIN_TURN_CHARS else None
        return _Prints(whole, questions, last)

    def _print(self, text: str, learn: bool) -> _Print:
        # Thousands of conversations meet hundreds of tickets: sets of strings would take minutes.
        grams = trigrams(text)
        if learn:
            for gram in grams:
                self._bits.setdefault(gram, 1 << len(self._bits))
        return _Print(sum(self._bits.get(gram, 0) for gram in grams), len(grams))

    def _alike(self, a: _Print, b: _Print) -> float:
        shared = (a.bits & b.bits).bit_count()
        union = a.size + b.size - shared
        return shared / union if union else 0.0
