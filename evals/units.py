"""Currencies, units of measure, months and numerals as people write them, each in one spelling.

Pure: words in, canonical names out. Called by facts.py.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

CURRENCIES = {
    "EUR": "€ eur euro euros",
    "USD": "$ us$ usd dollar dollars bucks dólar dólares us_dollar us_dollars us-dollar us-dollars",
    "GBP": "£ gbp quid pound pounds pfund",
    "CHF": "chf sfr franken francs",
    "JPY": "¥ jpy yen",
    "INR": "₹ inr rupee rupees",
    "PLN": "zł pln złoty",
    "SEK": "sek kr kronor",
    "AUD": "a$ au$ aud australian_dollar australian_dollars",
    "CAD": "c$ ca$ cad canadian_dollar canadian_dollars",
    "NZD": "nz$ nzd",
    "SGD": "s$ sgd",
    "HKD": "hk$ hkd",
    "cents": "cent cents ct ¢ pence penny céntimos centimes",
}
CURRENCY = {
    word.replace("_", " ").casefold(): name
    for name, words in CURRENCIES.items()
    for word in words.split()
}
MINUTES = {
    1: "minute minutes min mins minuten minuto minutos",
    60: "hour hours hr hrs h stunde stunden std hora horas heure heures",
    1440: "day days tag tage tagen werktage werktagen arbeitstage arbeitstagen día días dia dias jour jours "
    "nap workday workdays weekday",
    10080: "week weeks woche wochen semana semanas semaine semaines",
}
MONTHS_LONG = {
    1: "month months monat monate monaten mes meses mois",
    12: "year years yr yrs jahr jahre jahren año años année années ans",
}
OTHERS = {
    ("s", "1"): "second seconds sec secs sekunde sekunden segundo segundos seconde secondes",
    ("night", "1"): "night nights nacht nächte nächten noche noches nuit nuits",
    ("%", "1"): "% percent pct prozent per_cent por_ciento pour_cent",
    ("m", "0.001"): "mm millimetre millimetres millimeter millimeters",
    ("m", "0.01"): "cm centimetre centimetres centimeter centimeters zentimeter",
    ("m", "1"): "m metre metres meter meters metern metro metros mètre mètres",
    ("m", "1000"): "km kilometre kilometres kilometer kilometers kilómetros",
    ("g", "1"): "g gram grams gramm",
    ("g", "1000"): "kg kilo kilos kilogram kilograms kilogramm",
    ("l", "0.001"): "ml millilitre millilitres milliliter",
    ("l", "1"): "l litre litres liter liters litro litros",
    ("°", "1"): "° °c degrees degree grad",
}
UNIT: dict[str, tuple[str, Decimal]] = {
    word.replace("_", " ").casefold(): (name, Decimal(factor))
    for (name, factor), words in {
        **{("min", str(n)): words for n, words in MINUTES.items()},
        **{("month", str(n)): words for n, words in MONTHS_LONG.items()},
        **OTHERS,
    }.items()
    for word in words.split()
}
"""A unit's word: what it measures, and how many of that it is. 24 hours are a day, 12 months a year."""
MONTHS = {
    word.casefold(): number
    for number, words in enumerate(
        (
            "january jan januar jänner enero janvier",
            "february feb februar febrero février",
            "march mar märz marzo mars",
            "april apr abril avril",
            "may mai mayo",
            "june jun juni junio juin",
            "july jul juli julio juillet",
            "august aug agosto août",
            "september sep sept septiembre septembre",
            "october oct oktober okt octubre octobre",
            "november nov noviembre novembre",
            "december dec dezember dez diciembre décembre",
        ),
        1,
    )
    for word in words.split()
}
NUMERAL = (
    r"(?:\d{1,3}(?:[ '\u2019]\d{3}){1,4}(?!\d)(?:[.,]\d{1,2}(?!\d))?"
    r"|\d{1,3}(?:[.,]\d{3}){1,4}(?:[.,]\d{1,2})?(?![\d])|\d+(?:[.,]\d+)?)"
)
"""A number in digits: 1000, 1,000, 1.000, 1 000, 3.80, 3,80, 1.000,50."""


NO_CENTS = r"(?:[.,]-{1,2})?"
"""As in 49,- €."""
SPAN = r"[ -]{0,2}"
"""Between a number and what it is of."""
LETTER = r"[^\W\d_]"


def any_of(words: Iterable[str]) -> str:
    """A pattern for one of these words (casefolded), the longest first; dreissig is also dreißig."""
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return "|".join(longest_first).replace("ss", "(?:ss|ß)").replace(r"\ ", r"\s")


def folded(found: str) -> str:
    """What a pattern of `any_of` found, as the word it stands for."""
    return " ".join(found.casefold().split())


def number(written: str) -> Decimal:
    """What a numeral says. A group of three behind a point or comma is thousands: 1.000 = 1,000 = 1000."""
    digits = re.sub(r"[^\d.,]", "", written)
    marks = re.findall(r"[.,]", digits)
    tail = re.split(r"[.,]", digits)[-1]
    thousands = marks and len(tail) == 3 and not digits.startswith("0") and len(set(marks)) == 1
    if thousands or not marks:
        return Decimal(re.sub(r"[.,]", "", digits))
    head = digits[: -len(tail) - 1]
    return Decimal(re.sub(r"[.,]", "", head) + "." + tail)


def plain(value: Decimal) -> str:
    """A number in one spelling: 3.80 and 3.8 are one."""
    return format(value.normalize(), "f")


FACTORS = {
    "million": 10**6, "millionen": 10**6, "mio": 10**6, "thousand": 1000, "tausend": 1000, "tsd": 1000,
    "k": 1000,
}  # fmt: skip
TIMES = rf"(?:[ -]?(?:{any_of(FACTORS)})\b\.?)"
"""Behind a numeral: 5 Mio., 100k."""
ANY_CURRENCY, ANY_UNIT, ANY_MONTH = any_of(CURRENCY), any_of(UNIT), any_of(MONTHS)
ADJECTIVE = r"(?:(?:working|business|calendar|full|whole|consecutive|more|volle[n]?|días?)[ -])"
COUNTED = rf"{SPAN}{ADJECTIVE}?(?:{ANY_UNIT})(?!{LETTER})"
"""What follows a number of days, kilos, percent."""
