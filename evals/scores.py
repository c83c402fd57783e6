"""Scores of one answer: a value and the reason for it. Pure; run.py calls it, the gate weighs it.

No value means that the answer could not be scored, which the gate never takes for a pass.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.chrf import CHRF as SacreChrf

from feedback.desk import Desk
from feedback.tables import Ticket

CHRF = "chrf"
MEAN_LOGPROB = "mean_logprob"
MUST_SAY_BROKEN = "must_say_broken"
MUST_NOT_SAY_BROKEN = "must_not_say_broken"
METRICS = (CHRF, MEAN_LOGPROB, MUST_SAY_BROKEN, MUST_NOT_SAY_BROKEN)
"""Every answer is scored by all of these."""

_CHRF = SacreChrf()

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SINGLE_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u00b4`"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_FOLDED = str.maketrans(
    dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_SINGLE_QUOTES, "'")
    | dict.fromkeys(_DOUBLE_QUOTES, '"')
    | dict.fromkeys(_INVISIBLE, "")
)


@dataclass(frozen=True)
class Subject:
    """One answer with everything a score may look at."""

    ticket: Ticket
    answer: str
    knowledge: Sequence[str]
    """What the assistant may know beside the conversation: its prompt and the policies in force."""
    desk: Desk
    """How its support desk works: when a person takes over."""
    mean_logprob: float | str
    """Of the reference, nats per token; or why it could not be had."""
    topic: str | None = None
    """Which of the assistant's topics the model chose; None: it was not asked."""


@dataclass(frozen=True)
class Scored:
    """One metric of one answer. No value: it could not be scored, and the reason says why."""

    metric: str
    value: float | None
    reason: str


def every(subject: Subject) -> list[Scored]:
    """All scores of one answer, one per metric of METRICS and in their order."""
    ticket, answer, likelihood = subject.ticket, subject.answer, subject.mean_logprob
    return [
        chrf(answer, ticket.reference),
        unscored(MEAN_LOGPROB, likelihood)
        if isinstance(likelihood, str)
        else mean_logprob(likelihood),
        must_say(answer, ticket.must_say),
        must_not_say(answer, ticket.must_not_say),
    ]


def chrf(answer: str, reference: str) -> Scored:
    """Likeness to the agent's answer, 0 to 100: sacreBLEU's sentence chrF with its defaults.

    chrF is the F-score of shared character n-grams (1 to 6, recall weighing twice), averaged over n:
    Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015. Characters
    rather than words, so that inflection and typing errors cost a little instead of everything.
    """
    if not reference.strip():
        return Scored(CHRF, None, "The reference is empty; there is nothing to compare with.")
    value = _CHRF.sentence_score(answer, [reference]).score
    return Scored(
        CHRF,
        value,
        f"{value:.1f} of 100 for the character n-grams shared with the reference "
        f"({len(answer)} characters against {len(reference)}).",
    )


def mean_logprob(value: float) -> Scored:
    """How likely the model finds the agent's answer; service/answering.py measured it."""
    if not math.isfinite(value):
        return Scored(MEAN_LOGPROB, None, f"The engine's figure is {value!r}, not a finite number.")
    return Scored(
        MEAN_LOGPROB, value, f"The reference costs {-value:.3f} nats per token, less being better."
    )


def must_say(answer: str, phrases: list[str]) -> Scored:
    """How many things that an answer must say it leaves out."""
    if empty := _empty(MUST_SAY_BROKEN, phrases):
        return empty
    missing = [phrase for phrase in phrases if not says(answer, phrase)]
    if missing:
        return Scored(MUST_SAY_BROKEN, len(missing), f"It does not say {_listed(missing)}.")
    return Scored(MUST_SAY_BROKEN, 0, "It says all it must." if phrases else "It must say nothing.")


def must_not_say(answer: str, phrases: list[str]) -> Scored:
    """How many things that an answer must not say it says."""
    if empty := _empty(MUST_NOT_SAY_BROKEN, phrases):
        return empty
    found = sorted(forbidden(answer, phrases))
    if found:
        return Scored(MUST_NOT_SAY_BROKEN, len(found), f"It says {_listed(found)}.")
    return Scored(MUST_NOT_SAY_BROKEN, 0, "It says nothing it must not.")


def forbidden(answer: str, phrases: list[str]) -> frozenset[str]:
    """Those of the phrases that the answer says."""
    return frozenset(phrase for phrase in phrases if says(answer, phrase))


def unscored(metric: str, reason: str) -> Scored:
    """A score that could not be had."""
    return Scored(metric, None, reason)


def says(answer: str, phrase: str) -> bool:
    """Whether the phrase stands in the answer, as a plain substring.

    Case, white space, and the many Unicode quotes and dashes make no difference. A number is taken
    whole: "40 days" does not stand in "140 days".
    """
    wanted = fold(phrase)
    before = r"(?<!\d)" if wanted[:1].isdigit() else ""
    after = r"(?!\d)" if wanted[-1:].isdigit() else ""
    return re.search(before + re.escape(wanted) + after, fold(answer)) is not None


def fold(text: str) -> str:
    """The text as rules see it."""
    plain = unicodedata.normalize("NFKC", text.translate(_FOLDED)).casefold()
    return " ".join(plain.split())


def _empty(metric: str, phrases: list[str]) -> Scored | None:
    if all(fold(phrase) for phrase in phrases):
        return None
    return Scored(metric, None, "One of the ticket's rules is empty; nothing can obey or break it.")


def _listed(phrases: list[str]) -> str:
    return ", ".join(repr(phrase) for phrase in phrases)
