"""Recognises what has a form of its own: addresses of e-mail and networks, numbers of cards, banks, people.

Pure. A check digit decides where there is one; else the form, or the words beside a number. Called by
redaction.py.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator

from stdnum import iban, luhn

from feedback.spans import Span

EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%'-]{1,64}(?:@|\s?[(\[]at[)\]]\s?)[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}(?![\w@])"
)
CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){11,18}(?![\w]|[.,-]\d)")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}(?!\w)", re.I | re.A)
SSN = re.compile(r"(?<![\w-])(?!000)\d{3}([- ])\d{2}\1\d{4}(?![\w-])")
IP_V4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
IP_V6 = re.compile(r"(?<![\w:.])[0-9A-F]{0,4}(?::[0-9A-F]{0,4}){2,7}(?![\w:])", re.I)
MAC = re.compile(r"(?<![\w:-])(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2}(?![\w:-])", re.I)
PHONE = re.compile(
    r"(?<!\d[:,.])(?<![\w@#/$€£-])(?:\+[ ]?|\()?\d(?:[ ./()-]{0,2}\d){5,16}"
    r"(?:[ ]?(?:x|ext\.?|extension)[ ]?\d{1,6})?(?![\w@:%€$£]|[.,/-]\d)",
    re.I,
)
SPOKEN_OF = re.compile(
    r"\b(?:phone|tele(?:phone|fon)?|tel|call(?:ed|ing|s)?(?: me)?(?: on| at| back)?|mobile|mob|"
    r"cell(?:phone)?|fax|whats ?app|sms|text(?:ed)? me|dial(?:ed)?|ring|reach(?:ed)?|answering|hotline|handy|"
    r"(?:my|your|his|her|their|contact) number)\b[^\d\n]{0,25}\n?[^\d\n]{0,5}$",
    re.I,
)
SAID_AFTER = re.compile(r"[ \n,(\\-]{0,3}(?:office|fax|mobile|cell|phone|home|work|tel)\b", re.I)
NO_PHONE = re.compile(
    r"\b(?:order|invoice|tracking|ticket|case|reference|ref|booking|parcel|serial|model|item|article|"
    r"product|sku|version|confirmation|transaction|policy|claim)\b[^\d\n]{0,20}$",
    re.I,
)
DATE = re.compile(
    r"(?:(?:19|20)\d\d[-/. ][01]?\d[-/. ][0-3]?\d|"
    r"[0-3]?\d[-/. ][0-3]?\d[-/. ](?:(?:19|20)\d\d|\d\d))(?: [0-2]?\d)?"
)
_DAY = r"[0-3]?\d\.(?:[01]?\d\.?(?:(?:19|20)?\d\d)?)?"
_DECIMAL = r"\d{1,4}\.\d\d|[1-9]\d{0,2}(?:\.\d{3}){1,2}"
_FROM_TO = rf"(?:(?:{_DAY}) ?[-/] ?(?:{_DAY})|(?:{_DECIMAL}) ?- ?(?:{_DECIMAL}))"
RANGE = re.compile(rf"{_FROM_TO}(?:[ /]{{1,2}}{_FROM_TO})?")
"""From when to when, and from how much to how much: 24.12.-31.12., 10.00-18.00, 1.000-2.000."""
VERSION = re.compile(
    r"\b(?:version|ver|v|release|build|firmware|revision|driver|treiber|software)\b"
    r"[.:]?[ ]?(?:(?:number|nummer|is|ist|auf|to)[ :]{1,2}){0,2}$",
    re.I,
)
MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
BIRTH = re.compile(
    r"\b(?:born|birth(?:day|date)?|d\.?o\.?b\.?|geboren)\b[^\d\n]{0,40}?(?P<value>"
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {MONTHS},? \d{{4}}|{MONTHS} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})",
    re.I,
)
_IS = r"(?:'s)?(?:\s{1,3}(?:number|no\.?|code|id))?(?:\s{1,3}(?:is|was|of|reads))?\s{0,3}[:#=]?\s{0,3}"
_VALUE = r"(?P<value>(?=[A-Z0-9 ./-]{0,24}\d)[A-Z0-9](?:[A-Z0-9]|[./-](?=[A-Z0-9])){%d,24})(?!\w)"
SAID = {
    "US_SSN": rf"\b(?:ssn|social security)(?: number)?{_IS}{_VALUE % 6}",
    "ID_NUMBER": r"\b(?:passport|driver'?s?'? licen[sc]e|driving licen[sc]e|identity card|id card|"
    rf"national id|tax id|insurance id|medical record|patient)(?: number| no\.?| id| #){_IS}{_VALUE % 3}",
    "ID_CARD": rf"\b(?:passport|licen[sc]e)(?: is|:|=)\s{{0,3}}{_VALUE % 5}",
    "BANK_ACCOUNT": r"\b(?:bank )?account(?: number| no\.?| #|:)"
    rf"{_IS}(?P<value>\d(?:[ -]?\d){{5,17}})(?!\w)",
    "ROUTING_NUMBER": rf"\b(?:routing|sort code)(?: number)?{_IS}(?P<value>\d(?:[ -]?\d){{5,8}})(?!\w)",
    "CARD_CODE": r"\b(?:cvv2?|cvc2?|security code)(?: number| code)?(?: is|:|=)?\s{0,3}"
    r"(?P<value>\d{3,4})(?!\w)",
    "ZIP_CODE": rf"\b(?:zip(?: ?code)?|post(?:al)? ?code){_IS}{_VALUE % 2}",
}
BY_CONTEXT = [
    ("ID_NUMBER" if type == "ID_CARD" else type, re.compile(pattern, re.I))
    for type, pattern in SAID.items()
]
OF_CARDS = re.compile(r"\b(?:card|visa|master ?card|amex|american express|cc)\b", re.I)


def find(text: str) -> Iterator[Span]:
    """Everything of a form of its own in a text; spans may overlap, the surer come first."""
    for found in EMAIL.finditer(text):
        yield _span(found, "EMAIL_ADDRESS")
    if not any(map(str.isdigit, text)):
        return
    yield from _ibans(text)
    for type, pattern, right in CHECKED:
        yield from (_span(found, type) for found in pattern.finditer(text) if right(found))
    for type, pattern in [*BY_CONTEXT, ("DATE_OF_BIRTH", BIRTH)]:
        for found in pattern.finditer(text):
            yield Span(found.start("value"), found.end("value"), type)


def _span(found: re.Match[str], type: str) -> Span:
    return Span(found.start(), found.end(), type)


def _ibans(text: str) -> Iterator[Span]:
    """An IBAN may be followed by words that look like more of it: the longest that checks counts."""
    for found in IBAN.finditer(text):
        ends = (end for end in range(found.end(), found.start() + 14, -1) if _is_edge(text, end))
        for end in ends:
            cut = text[found.start() : end]
            if _checks(cut) and iban.is_valid(cut):
                yield Span(found.start(), end, "IBAN_CODE")
                break


def _checks(cut: str) -> bool:
    """The check digits alone (ISO 7064, modulo 97): much cheaper than all that an IBAN's country asks."""
    code = "".join(filter(str.isalnum, cut))
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1


def _is_edge(text: str, end: int) -> bool:
    return text[end - 1].isalnum() and not text[end : end + 1].isalnum()


def _is_card(found: re.Match[str]) -> bool:
    """By its check digit and who issues such numbers; or a card was spoken of, and it was mistyped."""
    digits = re.sub(r"\D", "", found[0])
    issued = digits[0] in "3456" or "22" <= digits[:2] <= "27"
    spoken = OF_CARDS.search(found.string, max(0, found.start() - 40), found.start())
    return (luhn.is_valid(digits) and issued) or spoken is not None


def _is_ip(found: re.Match[str]) -> bool:
    if VERSION.search(found.string[max(0, found.start() - 40) : found.start()]):
        return False
    try:
        ipaddress.ip_address(found[0])
    except ValueError:
        return False
    return len(found[0]) > 4


def _is_phone(found: re.Match[str]) -> bool:
    """By its form, where no date, price or order number has it; else by the words around it."""
    written = re.split(r"x|ext", found[0], maxsplit=1, flags=re.I)[0]
    groups = re.findall(r"\d+", written)
    digits = sum(map(len, groups))
    if digits > 15 or all(map(_is_year, groups)):
        return False
    if DATE.fullmatch(written) or RANGE.fullmatch(written):
        return False
    before, after = found.string[max(0, found.start() - 40) : found.start()], found.end()
    if written.startswith("+"):
        return digits >= 7
    if NO_PHONE.search(before):
        return False
    if SPOKEN_OF.search(before) or SAID_AFTER.match(found.string, after):
        return True
    return digits >= 7 and _has_the_form(written, groups, digits)


def _is_year(group: str) -> bool:
    return len(group) == 4 and group[:2] in ("19", "20")


def _has_the_form(written: str, groups: list[str], digits: int) -> bool:
    if len(groups) == 1:
        return False
    if written.startswith("("):
        return True
    lengths = [len(group) for group in groups]
    if lengths[-2:] == [3, 4] and (len(groups) > 2 or "-" in written):
        return True
    thousands = all(length == 3 for length in lengths[1:]) and "-" not in written
    if written.startswith("0"):
        return digits >= 8
    return len(groups) > 2 and digits >= 8 and not thousands and "/" not in written


CHECKED: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]] = [
    ("CREDIT_CARD", CARD, _is_card),
    ("US_SSN", SSN, lambda _: True),
    ("MAC_ADDRESS", MAC, lambda _: True),
    ("IP_ADDRESS", IP_V4, _is_ip),
    ("IP_ADDRESS", IP_V6, _is_ip),
    ("PHONE_NUMBER", PHONE, _is_phone),
]
