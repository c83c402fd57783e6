"""Every metric by name: what it is called, its unit, which way is better. The one place that says so.

Nothing is measured in this file: exams measure by these names, the gate, its settings and the pages read
them here.
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
JUDGE, VOTES = "judge", "votes"
"""Preferences between two answers, so no figures of one: live's is 1 less the candidate's."""


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
class Deciding:
    """A metric that a gate may decide by. More is better in each."""

    title: str
    """As sentences name it."""
    short: str
    """As it stands beside a figure."""
    full: float | None
    """The range its values span; None: they are log-probabilities, which are taken as probabilities."""
    spread: float = 0.25
    """The standard deviation that gains are expected to have, as a share of the range: what the bet of
    evals/evidence.py is aimed at. Between two answers a preference is all or nothing.
    """


DECIDING = {
    CHRF: Deciding("chrF", "chrF", 100.0),
    ROUGE_L: Deciding("ROUGE-L", "ROUGE-L", 100.0),
    SIMILARITY: Deciding("the likeness of meaning", "similarity", 100.0),
    MEAN_LOGPROB: Deciding("the mean log-probability of the reference", "log-probability", None),
    JUDGE: Deciding("the judge's preference", "preference", 1.0, spread=1.0),
    VOTES: Deciding("the agents' preference", "preference", 1.0, spread=1.0),
}
GUARDING = tuple(
    metric for metric, measure in MEASURES.items() if measure.more_is_better is not None
)
"""What a guardrail may be about: of the others nobody can say which way is worse."""


def title(metric: str) -> str:
    """A metric as it stands in a table; one that is gone, of an old decision, in its own words."""
    if metric in MEASURES:
        return MEASURES[metric].title
    if metric in DECIDING:
        return DECIDING[metric].title.removeprefix("the ")
    return metric.replace("_", " ")
