"""A range begins with what its end is of: in "5-7 days" there are 5 days, and no 5 of just anything.

Pure. Called by facts.py ahead of its readers, so that a number out of a span of days makes no price known.
"""

import re

from evals import units

TO = r"(?: ?- ?| (?:to|or|until|till|bis|oder|a|o|hasta|à|ou) )"
_AND = r" (?:and|und|y|et) "
_CLOCK = r"(?:[:h.][0-5]\d)?(?P<clock> ?(?:uhr|o'clock|[ap]\.?m\b))"
RANGE = re.compile(
    rf"(?P<between>\b(?:between|zwischen|entre) )?(?<![\w#-])(?<!\d[.,])(?P<start>{units.NUMERAL})\.?"
    rf"(?P<to>(?(between){_AND}|{TO}))"
    rf"(?={units.NUMERAL}(?:{units.NO_CENTS}(?P<price>{units.TIMES}?{units.SPAN}(?:{units.ANY_CURRENCY})(?!{units.LETTER}))"
    rf"|(?P<counted>{units.COUNTED})|{_CLOCK}|(?P<day>\.?\s(?:{units.ANY_MONTH})\b)))",
    re.I,
)
DAYS = re.compile(
    r"(?<![\w.,-])(?P<start>[0-3]?\d)\.(?P<month>[01]?\d\.)?(?P<to> ?- ?| bis | to )"
    r"(?=[0-3]?\d(?P<rest>\.[01]?\d\.(?:\d{4}|\d\d)?))"
)
NO_RANGE_OF_PRICES = (" - ", " or ", " oder ", " o ", " ou ")
"""Between two prices that says nothing of the first: size 39 - 5 euros."""


def whole(text: str) -> str:
    """The text with both ends of its ranges told alike. Dashes and spaces must be plain ones."""
    return RANGE.sub(_whole, DAYS.sub(_days, text))


def _whole(match: re.Match[str]) -> str:
    if match["price"] and match["to"].casefold() in NO_RANGE_OF_PRICES:
        return match[0]
    of = (
        match["price"] or match["counted"] or match["day"] or " uhr"
    )  # 9 to 5 pm does not begin at 9 pm
    return f"{match['between'] or ''}{match['start']}{of} {match['to'].strip()} "


def _days(match: re.Match[str]) -> str:
    own = f".{match['month']}" if match["month"] else match["rest"]
    return f"{match['start']}{own} {match['to'].strip()} "
