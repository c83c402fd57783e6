"""Worse, no worse, better or undecided: several signals of a running trial put together.

Pure; the trial feeds it and acts on it. `service/sequential.py` holds the evidence about one signal.

**Order.** Conversations are counted in the order in which they began, each signal up to the first
whose outcome cannot be known yet; what lies behind it is not looked at. Counting them as they settle
would not do: a bad conversation may settle sooner than a good one, and then the ones counted so far
are worse than the rest. A signal known at once (an error) does not wait for one that takes an hour.

**One voice.** An arm is drawn for a `unit`: the customer where customers keep their arm, else the
conversation. Only a unit's first conversation counts. The later ones of a customer are no new draw;
one sour customer who returns ten times would be ten votes against the arm that happened to get them.

**Together.** The weighted mean of the signals' wealths is itself such a wealth while all have
counted the same conversations (Vovk & Wang, "E-values: calibration, combination and applications",
Annals of Statistics 49(3), 2021): worse where it reaches 1/alpha. A signal that is ahead may also
decide alone, where its weight times its wealth does: the mean would get there too, only later, so
this costs no false alarms. Passing is an intersection: each primary signal by itself at alpha_pass.

**Assumed.** The arm was drawn by a hash of the unit with a salt of the trial's own, the share is the
one in force at that draw, and the arm is kept as drawn, also where the other adapter had to answer. An
outcome becomes known by the same rule in both arms (a flag within an hour, say).
The draws are themselves tested: an arm that gets more than its share withholds every pass.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from feedback.errors import Invalid
from service.sequential import Evidence, Signal, check_alpha

UNEVEN_ALPHA = 0.001
"""The chance of calling a fair draw uneven; small, as an uneven one is a bug and shows quickly."""


@dataclass(frozen=True)
class Rule:
    """What one signal is judged by. The margin is a difference of rates: 0.02 is two points."""

    margin: float
    weight: float = 1.0
    primary: bool = True
    """Whether the candidate has to be shown no worse here before it passes."""


@dataclass(frozen=True)
class Drawn:
    """One conversation of a trial: for whom the arm was drawn, which, with what share, and how it
    went by signal; None where that cannot be known yet.
    """

    unit: str
    candidate: bool
    share: float
    bad: Mapping[str, bool | None]


class Kind(StrEnum):
    """What can be concluded."""

    UNDECIDED = "undecided"
    WORSE = "worse"
    NO_WORSE = "no_worse"
    BETTER = "better"
    UNEVEN = "uneven"
    """The arms were not drawn as stated; nothing but "worse" is concluded."""


@dataclass(frozen=True)
class Verdict:
    """The conclusion, the signal that speaks loudest against the candidate, and a sentence."""

    kind: Kind
    loudest: str
    sentence: str
    wealth: float
    """The most that a stake of 1 on "worse" has ever become, all signals together."""
    needed: float
    """What it has to become for the candidate to be called worse."""


class Comparison:
    """One trial's evidence. Reproducible: the same conversations give the same verdict."""

    def __init__(
        self, rules: Mapping[str, Rule], alpha: float = 0.05, alpha_pass: float = 0.05
    ) -> None:
        check_alpha(alpha)
        check_alpha(alpha_pass)
        self._weights = _weights(rules)
        self._rules, self._alpha, self._alpha_pass = dict(rules), alpha, alpha_pass
        self._signals = {name: Signal(rule.margin, alpha) for name, rule in rules.items()}
        self._next = dict.fromkeys(rules, 0)
        self._ahead: dict[str, deque[tuple[float, float]]] = {name: deque() for name in rules}
        self._draws = Signal(0.0, centred=False)
        self._firsts: list[bool] = []
        self._units: set[str] = set()
        self._peak = self._peak_better = 1.0
        self._worse: str | None = None
        self._uneven, self._expected = False, 0.0

    def follow(self, conversations: Sequence[Drawn]) -> Kind:
        """Count the trial's conversations, all of them each time, in order of beginning.

        What was counted before is not counted again; only new and newly known outcomes are read. If
        rows have gone from the list since (a customer was erased), start a new Comparison.
        """
        if len(conversations) < len(self._firsts):
            raise Invalid(
                f"Found {len(conversations)} conversations after {len(self._firsts)}, expected all "
                "those of before and the new ones: start a new comparison."
            )
        for drawn in conversations[len(self._firsts) :]:
            self._take_in(drawn)
        for name in self._signals:
            self._advance(name, conversations)
        self._put_together()
        return self.kind()

    def evidence(self) -> dict[str, Evidence]:
        """By signal, with estimate and interval, each as far as it has counted."""
        return {name: signal.evidence() for name, signal in self._signals.items()}

    def _take_in(self, drawn: Drawn) -> None:
        missing = sorted(self._signals.keys() - drawn.bad.keys())
        if missing:
            raise Invalid(
                f"Found no word on {', '.join(missing)} in a conversation of {drawn.unit!r}, "
                "expected true, false or, while it cannot be known, None."
            )
        first = drawn.unit not in self._units
        if first:
            self._draws.step(drawn.share, drawn.candidate, bad=True)
            self._expected += drawn.share
            sides = (self._draws.wealth("worse") + self._draws.wealth("better")) / 2
            self._uneven = self._uneven or sides >= 1 / UNEVEN_ALPHA
            self._units.add(drawn.unit)
        self._firsts.append(first)

    def _advance(self, name: str, conversations: Sequence[Drawn]) -> None:
        """Count one signal up to the first conversation whose outcome is not known yet."""
        signal = self._signals[name]
        while self._next[name] < len(conversations):
            drawn = conversations[self._next[name]]
            if self._firsts[self._next[name]]:
                bad = drawn.bad[name]
                if bad is None:
                    return
                signal.step(drawn.share, drawn.candidate, bad)
                worse = self._weights[name] * signal.wealth("worse")
                self._ahead[name].append((worse, self._weights[name] * signal.wealth("better")))
                self._heard(worse, name)
            self._next[name] += 1

    def _put_together(self) -> None:
        """The weighted means, over the conversations that every signal has counted."""
        while all(self._ahead.values()):
            counted = {name: ahead.popleft() for name, ahead in self._ahead.items()}
            worse = sum(wealths[0] for wealths in counted.values())
            self._heard(worse, max(counted, key=lambda name: counted[name][0]))
            better = sum(wealths[1] for wealths in counted.values())
            self._peak_better = max(self._peak_better, better)

    def _heard(self, wealth: float, loudest: str) -> None:
        """Once 1/alpha was reached it stays reached."""
        self._peak = max(self._peak, wealth)
        if wealth >= 1 / self._alpha:
            self._worse = self._worse or loudest

    def verdict(self) -> Verdict:
        """What can be concluded of what was counted, for a person to read."""
        loudest = self._worse or max(
            self._signals,
            key=lambda name: self._weights[name] * self._signals[name].wealth("worse"),
        )
        kind = self.kind()
        sentence = self._sentence(kind, loudest)
        return Verdict(kind, loudest, sentence, self._peak, 1 / self._alpha)

    def kind(self) -> Kind:
        """What can be concluded of what was counted."""
        if self._worse:
            return Kind.WORSE
        if self._uneven:
            return Kind.UNEVEN
        if not self._lacking():
            return Kind.BETTER if self._peak_better >= 1 / self._alpha_pass else Kind.NO_WORSE
        return Kind.UNDECIDED

    def _lacking(self) -> list[str]:
        """Primary signals that have not been shown to be no worse."""
        return [
            name
            for name, rule in self._rules.items()
            if rule.primary and self._signals[name].peak("no worse") < 1 / self._alpha_pass
        ]

    def _sentence(self, kind: Kind, loudest: str) -> str:
        spoken = f"{_in_words(loudest)}: {self._signals[loudest].rates()}"
        points = f"{100 * self._rules[loudest].margin:.3g} points"
        if kind is Kind.WORSE:
            return f"The candidate is worse by more than the margin of {points}. {spoken}."
        if kind is Kind.UNEVEN:
            return (
                f"The candidate got {self._draws.candidate} of {self._draws.conversations} draws where "
                f"{self._expected:.0f} were expected: the arms are not drawn by the stated share, so "
                "it cannot pass. Look at how they are drawn and written down."
            )
        if kind is Kind.BETTER:
            return f"The candidate is better, and no worse in any signal. Loudest, {spoken}."
        if kind is Kind.NO_WORSE:
            return f"The candidate is no worse than the margins allow. Loudest, {spoken}."
        lacking = ", ".join(map(_in_words, self._lacking()))
        return f"Undecided; not yet shown no worse: {lacking}. Loudest, {spoken}."


def _in_words(signal: str) -> str:
    return signal.replace("_", " ")


def _weights(rules: Mapping[str, Rule]) -> dict[str, float]:
    """Shares of the alarm, adding up to 1."""
    if not any(rule.primary for rule in rules.values()):
        raise Invalid("Found no primary signal, expected at least one: else everything would pass.")
    for name, rule in rules.items():
        if not (math.isfinite(rule.weight) and rule.weight > 0):
            raise Invalid(f"Found the weight {rule.weight!r} for {name}, expected one above 0.")
    total = sum(rule.weight for rule in rules.values())
    return {name: rule.weight / total for name, rule in rules.items()}
