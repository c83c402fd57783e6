"""What questions mean, as vectors: near-copies that share few letters are close by it (near_copies.py).

A text is the sum of its words' vectors, whatever their order: the weights of WordLlama (Miller, 2024),
which the package `wordllama` carries. Only these are read; the package itself is never imported, as it
would set up logging for the whole process. All sums are of whole numbers, so that every machine and
every linear algebra library comes to the same similarity.
"""

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer

from feedback.errors import Invalid

STEPS = 4096
"""Weights are rounded to this part of one."""
LENGTH = 4000
"""Of a text's vector. Products of two stay below 2**24, where 32-bit floats still hold whole numbers."""
DECIMALS = 3
WORDS_KEPT = 50_000
TEXTS_KEPT = 50_000
NUMBER = "0"
"""Stands for every number: which order is asked about does not change the question."""


class Paraphrases:
    """Tickets' questions, ready to be asked which of them says what others say in other words.

    `questions`: each one's words and the place of its ticket; `threshold`: the cosine from which two
    mean the same, above 0.
    """

    def __init__(self, questions: Sequence[tuple[str, int]], threshold: float) -> None:
        self._places = [place for _, place in questions]
        self._vectors = vectors([text for text, _ in questions])
        self._threshold = threshold
        self._known: dict[str, tuple[float, int] | None] = {}

    def of(self, texts: Sequence[str]) -> list[tuple[float, int] | None]:
        """For each text the nearest question: cosine and minus its place; None where none is near enough.

        One product of matrices for all: about 50 microseconds a new text and 2,000 questions.
        """
        if len(self._known) > TEXTS_KEPT:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._nearest(new), strict=True))
        return [self._known[text] for text in texts]

    def _nearest(self, texts: list[str]) -> Iterator[tuple[float, int] | None]:
        products = vectors(texts) @ self._vectors.T
        for row, best in zip(products, products.argmax(axis=1), strict=True):
            cosine = round(min(float(row[best]) / LENGTH**2, 1.0), DECIMALS)
            yield (cosine, -self._places[best]) if cosine >= self._threshold else None


def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """One vector per text of plain words, of LENGTH and of whole numbers; zeros where there is no word."""
    weights = _weights()
    sums = np.zeros((len(texts), weights.shape[1]), np.int64)
    for number, text in enumerate(texts):
        tokens = [token for word in text.split() for token in _tokens(word)]
        weights[tokens].sum(axis=0, out=sums[number])
    lengths = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
    rounded: NDArray[np.float32] = np.rint(sums * (LENGTH / np.maximum(lengths, 1))).astype(
        np.float32
    )
    return rounded


@lru_cache(WORDS_KEPT)
def _tokens(word: str) -> list[int]:
    return list(
        _tokenizer().encode(NUMBER if word.isdigit() else word, add_special_tokens=False).ids
    )


@cache
def _weights() -> NDArray[np.int16]:
    """One row per token."""
    with safe_open(_folder() / "weights" / "l2_supercat_256.safetensors", "numpy") as file:
        weights = file.get_tensor("embedding.weight").astype(np.float32)
    rounded: NDArray[np.int16] = np.rint(weights * STEPS).astype(np.int16)
    return rounded


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(_folder() / "tokenizers" / "l2_supercat_tokenizer_config.json"))


def _folder() -> Path:
    found = find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise Invalid(
            "Found no package wordllama, expected it where datasets are frozen: with its word vectors "
            "paraphrases of exam tickets are found. Install requirements/all.txt, or look only at letters "
            "with FEEDBACK_NEAR_COPY_MEANING=0."
        )
    return Path(found.submodule_search_locations[0])
