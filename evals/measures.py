"""Every metric by name: what it is called, its unit, which way is better. The one place that says so.

scores.py measures by them, the gate and the pages read them here. Nothing is measured in this file.
"""

from dataclasses import dataclass

CHRF = "chrf"
ROUGE_L = "rouge_l"
SIMILARITY = "similarity"
MEAN_LOGPROB = "mean_logprob"
MUST_SAY_BROKEN = "must_say_broken"
MUST_NOT_SAY_BROKEN = "must_not_say_broken"
INVENTED_FACTS = "invented_facts"
INVENTED_PRICES = "invented_prices"
LEAKED = "leaked"
REFUSED = "refused"
UNSAFE = "unsafe"
WRONG_LANGUAGE = "wrong_language"
LENGTH_RATIO = "length_ratio"
HANDOVER_WRONG = "handover_wrong"
TOPIC_WRONG = "topic_wrong"


@dataclass(frozen=True)
class Measure:
    """What a metric's figures are."""

    title: str
    unit: str
    more_is_better: bool | None
    """None: neither is, by itself."""
    lowest: float | None
    highest: float | None
    """The bounds of one answer's value; None: there is no such bound."""
    always: bool
    """Every answer has a row of it. The others have one only where their question applies."""

    @property
    def bounded(self) -> bool:
        """Whether no value can lie outside two known ends."""
        return self.lowest is not None and self.highest is not None


def _count(title: str, always: bool = True) -> Measure:
    return Measure(title, "per answer", False, 0, None, always)


def _yes_or_no(title: str) -> Measure:
    return Measure(title, "share", False, 0, 1, False)


MEASURES = {
    CHRF: Measure("chrF", "of 100", True, 0, 100, True),
    MEAN_LOGPROB: Measure("log-probability", "nats per token", True, None, 0, True),
    MUST_SAY_BROKEN: _count("left out"),
    MUST_NOT_SAY_BROKEN: _count("forbidden"),
    INVENTED_FACTS: _count("invented facts"),
    INVENTED_PRICES: _count("invented prices"),
    LEAKED: _count("leaked"),
    ROUGE_L: Measure("ROUGE-L", "of 100", True, 0, 100, False),
    SIMILARITY: Measure("similarity", "of 100", True, 0, 100, False),
    LENGTH_RATIO: Measure("length", "times the reference", None, 0, None, False),
    REFUSED: _yes_or_no("refused"),
    UNSAFE: _yes_or_no("unsafe"),
    WRONG_LANGUAGE: _yes_or_no("wrong language"),
    HANDOVER_WRONG: _yes_or_no("hand-over wrong"),
    TOPIC_WRONG: _yes_or_no("topic wrong"),
}
"""In the order in which tables show them."""

METRICS = tuple(metric for metric, measure in MEASURES.items() if measure.always)
"""Every answer is scored by all of these; the rest only where they apply."""


@dataclass(frozen=True)
class Scored:
    """One metric of one answer. No value: it could not be scored, and the reason says why."""

    metric: str
    value: float | None
    reason: str


def unscored(metric: str, reason: str) -> Scored:
    """A score that could not be had."""
    return Scored(metric, None, reason)


def listed(things: list[str]) -> str:
    """Things said in a reason, each in quotation marks."""
    return ", ".join(repr(thing) for thing in things)
