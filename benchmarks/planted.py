"""Near-copies and paraphrases of exam questions, made by rules from a seed. near_copies.py plants them.

Each kind is a function of a question and a random source. The thesaurus and the ways to ask are written for
the shop and service talk of ../shared/data; none of it is in the product.
"""

import random
import re
from collections.abc import Callable

THESAURUS = {
    "order": "purchase", "purchase": "order", "cancel": "call off", "canceling": "calling off",
    "cancelling": "calling off", "cancellation": "call-off", "refund": "reimbursement",
    "refunds": "reimbursements", "money": "payment", "invoice": "bill", "invoices": "bills",
    "bill": "invoice", "bills": "invoices", "account": "profile", "profile": "account",
    "delete": "remove", "remove": "delete", "close": "shut", "open": "set up", "create": "open",
    "shipping": "delivery", "delivery": "shipping", "address": "location", "change": "modify",
    "changing": "modifying", "edit": "alter", "editing": "altering", "update": "change",
    "modify": "change", "swap": "exchange", "swapping": "exchanging", "add": "include",
    "adding": "including", "check": "look up", "checking": "looking up", "see": "view",
    "seeing": "viewing", "find": "locate", "finding": "locating", "know": "learn",
    "complaint": "grievance", "complain": "object", "review": "comment", "feedback": "opinion",
    "newsletter": "mailing list", "subscription": "sign-up", "subscribe": "sign up",
    "password": "passcode", "key": "code", "pin": "passcode", "reset": "renew", "recover": "get back",
    "retrieve": "get back", "retrieving": "getting back", "payment": "paying", "payments": "charges",
    "pay": "settle", "methods": "options", "method": "option", "options": "possibilities",
    "modalities": "ways", "fee": "charge", "fees": "charges", "penalties": "fines", "penalty": "fine",
    "issue": "problem", "issues": "problems", "problem": "trouble", "problems": "difficulties",
    "error": "fault", "errors": "faults", "trouble": "problem", "agent": "person", "human": "person",
    "operator": "clerk", "assistant": "adviser", "speak": "talk", "talk": "speak", "speaking": "talking",
    "contact": "reach", "call": "phone", "customer": "client", "support": "service", "service": "help",
    "hours": "times", "when": "at what time", "product": "article", "products": "articles",
    "item": "article", "items": "articles", "several": "some", "some": "a few", "last": "latest",
    "available": "on offer", "allowed": "accepted", "show": "display", "download": "fetch",
    "get": "obtain", "getting": "obtaining", "buy": "purchase", "make": "place", "making": "placing",
    "track": "follow", "tracking": "following", "status": "state", "report": "notify of",
    "reporting": "notifying of", "notify": "inform", "sign-up": "registration", "signup": "registration",
    "registration": "sign-up", "register": "enrol", "arrive": "come", "long": "much time",
    "estimate": "guess", "ride": "lift", "taxi": "cab", "hotel": "inn", "apartment": "flat",
    "appointment": "consultation", "doctor": "physician", "schedule": "arrange", "book": "reserve",
    "reserve": "book", "flight": "plane", "party": "celebration", "restaurant": "place to eat",
    "weather": "forecast", "trip": "journey", "price": "cost", "cheap": "low-priced",
    "expensive": "costly", "please": "kindly", "hello": "good day", "hi": "hey", "yes": "sure",
    "need": "require", "want": "wish for", "looking": "searching", "recommend": "suggest",
    "room": "chamber", "balance": "account total", "transfer": "send", "stolen": "robbed",
    "damage": "harm", "quickly": "fast", "soon": "shortly", "great": "wonderful", "thanks": "thank you",
}  # fmt: skip
FRAMES = (
    r"(can|could|would|will) (you|i|we) (please )?(help|assist|show|tell|get)( me| us)?( to| with| how)?"
    r"( to)?",
    r"(i|we)('d| would)? (want|need|like|have got|have)( some)? (to|assistance|help)( to| with| in)?",
    r"(i|we) ?(do not|don't|dont|am trying|try|cannot|can't|cant) (know )?(what |how )?(i have |to )*"
    r"(do )?(to)?",
    r"(where|how|what) (can|do|could|should|must) (i|we|you)( have to)?( do)?( to)?",
    r"(i )?(want|need|require)( assistance| help| support)?( to| with| for)?",
    r"(help|assist|show|tell)( me| us)?( to| with| how)?( to)?",
    r"is (it|there)( possible| a way)? to",
)
OPENINGS = (
    "Could somebody explain how to {}?", "Any idea how one would {}?", "My question is about how to {}.",
    "I was hoping you people could {} for me.", "What are the steps if I have to {}?", "It is time to {}.",
    "Would it be a bother to {}?", "Tell me the way to {}, would you.",
)  # fmt: skip
NAMES = (
    "Alexis", "Angela", "Ben", "Chicago", "Detroit", "Jessica", "John", "Johnson", "Katarina", "London",
    "Mark", "Morgan", "Pittsburgh", "Seattle", "Shadyside",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GREETINGS = ("Hi there, ", "Good morning! ", "Hello, me again. ", "Quick one: ")
FAREWELLS = (" Thanks a lot!", " Cheers.", " Kind regards, Sam", " I am in a hurry.")
KEYS = "qwertyuiopasdfghjklzxcvbnm"

Rule = Callable[[str, random.Random], str]


def typos(share: float) -> Rule:
    """One slip for this share of the letters: swapped, lost, doubled, or the key beside it."""

    def slip(text: str, source: random.Random) -> str:
        letters = list(text)
        places = [i for i, char in enumerate(letters[:-1]) if char.isalpha()]
        for i in source.sample(places, max(1, round(share * len(places)))):
            how = source.randrange(4)
            if how == 0:
                letters[i], letters[i + 1] = letters[i + 1], letters[i]
            elif how == 1:
                letters[i] = ""
            elif how == 2:
                letters[i] *= 2
            elif letters[i].lower() in KEYS:
                letters[i] = KEYS[KEYS.index(letters[i].lower()) - 1]
        return "".join(letters)

    return slip


def turned(text: str, source: random.Random) -> str:
    """The second part first."""
    words = text.rstrip("?!. ").split()
    cut = source.randint(1, max(1, len(words) - 1))
    return " ".join([*words[cut:], *words[:cut]])


def shuffled(text: str, source: random.Random) -> str:
    """All words in any order."""
    words = text.rstrip("?!. ").split()
    source.shuffle(words)
    return " ".join(words)


def slots(text: str, source: random.Random) -> str:
    """Another number, name, city or day wherever there is one."""

    def other(found: re.Match[str]) -> str:
        word = found[0]
        if word.isdigit():
            return "".join(source.choice("0123456789") for _ in word)
        return source.choice(DAYS if word in DAYS else NAMES)

    return re.sub(rf"\d+|\b(?:{'|'.join(NAMES + DAYS)})\b", other, text)


def synonyms(text: str, source: random.Random) -> str:
    """Every word that has one is replaced by another."""

    def other(found: re.Match[str]) -> str:
        return THESAURUS.get(found[0].lower(), found[0])

    return re.sub(r"[A-Za-z][A-Za-z-]*", other, text)


def asked_otherwise(text: str, source: random.Random) -> str:
    """Another way to ask: what stood in front of the matter goes, something else comes."""
    matter = text.strip().rstrip("?!. ")
    for frame in FRAMES:
        matter = re.sub(rf"^{frame}\b\s*", "", matter, count=1, flags=re.I) or matter
    return source.choice(OPENINGS).format(matter[:1].lower() + matter[1:])


def dressed(text: str, source: random.Random) -> str:
    """A greeting and a farewell."""
    return source.choice(GREETINGS) + text + source.choice(FAREWELLS)


def all_at_once(text: str, source: random.Random) -> str:
    """Other words, another way to ask, other values, a slip or two."""
    return typos(0.04)(slots(asked_otherwise(synonyms(text, source), source), source), source)


KINDS: dict[str, Rule] = {
    "typos, 4 % of letters": typos(0.04),
    "typos, 10 %": typos(0.1),
    "typos, 20 %": typos(0.2),
    "turned around": turned,
    "words shuffled": shuffled,
    "other slot values": slots,
    "greeting and farewell": dressed,
    "synonyms": synonyms,
    "asked otherwise": asked_otherwise,
    "all at once": all_at_once,
}
"""In the order of how much they hide, roughly. Each is planted equally often."""
