"""Numbers that are written as words, in English, German, Spanish and French: "forty days" has 40 of them.

Pure. Called by facts.py, which says what is counted. "One" by itself is seldom a number, so it is none here.
"""

import re
from collections.abc import Callable

from evals.units import any_of, folded


def _words(text: str) -> list[str]:
    return text.casefold().split()


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
    return known | {word: 21 + n for n, word in enumerate(_ES_TWENTIES)} | {"cien": 100}


WORDS = _vocabulary()
"""Up to a hundred, as units.folded spells them."""
FACTORS = {"thousand": 1000, "tausend": 1000, "hundred": 100, "hundert": 100}
ONES = {"a": 1, "one": 1, "ein": 1, "eins": 1}
"""Numbers only beside one of FACTORS."""


def _english() -> str:
    """Two hundred, a hundred and fifty, one thousand two hundred."""
    digit = f"(?:one|{any_of(_EN[:8])})"
    below = rf"(?:(?:{any_of(_EN_TENS)})(?:[ -]{digit})?|{any_of(_EN)}|one)"
    ends = rf"(?![^\W\d_]|[ -](?:{digit}|hundred|thousand)\b)"
    hundreds = rf"(?:a|{below})[ -]hundred(?:[ -](?:and[ -])?{below}{ends})?"
    rest = rf"(?:,?[ -](?:and[ -])?(?:{hundreds}|{below}{ends}))?"
    return rf"(?:{hundreds}|a|{below})[ -]thousand{rest}|{hundreds}"


def _german() -> str:
    """Zweihundert, hundertfünfzig, eintausendzweihundertundeins; not the second word of 5 tausend."""
    digit, alone = f"(?:ein|{any_of(_DE[:8])})", r"(?<!\d )"
    below = rf"(?:(?:{digit}und)?(?:{any_of(_DE_TENS)})|{any_of(_DE)}|eins?)"
    hundreds = rf"(?:{digit}|{alone})hundert(?:(?:und)?{below})?"
    return rf"(?:{hundreds}|{below}|{alone})tausend(?:(?:und)?(?:{hundreds}|{below}))?|{hundreds}"


WORD = re.compile(
    rf"(?<![\w-])(?:{_english()}|{_german()}|{any_of(WORDS)})(?![^\W\d_])",
    re.I,
)
LETTERS = re.compile(r"[^\W\d_]+")
BEGINNINGS = frozenset(LETTERS.findall(word)[0] for word in WORDS) | FACTORS.keys()
"""Most texts hold none of these, which is quicker to see than to search for all."""
SMALL = 12
"""Up to here a word by itself is manner of speech: the two of you."""


def in_digits(text: str, is_counted: Callable[[str], bool]) -> str:
    """The text with such words as digits: those above SMALL, and others where `is_counted`, told what
    follows the word, says that something is counted.
    """

    def digits(found: re.Match[str]) -> str:
        number = _value(folded(found[0]))
        told = number > SMALL or is_counted(text[found.end() : found.end() + 40])
        return str(number) if told else found[0]

    return WORD.sub(digits, text) if _has_one(text.casefold()) else text


def _has_one(text: str) -> bool:
    compound = "hundert" in text or "tausend" in text
    return compound or not BEGINNINGS.isdisjoint(LETTERS.findall(text))


def _value(word: str) -> int:
    """What a word that WORD found says, folded; 0 for none."""
    for name, factor in FACTORS.items():
        before, found, after = word.partition(name)
        if found:
            return (_value(before) or 1) * factor + _value(after)
    bare = re.sub(r"^(?:[ ,-]*(?:and[ -]|und))?[ ,-]*|[ ,-]+$", "", word)
    return WORDS.get(bare) or ONES.get(bare, 0)
