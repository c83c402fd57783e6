"""Is the candidate worse? Evidence about one signal that may be looked at after every conversation.

Pure: numbers in, evidence out. `service/verdict.py` puts several signals together; the trial feeds it.

A signal is a bad thing that happens in a conversation or does not: a thumbs down, an error. Each
counted conversation is one step. Its arm was drawn for it alone, "candidate" with a known share s, so

    Z = (1/s if candidate, else -1/(1-s)) * (bad - centre)

has the true difference of the two rates as its mean, whatever the hour, the customer and the rate of
that hour, as long as `centre` and s were fixed before the draw (Horvitz & Thompson 1952; the centre
takes off variance and no truth: s*(1/s) - (1-s)/(1-s) = 0). Nothing is assumed about the outcomes.

Against "the difference is at most the margin" a gambler bets a fraction of what can be lost on Z
above the margin. Where that is true the stake is multiplied by 1 on average or less, so it ever
reaches 1/alpha with a chance of at most alpha: Ville's inequality (1939). Looking after every
conversation is free. The bets are the fixed fractions in BETS, played side by side (Waudby-Smith &
Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86(1), 2024). With rare
outcomes and no margin this is nearly the sequential 2x2 test of Turner, Ly & Grünwald ("Generic
E-variables for exact sequential k-sample tests", 2024). Bets that learn (aGRAPA) and blocks of one
candidate with its neighbours were simulated beside it: both need more conversations.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import mul

from feedback.errors import Invalid

BETS = (0.06, 0.125, 0.25, 0.5, 0.95)
"""Fractions of the largest bet that cannot ruin: for small, middling and glaring differences."""

_FIRST_RATE = (1, 10)
"""The rate of bad outcomes taken as the centre before any was seen: 1 in 10."""
_MOST = 1e300
"""Wealth beyond this is written as this: it can still be stored and added up."""
_HALVINGS = 16
"""Of the range of differences when an interval's end is sought: to within a hundredth of a point."""


@dataclass(frozen=True)
class Step:
    """One conversation as one signal saw it; `share` is the one its arm was drawn with."""

    share: float
    candidate: bool
    bad: bool


@dataclass(frozen=True)
class Evidence:
    """What is known about the difference of two rates, candidate less control, at this moment.

    Each wealth is what a stake of 1 has become; its peak is what counts: reaching 1/alpha once is
    as good as ending there.
    """

    conversations: int
    candidate: int
    candidate_bad: int
    control_bad: int
    wealth_worse: float
    peak_worse: float
    peak_no_worse: float
    """Against "worse by the margin or more"."""
    peak_better: float
    """Against "not better at all"."""
    mean: float
    """The estimate; while it is still wild, the end of the interval that lies next to it."""
    low: float
    high: float

    @property
    def control(self) -> int:
        """Conversations with the live adapter."""
        return self.conversations - self.candidate


class Signal:
    """The evidence about one signal, one conversation at a time."""

    def __init__(self, margin: float, alpha: float = 0.05, centred: bool = True) -> None:
        if not 0 <= margin < 1:
            raise Invalid(f"Found the margin {margin!r}, expected a difference of rates, 0 to 1.")
        check_alpha(alpha)
        self._alpha, self._centred = alpha, centred
        self._sides = {
            "worse": _Bets(margin, upwards=True),
            "no worse": _Bets(margin, upwards=False),
            "better": _Bets(0.0, upwards=False),
        }
        self._cells: Counter[_Cell] = Counter()
        self._plays: dict[tuple[float, bool, bool], _Played] = {}
        self._conversations = self._candidate = self._candidate_bad = self._control_bad = 0
        self._centre = _FIRST_RATE[0] / _FIRST_RATE[1] if centred else 0.0
        self._sum = 0.0

    def step(self, share: float, candidate: bool, bad: bool) -> None:
        """Count one more conversation."""
        if not 0 < share < 1:
            raise Invalid(
                f"Found the share {share!r}, expected one between 0 and 1: "
                "to compare, some conversations have to go to each side."
            )
        cell, factors = self._played(share, candidate, bad)
        for side, by_gambler in zip(self._sides.values(), factors, strict=True):
            side.play(by_gambler)
        self._cells[cell] += 1
        self._sum += cell.value
        self._conversations += 1
        self._candidate += candidate
        self._candidate_bad += candidate and bad
        self._control_bad += bad and not candidate
        self._centre_anew()

    def _played(self, share: float, candidate: bool, bad: bool) -> "_Played":
        """The cell of such a step and what it does to every side; kept, as there are few."""
        key = (share, candidate, bad)
        if key not in self._plays:
            cell = _Cell(share, self._centre, candidate, bad)
            self._plays[key] = cell, [side.factors(cell) for side in self._sides.values()]
        return self._plays[key]

    def _centre_anew(self) -> None:
        """At 8, 16, 32 ... conversations only: few different centres keep the tally small."""
        count = self._conversations
        if self._centred and count >= 8 and count & (count - 1) == 0:
            bad = self._candidate_bad + self._control_bad
            self._centre = (bad + _FIRST_RATE[0]) / (count + _FIRST_RATE[1])
            self._plays.clear()

    @property
    def conversations(self) -> int:
        """How many were counted."""
        return self._conversations

    @property
    def candidate(self) -> int:
        """How many of them were with the candidate."""
        return self._candidate

    def wealth(self, side: str) -> float:
        """What a stake of 1 has become on "worse", "no worse" or "better"."""
        return self._sides[side].wealth

    def peak(self, side: str) -> float:
        """The most it has ever been."""
        return self._sides[side].peak

    def rates(self) -> str:
        """Both rates in words."""
        control = self._conversations - self._candidate
        return (
            f"{_rate(self._candidate_bad, self._candidate)} with the candidate, "
            f"{_rate(self._control_bad, control)} with the live adapter"
        )

    def evidence(self) -> Evidence:
        """All of it, with the interval, which takes a few milliseconds."""
        low, high = self._interval()
        mean = self._sum / self._conversations if self._conversations else 0.0
        return Evidence(
            conversations=self._conversations,
            candidate=self._candidate,
            candidate_bad=self._candidate_bad,
            control_bad=self._control_bad,
            wealth_worse=self._sides["worse"].wealth,
            peak_worse=self._sides["worse"].peak,
            peak_no_worse=self._sides["no worse"].peak,
            peak_better=self._sides["better"].peak,
            mean=min(max(mean, low), high),
            low=low,
            high=high,
        )

    def _interval(self) -> tuple[float, float]:
        """Every difference that neither side has lost 2/alpha to: holds the truth at all times at
        once with a chance of at least 1 - alpha (the confidence sequence of the same two bets).
        """
        needed = math.log(2 / self._alpha)
        low = _last_refuted(self._cells, needed, upwards=True)
        high = -_last_refuted(self._cells, needed, upwards=False)
        return low, max(low, high)


def fold(steps: Iterable[Step], margin: float, alpha: float = 0.05) -> Evidence:
    """The evidence of these conversations, in the order in which they began."""
    signal = Signal(margin, alpha)
    for step in steps:
        signal.step(step.share, step.candidate, step.bad)
    return signal.evidence()


def check_alpha(alpha: float) -> None:
    """Raise Invalid unless it is a chance that can be asked for."""
    if not 0 < alpha < 1:
        raise Invalid(f"Found the chance of a false alarm {alpha!r}, expected one between 0 and 1.")


def _rate(bad: int, conversations: int) -> str:
    if not conversations:
        return "none yet"
    return f"{100 * bad / conversations:.3g} % of {conversations:,}"


@dataclass(frozen=True)
class _Cell:
    """A kind of step; all steps of one kind move the wealth by the same factor."""

    share: float
    centre: float
    candidate: bool
    bad: bool

    @property
    def value(self) -> float:
        weight = 1 / self.share if self.candidate else -1 / (1 - self.share)
        return weight * (self.bad - self.centre)

    def lowest(self, upwards: bool) -> float:
        """How far below zero Z (or -Z) can come: never less than 1."""
        for_candidate = (self.centre if upwards else 1 - self.centre) / self.share
        for_control = (1 - self.centre if upwards else self.centre) / (1 - self.share)
        return max(for_candidate, for_control)


_Played = tuple[_Cell, list[list[float]]]


class _Bets:
    """The gamblers on one side, each with its own fraction; their mean is the wealth."""

    def __init__(self, margin: float, upwards: bool) -> None:
        self._margin, self._upwards = margin if upwards else -margin, upwards
        self._stakes = [1.0] * len(BETS)
        self.wealth = self.peak = 1.0

    def factors(self, cell: _Cell) -> list[float]:
        """What such a step multiplies each gambler's stake by."""
        return [math.exp(gain) for gain in _gains(cell, self._margin, self._upwards)]

    def play(self, factors: list[float]) -> None:
        """A stake that falls out of a float's range stays 0: it counted for nothing long before."""
        self._stakes = list(map(mul, self._stakes, factors))
        self.wealth = min(sum(self._stakes) / len(BETS), _MOST)
        self.peak = max(self.peak, self.wealth)


def _gains(cell: _Cell, margin: float, upwards: bool) -> list[float]:
    """By how much each gambler's log wealth moves. Falls as the margin grows, for every cell."""
    value = cell.value if upwards else -cell.value
    won = (value - margin) / (cell.lowest(upwards) + margin)
    return [math.log1p(bet * won) for bet in BETS]


def _log_mean(logs: list[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))


def _last_refuted(cells: Counter[_Cell], needed: float, upwards: bool) -> float:
    """The largest margin that the bets on more than it have won `needed` against; -1 if none."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        refuted = _log_wealth(cells, middle, upwards) >= needed
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _log_wealth(cells: Counter[_Cell], margin: float, upwards: bool) -> float:
    logs = [0.0] * len(BETS)
    for cell, count in cells.items():
        gains = _gains(cell, margin, upwards)
        logs = [log + count * gain for log, gain in zip(logs, gains, strict=True)]
    return _log_mean(logs)
