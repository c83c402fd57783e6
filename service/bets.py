"""Bets on the difference of two rates: what one conversation is worth, and what the stakes become.

Pure arithmetic; `service/sequential.py` says why it is a test, and calls it.
"""

import math
from collections import Counter
from operator import mul
from typing import NamedTuple

BETS = (0.06, 0.125, 0.25, 0.5, 0.95)
"""Fractions of the largest bet that cannot ruin: for small, middling and glaring differences."""
_MOST = 1e300
"""Wealth beyond this is written as this: it can still be stored and added up."""
_HALVINGS = 16
"""Of the range of differences when an interval's end is sought: to within a hundredth of a point."""


class Cell(NamedTuple):
    """A kind of step; all steps of one kind move the wealth by the same factor."""

    share: float
    centre: float
    candidate: bool
    bad: bool

    @property
    def value(self) -> float:
        """Z: its mean is the true difference of the rates."""
        weight = 1 / self.share if self.candidate else -1 / (1 - self.share)
        return weight * (self.bad - self.centre)

    def lowest(self, upwards: bool) -> float:
        """How far below zero Z (or -Z) can come: never less than 1."""
        for_candidate = (self.centre if upwards else 1 - self.centre) / self.share
        for_control = (1 - self.centre if upwards else self.centre) / (1 - self.share)
        return max(for_candidate, for_control)


class Bets:
    """The gamblers on one side, each with its own fraction; their mean is the wealth."""

    def __init__(self, margin: float, upwards: bool) -> None:
        self._margin, self._upwards = margin if upwards else -margin, upwards
        self._stakes = [1.0] * len(BETS)
        self.wealth = self.peak = 1.0

    def factors(self, cell: Cell) -> list[float]:
        """What such a step multiplies each gambler's stake by."""
        return [math.exp(gain) for gain in _gains(cell, self._margin, self._upwards)]

    def play(self, factors: list[float]) -> None:
        """A stake that falls out of a float's range stays 0: it counted for nothing long before."""
        self._stakes = list(map(mul, self._stakes, factors))
        wealth = sum(self._stakes) / len(BETS)
        self.wealth = wealth if wealth < _MOST else _MOST
        if self.wealth > self.peak:
            self.peak = self.wealth


def _gains(cell: Cell, margin: float, upwards: bool) -> list[float]:
    """By how much each gambler's log wealth moves. Falls as the margin grows, for every cell."""
    value = cell.value if upwards else -cell.value
    won = (value - margin) / (cell.lowest(upwards) + margin)
    return [math.log1p(bet * won) for bet in BETS]


def _log_mean(logs: list[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))


def last_refuted(cells: Counter[Cell], needed: float, upwards: bool) -> float:
    """The largest margin against which a stake of 1 has become `needed`; -1 if there is none.

    For one fraction the wealth falls as the margin grows, so halving finds it.
    """
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        refuted = _log_wealth(cells, middle, upwards) >= math.log(needed)
        low, high = (middle, high) if refuted else (low, middle)
    return low


def _log_wealth(cells: Counter[Cell], margin: float, upwards: bool) -> float:
    logs = [0.0] * len(BETS)
    for cell, count in cells.items():
        gains = _gains(cell, margin, upwards)
        logs = [log + count * gain for log, gain in zip(logs, gains, strict=True)]
    return _log_mean(logs)
