"""Is the candidate better at all? A bet whose promise holds for any scores and any number of tickets.

Pure; the gate weighs it, power.py asks what it would find.

Against "the mean gain is at most `least`" a gambler with a stake of 1 bets the same fraction on each
customer's gain: the stake is multiplied by 1 + fraction * (gain - least). Where that claim is true every
factor is 1 on average or less, so the stake is too, and it reaches 1/alpha with a chance of at most
alpha (Markov). Nothing is assumed of the gains but that customers are independent and that no score
leaves its range: not how they are spread, skewed or tied. An interval by bootstrap or Student's t promises
as much only for many tickets: where one answer in twenty is a disaster and the rest is a little better, t
at 0.1 % passed 14 % of candidates that were no better (40 tickets; benchmarks/gate_designs.py).

Such a bet is an e-value (Vovk & Wang, "E-values: calibration, combination and applications", Annals of
Statistics 49(3), 2021), betting on a bounded mean is Waudby-Smith & Ramdas ("Estimating means of bounded
random variables by betting", JRSS-B 86(1), 2024). The fraction is aimed at the number of tickets and at
alpha, which are known beforehand: sqrt(2 ln(1/alpha) / (n spread^2)) is what grows fastest where the
gain is just about findable. One fixed fraction makes the order of tickets of no account, and more gain
anywhere is never less evidence. Bets that adapt as they go find a little more (STaR-bets, Voracek &
Orabona, "STaR-Bets: Sequential Target-Recalculating Bets for Tighter Confidence Intervals", 2025: at 80
tickets 72 % for 64 %), but there the order matters.
"""

import math

import numpy as np

from evals.bootstrap import Gains

SPREAD = 0.25
"""Standard deviation of gains, as a share of the score's range, at which the bet is aimed, unless another is
known beforehand.
"""
MOST = 0.95
"""The largest share of the stake that one customer can lose: a single disaster must not end the game."""


def stake(gains: Gains, alpha: float, least: float = 0.0, spread: float = SPREAD) -> float:
    """What a stake of 1 against "the mean gain is at most `least`" became.

    `gains`: one per customer, as a share of the score's range, so between -1 and 1; `least` likewise.
    `spread`: the standard deviation that they are expected to have, said before they are seen.
    Raises ValueError for a gain outside, or an alpha that is no chance.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"found the chance {alpha!r}, expected one between 0 and 1")
    if len(gains) and not (np.abs(gains) <= 1 + 1e-9).all():
        raise ValueError(f"found the gain {float(np.abs(gains).max())!r}, expected one up to 1")
    if not len(gains):
        return 1.0
    logs = np.log1p(fraction(len(gains), alpha, least, spread) * (gains - least))
    return math.exp(min(float(logs.sum()), 700.0))


def passes(gains: Gains, alpha: float, least: float = 0.0) -> bool:
    """Whether the stake reached 1/alpha."""
    return stake(gains, alpha, least) >= 1 / alpha


def fewest(alpha: float, least: float = 0.0) -> int:
    """Fewer customers than this could not be enough, whatever they gained."""
    most_a_step = math.log1p(MOST / (1 + least) * (1 - least))
    return math.ceil(math.log(1 / alpha) / most_a_step)


def fraction(count: int, alpha: float, least: float = 0.0, spread: float = SPREAD) -> float:
    """The share of the stake that is bet on each of so many customers."""
    aimed = math.sqrt(2 * math.log(1 / alpha) / (count * spread**2))
    return min(aimed, MOST / (1 + least))
