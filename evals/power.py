"""What can the present tickets tell? The smallest gain they find, and how many more find a smaller one.

Pure. The gains of an earlier exam are shifted and drawn again; evidence.py is asked what it makes of them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import chdtri

from evals.bootstrap import SEED, Gains
from evals.evidence import SPREAD, fewest, fraction

SHARE = 0.8
"""A gain counts as found when it passes this often."""
DRAWS = 400
STEPS = 10
"""Halvings until a gain is known to a thousandth of the range."""
MOST_TICKETS = 20_000


@dataclass(frozen=True)
class Power:
    """What `customers` independent customers' tickets can tell, as shares of the score's range."""

    customers: int
    alpha: float
    smallest_gain: float | None
    """Found in 80 % of cases; None: not even the largest would be."""
    needed: dict[str, int | None]
    """How many customers it takes to find a gain of so many hundredths of the range; None: too many."""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Bet:
    """How the evidence will be weighed; see evidence.py."""

    alpha: float
    least: float
    spread: float


def power(
    gains: Gains,
    alpha: float,
    least: float = 0.0,
    targets: Sequence[float] = (0.05, 0.1),
    spread: float = SPREAD,
) -> Power:
    """What as many customers as there are `gains` of can tell, and what smaller gains would take."""
    count, bet = len(gains), _Bet(alpha, least, spread)
    findable = count >= fewest(alpha, least)
    needed = {f"{100 * g:g}": _customers_for(gains, g, count, bet) for g in targets}
    return Power(count, alpha, _smallest(gains, count, bet) if findable else None, needed)


def _found(gains: Gains, gain: float, count: int, bet: _Bet) -> float:
    """How often a true gain would pass with tickets of so many customers, spread as `gains` are."""
    rng = np.random.default_rng(SEED)
    around = (gains - gains.mean()) * _wider(len(gains))
    drawn = np.clip(around[rng.integers(len(around), size=(DRAWS, count))] + gain, -1, 1)
    share = fraction(count, bet.alpha, bet.least, bet.spread)
    grown = np.log1p(share * (drawn - bet.least)).sum(axis=1)
    return float(np.mean(grown >= math.log(1 / bet.alpha)))


def _wider(count: int) -> float:
    """How much wider than seen the spread may well be (its upper 90 % limit): a promise must hold."""
    if count < 2:
        return 1.0
    return math.sqrt((count - 1) / float(chdtri(count - 1, 0.9)))


def _smallest(gains: Gains, count: int, bet: _Bet) -> float | None:
    enough = partial(_enough, gains, count=count, bet=bet)
    low, high = bet.least, 1.0
    if not enough(high):
        return None
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _customers_for(gains: Gains, gain: float, count: int, bet: _Bet) -> int | None:
    if gain <= bet.least:
        return None
    fewest_ever = fewest(bet.alpha, bet.least)
    low, high = fewest_ever - 1, max(count, fewest_ever)
    while not _enough(gains, gain, high, bet):
        low, high = high, 2 * high
        if high > MOST_TICKETS:
            return None
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if _enough(gains, gain, middle, bet) else (middle, high)
    return high


def _enough(gains: Gains, gain: float, count: int, bet: _Bet) -> bool:
    return _found(gains, gain, count, bet) >= SHARE
