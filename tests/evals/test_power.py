"""What tickets can tell: the gain that is promised to be found is found."""

import numpy as np
import pytest

from evals.evidence import passes
from evals.power import power

ALPHA = 0.05 / 52


@pytest.mark.parametrize("spread", [0.15, 0.3])
def test_the_smallest_gain_is_found_as_often_as_promised(spread: float) -> None:
    """Each time an earlier exam promises, and a later candidate gains just that."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(12):
        told = power(np.clip(rng.normal(0, spread, 120), -1, 1), ALPHA, targets=())
        assert told.smallest_gain is not None
        later = np.clip(rng.normal(told.smallest_gain, spread, (200, 120)), -1, 1)
        found.append(np.mean([passes(row, ALPHA) for row in later]))
    assert np.mean(found) >= 0.8


def test_smaller_gains_take_more_customers() -> None:
    values = np.clip(np.random.default_rng(6).normal(0, 0.25, 60), -1, 1)
    told = power(values, ALPHA, targets=(0.05, 0.1, 0.2))
    small, middle, large = (told.needed[key] or 0 for key in ("5", "10", "20"))
    assert small > middle > large > 0
    assert told.smallest_gain and 0.1 < told.smallest_gain < 0.25


def test_too_few_customers_find_nothing_and_are_told_how_many_would() -> None:
    told = power(np.array([0.1, -0.1, 0.2, 0.0, -0.2]), ALPHA)
    assert told.smallest_gain is None
    assert told.needed["10"] and told.needed["10"] > 5
