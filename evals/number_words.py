"""Numbers that are written as words, in English, German, Spanish and French: "forty days" has 40 of them.

Pure. Called by facts.py, which says what is counted. "One" by itself is seldom a number, so it is none here.
"""

import re
from collections.abc import Callable


def _words(text: str) -> list[str]:
    return text.split()


_EN = _words(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_EN_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_DE = _words(
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn"
)
_DE_TENS = _words("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_ES = _words(
    "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve"
)
_ES_TWENTIES = _words(
    "veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete veintiocho veintinueve"
)
_ES_TENS = _words("veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_FR = _words(
    "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf"
)
_FR_TENS = _words("vingt trente quarante cinquante soixante")


def _tens(words: list[str]) -> dict[str, int]:
    return {word: 10 * number for number, word in enumerate(words, 2)}


def _small(words: list[str]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, 2)}


def _vocabulary() -> dict[str, int]:
    known = {word: n for words in (_EN, _DE, _ES, _FR) for word, n in _small(words).items()}
    known |= {word: n for words in (_EN_TENS, _DE_TENS, _ES_TENS, _FR_TENS)
              for word, n in _tens(words).items()}  # fmt: skip
    english, german = {"one": 1, **_small(_EN[:8])}, {"ein": 1, **_small(_DE[:8])}
    for tens, ten in _tens(_EN_TENS).items():
        known |= {f"{tens}{gap}{word}": ten + n for word, n in english.items() for gap in "- "}
    for tens, ten in _tens(_DE_TENS).items():
        known |= {f"{word}und{tens}": ten + n for word, n in german.items()}
    for tens, ten in _tens(_ES_TENS).items():
        known |= {f"{tens} y {word}": ten + n for word, n in {"uno": 1, **_small(_ES[:8])}.items()}
    for tens, ten in _tens(_FR_TENS).items():
        known |= {f"{tens}-{word}": ten + n for word, n in _small(_FR[:8]).items()}
    known |= {word: 21 + n for n, word in enumerate(_ES_TWENTIES)}
    for word, n in (known | {"one": 1, "a": 1}).items():
        if n < 10 and word in ("a", "one", *_EN):
            known[f"{word} hundred"] = 100 * n
            known[f"{word} thousand"] = 1000 * n
    return known | {"hundert": 100, "cien": 100, "tausend": 1000}


WORDS = _vocabulary()
WORD = re.compile(
    rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, WORDS), key=len, reverse=True))})(?![^\W\d_])",
    re.I,
)
LETTERS = re.compile(r"[^\W\d_]+")
BEGINNINGS = frozenset(LETTERS.findall(word)[0] for word in WORDS) - {"a"} | {"hundred", "thousand"}
"""Most texts hold none of these, which is quicker to see than to search for all."""
SMALL = 12
"""Up to here a word by itself is manner of speech: the two of you."""


def in_digits(text: str, is_counted: Callable[[str], bool]) -> str:
    """The text with such words as digits: those above SMALL, and others where `is_counted`, told what
    follows the word, says that something is counted.
    """

    def digits(found: re.Match[str]) -> str:
        number = WORDS[found[0].casefold()]
        told = number > SMALL or is_counted(text[found.end() : found.end() + 40])
        return str(number) if told else found[0]

    return WORD.sub(digits, text) if BEGINNINGS & set(LETTERS.findall(text.casefold())) else text
