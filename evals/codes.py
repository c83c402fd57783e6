"""Is a word a code that somebody has to type: PINE-BACK, PP-1041, SOGGYNOTES? Pure. Called by facts.py."""

import re

from evals import units


def _words(text: str) -> list[str]:
    return text.split()


TOKEN = re.compile(
    r"(?<![\w@#.-])(?=[\w-]*[A-Za-z])(?:[A-Z0-9]+(?:[-_][A-Z0-9]+)*|[A-Za-z]+[-_]?\d[A-Za-z0-9]*(?:_\w+)?(?:-\w+)*)"
    r"(?![\w@]|-\w)"
)
CUE = re.compile(
    r"(?:\b(?:codes?|coupons?|vouchers?|keyword|promo|password|gutschein\w*|rabattcode|stichwort|código|cupón|"
    r"type|reply|write|enter|quote|mention|say|text|send|apply|starts? with|begins? with|called|named|"
    r"schreiben sie|geben sie|escribe|escriba)\b(?:\s+(?:with|in|is|the|word|code|as|it|named|called|just|"
    r"only|your|our|ist|lautet|es|el|der|den))*\W{0,3})$",
    re.I,
)
SHOUTED = frozenset(
    _words(
        "ALWAYS NEVER MUST ONLY FREE PLEASE NOTE IMPORTANT WARNING CAUTION ATTENTION HERE THIS THAT WILL "
        "CANNOT DONT HAVE YOUR THEN WITH FROM VERY MORE LESS SOME THANKS THANK SORRY HELLO BEST GREAT "
        "GOOD NEWS TIPS ALSO BEFORE AFTER WITHIN EVERY FIRST LAST BOTH EITHER WHAT WHEN WHERE WHICH THESE "
        "THOSE OPEN CLOSED STOP WAIT READ DOES DONE SALE ONCE TWICE SHIPPING RETURN RETURNS REFUND "
        "REFUNDS ORDER ORDERS HELP SUPPORT NICHT IMMER KEIN KEINE BITTE ACHTUNG WICHTIG NUNCA SIEMPRE "
        "IMPORTANTE GRATIS JAMAIS TOUJOURS"
    )
)
ACRONYMS = frozenset(
    _words(
        "HTML HTTP HTTPS JSON XML PDF PNG JPEG JPG GPS USB FAQ FAQS IBAN BIC SEPA VISA PAYPAL DHL UPS DPD "
        "FEDEX USPS HERMES SMS IMEI NATO COVID COVID-19 UTC CEST CET GMT EST PST ASAP RSVP VIP ATM PIN "
        "TAN VAT GDPR DSGVO GORE-TEX USB-C WI-FI WIFI T-SHIRT T-SHIRTS X-RAY E-MAIL EMAIL E-BIKE LGBTQ "
        "AGB GMBH"
    )
)
NEAR = 60
"""Characters beside a word that say what it is."""
MEASURES = units.UNIT.keys() | units.MONTHS.keys()
PREFIXES = frozenset(_words("NON SELF ALL RE PRE ANTI EX DO NOT CO"))


def is_code(match: re.Match[str]) -> bool:
    """Whether a token of TOKEN is a code. Capitals alone may be shouted, so they need more evidence."""
    word = match[0]
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    after = match.string[match.end() : match.end() + NEAR]
    if word.upper() in ACRONYMS or len(word) < 4 or word.replace("-", "").isdigit():
        return False
    if units.folded(word) in MEASURES:
        return False  # 40 TAGE
    if any(map(str.isdigit, word)):
        return bool(re.search(r"[A-Za-z]", word)) and not re.match(
            r"\d+[A-Za-z]{1,2}$|\d{2,4}s$", word
        )
    if CUE.search(before):
        return word not in SHOUTED
    if _is_shouting(before, after):
        return False
    if re.search(r"[-_]", word):
        return re.split("[-_]", word)[0] not in PREFIXES
    return word not in SHOUTED and not _is_english(word)


def _is_shouting(before: str, after: str) -> bool:
    """Whether a neighbour is in capitals, too."""
    neighbours = before.split()[-1:] + after.split()[:1]
    around = [each.strip(".,;:!?()*_\"'") for each in neighbours]
    return any(len(each) > 1 and each.isalpha() and each.isupper() for each in around)


def _is_english(word: str) -> bool:
    """Whether it is an English word, only written large. The list is read when it is first asked for."""
    from feedback.name_lists import words

    bare = word.casefold()
    endings = ("", "s", "es", "ed", "d", "ing", "ly", "er", "est")
    return any(bare.removesuffix(ending) in words() for ending in endings)
