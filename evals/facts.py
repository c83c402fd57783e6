"""Facts in a text: prices, numbers, times, dates, links, addresses, codes and phone numbers, in one spelling.

Pure. A fact *tells* some keys and *asks* for some: it is known where any key it asks for was told, or where
it asks for none. So "forty days" is known by "40-day", "€3.80" by "3,80 euros", and "40" by either; but "40
euros" not by "40 days".
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from evals import codes, ranges, units
from evals.number_words import in_digits
from feedback import leaked_secrets, personal_numbers
from feedback.spans import settle


class Kind(StrEnum):
    """What a fact is."""

    PRICE = "price"
    NUMBER = "number"
    TIME = "time"
    DATE = "date"
    LINK = "link"
    CODE = "code"
    EMAIL = "e-mail address"
    PHONE = "phone number"
    PERSONAL = "personal number"
    """A card, an account, a document or a secret: whose it is matters more than whether it is right."""


@dataclass(frozen=True)
class Fact:
    """One fact as it stands in a text."""

    kind: Kind
    shown: str
    """As it was written."""
    told: tuple[str, ...]
    asks: tuple[str, ...]


PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]{1,40}>|\{\{[^{}]{1,60}\}\}")
NUMBERING = re.compile(
    r"(?:(?<=\n)|^)[ \t>*_#-]*\(?\d{1,2}[.)](?=\s)|\b(?:step|schritt|paso|étape|option)\s+\d{1,2}\b",
    re.I,
)
INLINE_NUMBERING = re.compile(r"(?<![\w.,])\(?(?P<number>\d{1,2})[.)](?=\s+[^\W\d_])")
KEYCAP = re.compile(r"\d\ufe0f?\u20e3")
TLD = (
    r"(?:com|org|net|info|io|co|app|dev|shop|store|eu|de|at|ch|uk|es|fr|it|nl|pl|se|us|ca|au|ly|me|biz|"
    r"example|test)"
)
LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`\u201c\u201d]+"
    rf"|(?<![\w@.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+{TLD}(?![\w-]|\.\w)(?:[/?][^\s<>\"'`]*)?",
    re.I,
)
_SIGN = units.any_of(word for word in units.CURRENCY if not word[-1].isalpha())
_WORD = units.any_of(word for word in units.CURRENCY if word[-1].isalpha())
PRICE = re.compile(
    rf"(?<!\w)(?<!\d[.,])(?P<amount>{units.NUMERAL}){units.NO_CENTS}(?P<times>{units.TIMES})?{units.SPAN}"
    rf"(?P<after>{units.ANY_CURRENCY})(?!{units.LETTER})"
    rf"|(?<!{units.LETTER})(?:(?P<word>{_WORD})|(?P<sign>{_SIGN})) ?"
    rf"(?P<amount2>{units.NUMERAL})(?P<times2>{units.TIMES})?(?![\w%]|[.,]\d)(?(word)(?!{units.COUNTED}))",
    re.I,
)
"""Behind a currency's word what is counted is no price: "a refund in euros 14 days later"."""
CLOCK = re.compile(
    r"(?<![\w.,:])(?P<hour>[01]?\d|2[0-4])(?:[:h](?P<minute>[0-5]\d)(?!\d)|[.](?P<dotted>[0-5]\d)"
    r"(?=\s?(?:uhr|[ap]\.?m))|(?=\s?(?:uhr|o'clock|[ap]\.?m\b)))"
    r"(?::[0-5]\d)?\s?(?P<half>[ap]\.?m\b\.?)?(?:\s?(?:uhr|o'clock))?",
    re.I,
)
DATE = re.compile(
    r"(?<![\w.,/-])(?:"
    r"(?P<y1>(?:19|20)\d\d)[-/.](?P<m1>0?[1-9]|1[0-2])[-/.](?P<d1>0?[1-9]|[12]\d|3[01])"
    r"|(?P<a>[0-3]?\d)(?:[-/.](?P<b>[0-3]?\d)[-/.](?P<y2>(?:19|20)?\d\d)|\.\s?(?P<b2>[01]?\d)\.(?=\s))"
    rf"|(?P<d3>[0-3]?\d)(?:st|nd|rd|th|\.)?\s(?:of\s|de\s)?(?P<n3>{units.ANY_MONTH})\b\.?"
    r"(?:,?\s(?:de\s)?(?P<y3>(?:19|20)\d\d)\b)?"
    rf"|(?P<n4>{units.ANY_MONTH})\.?\s(?P<d4>[0-3]?\d)(?:st|nd|rd|th)?(?!\w)(?:,?\s(?P<y4>(?:19|20)\d\d)\b)?"
    rf"|(?P<n5>{units.ANY_MONTH})\.?,?\s(?P<y5>(?:19|20)\d\d)\b"
    r")(?![\w/]|[.,-]\d)",
    re.I,
)
QUANTITY = re.compile(
    rf"(?<!\w)(?<!\d[.,])(?P<amount>{units.NUMERAL}){units.SPAN}{units.ADJECTIVE}?"
    rf"(?P<unit>{units.ANY_UNIT})(?!{units.LETTER})",
    re.I,
)
COUNTED = re.compile(
    rf"(?:{ranges.TO}[\w-]{{1,20}})?(?:{units.COUNTED}"
    rf"|{units.TIMES}?{units.SPAN}(?:{units.ANY_CURRENCY})(?!{units.LETTER}))",
    re.I,
)
"""Behind a number, or behind the first of two: two to three days."""
NUMBER = re.compile(
    rf"(?<![\w#])(?<!\d[.,])(?P<amount>\d+(?:[./]\d+){{2,9}}|\d+/\d+|{units.NUMERAL})(?P<th>st|nd|rd|th)?(?!\w)"
)
BETWEEN = re.compile(r"(?<=\d)\s?[x\u00d7]\s?(?=\d)")
BLANK = "\ue000"
"""Stands for what was read already: neither a letter nor a space, so that nothing grows together."""

Reader = Callable[[re.Match[str]], Fact | None]


def facts_in(text: str) -> list[Fact]:
    """The facts of a text, each once. Personal numbers first, as their digits are no numbers."""
    found: list[Fact] = []
    text = _digits(text).translate(_PLAIN)
    text = PLACEHOLDER.sub(BLANK, text)
    text = _personal(text, found)
    text = _taken(LINK, _link, text, found)
    text = KEYCAP.sub(BLANK, _without_numbering(text))
    text = BETWEEN.sub(f" {BLANK} ", ranges.whole(in_digits(text, _is_counted)))
    has_digits = any(map(str.isdigit, text))
    for pattern, read in READERS:
        if has_digits or pattern is codes.TOKEN:
            text = _taken(pattern, read, text, found)
    return list({(fact.kind, fact.asks): fact for fact in reversed(found)}.values())[::-1]


def told_by(texts: Iterable[str]) -> set[str]:
    """All keys that the facts of some texts tell."""
    return {key for text in texts for fact in facts_in(text) for key in fact.told}


def unknown(facts: Iterable[Fact], *known: Iterable[str]) -> Iterator[Fact]:
    """The facts that none of these sets of keys knows."""
    sets = [each if isinstance(each, set | frozenset) else set(each) for each in known]
    for fact in facts:
        if fact.asks and not any(key in each for key in fact.asks for each in sets):
            yield fact


_PLAIN = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
    | dict.fromkeys("\u00a0\u2007\u2009\u202f", " ")
    | dict.fromkeys("\u0130\u0131", "i")
)
"""Dashes and spaces of one kind each; and the Turkish i, which patterns take for i and casefold does not."""


def _digits(text: str) -> str:
    """Digits of any script as ASCII ones."""
    if text.isascii():
        return text
    return "".join(str(int(char)) if char.isdecimal() and char > "9" else char for char in text)


def _taken(pattern: re.Pattern[str], read: Reader, text: str, found: list[Fact]) -> str:
    """The text without what `read` made facts of."""

    def take(match: re.Match[str]) -> str:
        fact = read(match)
        if fact is None:
            return match[0]
        found.append(fact)
        return BLANK

    return pattern.sub(take, text)


def _personal(text: str, found: list[Fact]) -> str:
    """Addresses and numbers by their form (feedback/personal_numbers.py), and keys of services."""
    spans = [span for span in personal_numbers.find(text) if span.type not in NOT_PERSONAL]
    spans += [span for span in leaked_secrets.find(text) if span.type in SECRETS]
    for span in reversed(
        settle([spans])
    ):  # the longest wins: +44 20 … holds what looks like a card
        found.append(_personal_fact(span.type, text[span.start : span.end]))
        text = text[: span.start] + BLANK + text[span.end :]
    return text


NOT_PERSONAL = frozenset({"DATE_OF_BIRTH", "ZIP_CODE"})
SECRETS = frozenset({"PRIVATE_KEY", "API_KEY", "TOKEN", "CREDENTIALS"})


def _personal_fact(type: str, shown: str) -> Fact:
    if type == "EMAIL_ADDRESS":
        value = shown.casefold()
        return Fact(Kind.EMAIL, shown, (f"e:{value}", f"l:{value.split('@')[-1]}"), (f"e:{value}",))
    if type == "PHONE_NUMBER":
        digits = re.sub(r"\D", "", re.split("x|ext", shown, maxsplit=1, flags=re.I)[0])
        return _same(Kind.PHONE, shown, f"p:{digits[-8:]}")  # with or without the country's code
    value = "".join(filter(str.isalnum, shown.casefold()))
    return _same(Kind.PERSONAL, shown, f"x:{value}")


def _same(kind: Kind, shown: str, *keys: str) -> Fact:
    return Fact(kind, shown, keys, keys)


def _link(match: re.Match[str]) -> Fact:
    shown = match[0].rstrip(".,;:!?*_\"'")
    closed = shown.count(")") + shown.count("]") - shown.count("(")
    for _ in range(closed):
        if shown.endswith((")", "]")):
            shown = shown[:-1].rstrip(".,;:!?*_")
    value = re.sub(r"^(?:https?://)?(?:www\.)?", "", shown.casefold()).rstrip("/")
    host = re.split(r"[/?#:]", value, maxsplit=1)[0]
    return Fact(Kind.LINK, shown, (f"l:{value}", f"l:{host}"), (f"l:{value}",))


def _without_numbering(text: str) -> str:
    """Numbers that count a list's lines or steps are no facts: at a line's start, or 1. … 2. … in a row."""
    text = NUMBERING.sub(BLANK, text)
    marks = list(INLINE_NUMBERING.finditer(text))
    run: list[re.Match[str]] = []
    for mark in marks:
        if int(mark["number"]) == len(run) + 1:
            run.append(mark)
    for mark in reversed(run if len(run) > 1 else []):
        text = text[: mark.start()] + BLANK + text[mark.end() :]
    return text


def _is_counted(following: str) -> bool:
    return COUNTED.match(following) is not None


def _price(match: re.Match[str]) -> Fact:
    """A price of nothing asks for no key: it is never made up."""
    amount = units.number(match["amount"] or match["amount2"])
    amount *= units.FACTORS.get(
        (match["times"] or match["times2"] or "").strip(" -.").casefold(), 1
    )
    currency = units.CURRENCY[units.folded(match["after"] or match["word"] or match["sign"])]
    names = [currency]
    if currency == "cents":
        amount, names = amount / 100, ["EUR", "USD", "GBP"]
    value = units.plain(amount)
    keys = tuple(f"price:{name}:{value}" for name in names)
    asks = (*keys, f"bare:{value}") if amount else ()
    return Fact(Kind.PRICE, match[0].strip(" ."), (*keys, f"n:{value}"), asks)


def _clock(match: re.Match[str]) -> Fact | None:
    """A time of day. Whether 6:15 is in the morning is often left open; then both are meant."""
    hour, minute = int(match["hour"]), int(match["minute"] or match["dotted"] or 0)
    half = (match["half"] or "")[:1].casefold()
    if half and hour > 12:
        return None
    if not half and not 0 < hour < 13:
        half = "a" if hour in (0, 24) else "p"
    at = f"t:{hour % 12}:{minute:02}"
    told = (f"{at}{half}", f"{at}?", f"n:{hour}", *((f"n:{hour}.{minute:02}",) if minute else ()))
    asks = (f"{at}{half}", at) if half else (f"{at}?",)
    return Fact(Kind.TIME, match[0].strip(" ."), told, asks)


def _date(match: re.Match[str]) -> Fact | None:
    """A day, a month of a year, or both; 3/4 may be either way round."""
    parts = match.groupdict()
    year = parts["y1"] or parts["y2"] or parts["y3"] or parts["y4"] or parts["y5"]
    year = f"20{year}" if year and len(year) == 2 else year
    if parts["a"]:
        a, b = int(parts["a"]), int(parts["b"] or parts["b2"])
        days = [(month, day) for month, day in ((b, a), (a, b)) if 0 < month < 13 and 0 < day < 32]
    elif parts["m1"]:
        days = [(int(parts["m1"]), int(parts["d1"]))]
    elif parts["n5"]:
        days = [(units.MONTHS[units.folded(parts["n5"])], 0)]
    else:
        name, day = parts["n3"] or parts["n4"], int(parts["d3"] or parts["d4"])
        days = [(units.MONTHS[units.folded(name)], day)] if 0 < day < 32 else []
    if not days:
        return None
    plain = [f"d:{month}-{day}" for month, day in days]
    whole = [f"d:{year}-{month}-{day}" for month, day in days] if year else []
    numbers = [f"n:{day}" for _, day in days] + ([f"n:{year}"] if year else [])
    return Fact(Kind.DATE, match[0].strip(), (*plain, *whole, *numbers), tuple(whole or plain))


def _quantity(match: re.Match[str]) -> Fact:
    amount = units.number(match["amount"])
    name, factor = units.UNIT[units.folded(match["unit"])]
    value = units.plain(amount)
    key = f"q:{name}:{units.plain(amount * factor)}"
    return Fact(Kind.NUMBER, match[0].strip(), (key, f"n:{value}"), (key, f"bare:{value}"))


def _number(match: re.Match[str]) -> Fact | None:
    written = match["amount"]
    if match["th"] and int(units.number(written)) <= 3:
        return None  # 1st, 2nd: which of several things, seldom more
    special = "/" in written or not re.fullmatch(units.NUMERAL, written)
    value = written if special else units.plain(Decimal(units.number(written)))
    return Fact(Kind.NUMBER, match[0], (f"bare:{value}", f"n:{value}"), (f"n:{value}",))


def _code(match: re.Match[str]) -> Fact | None:
    if not codes.is_code(match):
        return None
    return _same(Kind.CODE, match[0], f"c:{match[0].casefold()}")


READERS: list[tuple[re.Pattern[str], Reader]] = [
    (PRICE, _price),
    (CLOCK, _clock),
    (codes.TOKEN, _code),
    (DATE, _date),
    (QUANTITY, _quantity),
    (NUMBER, _number),
]
