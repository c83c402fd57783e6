"""In which topics is the candidate worse? One test per topic, with the number of topics accounted for.

Pure; the gate blocks a candidate that wins overall and loses somewhere. Here an error is cheap (a good
candidate waits) and a miss is dear, so Student's t is used, which finds losses on few tickets; Holm's
step-down ("A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
6(2), 1979) keeps the chance of blocking any topic without cause below 1 - confidence.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from evals.bootstrap import Gains


def p_loss(gains: Gains, margin: float = 0.0) -> float:
    """The one-sided p-value of "it loses more than `margin`": Student's t over customers.

    Raises ValueError for fewer than two customers.
    """
    if len(gains) < 2:
        raise ValueError(f"found {len(gains)} customers, expected at least 2")
    mean = float(gains.mean()) + margin
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    if error < 1e-12:
        return 0.0 if mean < 0 else 1.0
    return float(stdtr(len(gains) - 1, mean / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for there being several, in the order given."""
    count = len(p_values)
    adjusted = [0.0] * count
    highest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (count - rank) * p_values[place]))
        adjusted[int(place)] = highest
    return adjusted
