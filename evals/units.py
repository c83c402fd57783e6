"""Currencies, units of measure, months and numerals as people write them, each in one spelling.

Pure: words in, canonical names out. Called by facts.py.
"""

import re
from decimal import Decimal


def _words(text: str) -> list[str]:
    return text.split()


CURRENCIES = {
    "EUR": "€ eur euro euros",
    "USD": "$ us$ usd dollar dollars bucks dólar dólares dollars",
    "GBP": "£ gbp quid pound pounds pfund",
    "CHF": "chf sfr franken francs",
    "JPY": "¥ jpy yen",
    "INR": "₹ inr rupee rupees",
    "PLN": "zł pln złoty",
    "SEK": "sek kr kronor",
}
CENTS = _words("cent cents ct ¢ pence penny céntimos centimes")
CURRENCY = {word: name for name, words in CURRENCIES.items() for word in words.split()} | {
    word: "cents" for word in CENTS
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
    **{word: ("min", Decimal(n)) for n, words in MINUTES.items() for word in words.split()},
    **{word: ("month", Decimal(n)) for n, words in MONTHS_LONG.items() for word in words.split()},
    **{
        word.replace("_", " "): (name, Decimal(factor))
        for (name, factor), words in OTHERS.items()
        for word in words.split()
    },
}
"""A unit's word: what it measures, and how many of that it is. 24 hours are a day, 12 months a year."""
MONTHS = {
    word: number
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
    r"(?:\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+(?!\d)(?:[.,]\d{1,2}(?!\d))?"
    r"|\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?(?![\d])|\d+(?:[.,]\d+)?)"
)
"""A number in digits: 1000, 1,000, 1.000, 1 000, 3.80, 3,80, 1.000,50."""


def any_of(words: dict[str, object]) -> str:
    """A pattern for one of these words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True)).replace(r"\ ", r"\s")


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
