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
conversation is free. The bets are fixed fractions (`service/bets.py`), played side by side (Waudby-Smith &
Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86(1), 2024). With rare
outcomes and no margin this is nearly the sequential 2x2 test of Turner, Ly & Grünwald ("Generic
E-variables for exact sequential k-sample tests", 2024). Bets that learn (aGRAPA) and blocks of one
candidate with its neighbours were simulated beside it: both need more conversations.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from feedback.errors import Invalid
from service.bets import Bets, Cell, last_refuted

_FIRST_RATE = (1, 10)
"""The rate of bad outcomes taken as the centre before any was seen: 1 in 10."""


@dataclass(frozen=True)
class Step:
    """One conversation as one signal saw it; `share` is the one its arm was drawn with."""

    share: float
    candidate: bool
    bad: bool


Played = tuple[Cell, float, list[list[float]]]
"""A kind of step, its value, and by what it multiplies the stakes of each side."""


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
            "worse": Bets(margin, upwards=True),
            "no worse": Bets(margin, upwards=False),
            "better": Bets(0.0, upwards=False),
        }
        self._cells: Counter[Cell] = Counter()
        self._plays: dict[tuple[float, bool, bool], Played] = {}
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
        cell, value, factors = self._played(share, candidate, bad)
        for side, by_gambler in zip(self._sides.values(), factors, strict=True):
            side.play(by_gambler)
        self._cells[cell] += 1
        self._sum += value
        self._conversations += 1
        self._candidate += candidate
        self._candidate_bad += candidate and bad
        self._control_bad += bad and not candidate
        self._centre_anew()

    def _played(self, share: float, candidate: bool, bad: bool) -> Played:
        """The cell of such a step and what it does to every side; kept, as there are few."""
        key = (share, candidate, bad)
        if key not in self._plays:
            cell = Cell(share, self._centre, candidate, bad)
            factors = [side.factors(cell) for side in self._sides.values()]
            self._plays[key] = cell, cell.value, factors
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
        """Every difference against which neither side has won 2/alpha: holds the true one, where it
        stays the same, at all times at once with a chance of at least 1 - alpha.
        """
        needed = 2 / self._alpha
        low = last_refuted(self._cells, needed, upwards=True)
        high = -last_refuted(self._cells, needed, upwards=False)
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
