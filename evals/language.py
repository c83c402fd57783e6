"""Which language a text is in, where it can be told: py3langid, with what is no language left out.

Short texts look like many languages, so both length and confidence must reach a mark; the marks were
measured by benchmarks/detectors.py. Called by scores.py.
"""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

LETTERS = 60
"""A text with fewer letters is in no language that could be told."""
CONFIDENCE = 0.95
NO_LANGUAGE = re.compile(
    r"https?://\S+|www\.\S+|(?<!\S)[^\s@]+@\S+|<[A-Z_0-9]+>|\{\{[^{}]*\}\}|[A-Z]{2,}\w*|\d+"
)
"""Addresses, placeholders, codes and numbers are the same everywhere."""


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)


def language_of(text: str) -> str | None:
    """The language's two letters (ISO 639-1), or None where it cannot be told."""
    words = " ".join(NO_LANGUAGE.sub(" ", text).split())
    if sum(map(str.isalpha, words)) < LETTERS:
        return None
    language, probability = _identifier().classify(words)
    return str(language) if probability >= CONFIDENCE else None
