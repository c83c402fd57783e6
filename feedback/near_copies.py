"""Is a conversation close to a held-out ticket? Then nothing said about it may teach.

By letters: the Jaccard index of the sets of character trigrams (Broder, 1997, with characters for
words), over letters and digits only, so that typos, word order and punctuation do not hide a copy. By
meaning: the cosine of two questions' vectors, for paraphrases. lessons.py asks at every freeze.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from feedback.transcript import ModelMessages

WORDS = re.compile(r"[^\W_]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
MIN_TURN_CHARS = 20
"""A turn shorter than this ("yes, please") says nothing by itself; only whole contexts count."""
BATCH = 512
"""Conversations looked at together."""
REMEMBERED = 20_000
"""Texts whose outcome is kept: people ask the same again, and a talk's turns come with each answer."""


class Method(StrEnum):
    """By which measure two conversations are close."""

    TRIGRAMS = "trigrams"
    MEANING = "meaning"


@dataclass(frozen=True)
class Near:
    """The ticket that a conversation comes too close to."""

    ticket: str
    similarity: float
    """0 to 1."""
    method: Method


def plain(text: str) -> str:
    """A text's words, case, accents and punctuation folded."""
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if not unicodedata.combining(char))
    return " ".join(WORDS.findall(text))


def trigrams(text: str) -> frozenset[str]:
    """The set of character trigrams of a text, case, accents and punctuation folded."""
    padded = f"  {plain(text)}  "
    return frozenset([padded[i : i + 3] for i in range(len(padded) - 2)])


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Jaccard index of two trigram sets, 0 to 1."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


@dataclass(frozen=True)
class _Said:
    """What two conversations are compared by."""

    whole: str
    turns: list[str]
    """The customer's turns that are long enough to mean something."""
    sentences: list[str]
    """Of turns that have several: a copy may stand between a greeting and a farewell."""
    last: str | None
    """The last of the customer's turns, if it is."""


def _said(context: ModelMessages) -> _Said:
    turns = [turn for turn in context if turn["role"] != "system"]
    asked = [turn["content"] for turn in turns if turn["role"] == "user"]
    long = [text for text in asked if len(text) >= MIN_TURN_CHARS]
    parts = [parts for text in long if len(parts := SENTENCE_END.split(text)) > 1]
    return _Said(
        whole=" ".join(turn["content"] for turn in turns),
        turns=long,
        sentences=[each for some in parts for each in some if len(each) >= MIN_TURN_CHARS],
        last=asked[-1] if asked and len(asked[-1]) >= MIN_TURN_CHARS else None,
    )


Found = tuple[float, int]
"""A similarity, and minus the place of the ticket: of several that are as close the first is meant."""


class Sealed:
    """The held-out tickets of an assistant, ready to be compared with.

    `contexts`: each ticket's name and what was said. `threshold`: the similarity of trigrams from which a
    conversation is a near-copy, above 0. `meaning`: the cosine of its newest question and a ticket's
    from which it is one, too; 0 looks at trigrams only. Raises Invalid where the word vectors are missing.
    """

    def __init__(
        self, contexts: Iterable[tuple[str, ModelMessages]], threshold: float, meaning: float = 0.0
    ) -> None:
        # Late, as the service, which only wants `trigrams`, has no need of numpy.
        from feedback.similar_sets import SimilarSets

        self._names: list[str] = []
        self._texts: dict[str, int] = {}
        self._wholes: dict[int, int] = {}
        self._lasts: dict[int, int] = {}
        for place, (name, context) in enumerate(contexts):
            self._names.append(name)
            said = _said(context)
            self._wholes.setdefault(self._number(said.whole), place)
            if said.last is not None:
                self._lasts.setdefault(self._number(said.last), place)
        self._sets = SimilarSets([trigrams(text) for text in self._texts], threshold)
        self._like = lru_cache(REMEMBERED)(lambda text: self._sets.like(trigrams(text)))
        self._paraphrases = None
        if meaning and self._lasts:
            from feedback.meaning import Paraphrases

            texts = list(self._texts)
            questions = [(plain(texts[number]), place) for number, place in self._lasts.items()]
            self._paraphrases = Paraphrases(questions, meaning)

    def near(self, context: ModelMessages) -> Near | None:
        """The ticket this conversation comes too close to; None when it is free."""
        return next(self.near_all([context]))

    def near_all(self, contexts: Iterable[ModelMessages]) -> Iterator[Near | None]:
        """The same for many, in their order, a batch in memory at a time."""
        rest = iter(contexts)
        while some := [_said(context) for context in islice(rest, BATCH)]:
            found = [self._near(self._copied(said), Method.TRIGRAMS) for said in some]
            if self._paraphrases is not None:
                free = [number for number, near in enumerate(found) if near is None]
                asked = [plain((some[number].turns or [""])[-1]) for number in free]
                for number, best in zip(free, self._paraphrases.of(asked), strict=True):
                    found[number] = self._near(best, Method.MEANING)
            yield from found

    def _number(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))

    def _near(self, best: Found | None, method: Method) -> Near | None:
        return Near(self._names[-best[1]], best[0], method) if best else None

    def _copied(self, said: _Said) -> Found | None:
        """Its whole against whole tickets; each question, wherever it was asked, against theirs."""
        found = self._among(said.whole, self._wholes)
        for text in [*said.turns, *said.sentences]:
            found += self._among(text, self._lasts)
        return max(found, default=None)

    def _among(self, text: str, places: dict[int, int]) -> list[Found]:
        return [
            (similar, -places[number]) for number, similar in self._like(text) if number in places
        ]
