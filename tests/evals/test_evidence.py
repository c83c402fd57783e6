"""The bet: it keeps its promise whatever the scores, and it does not care about order."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.evidence import fewest, passes, stake

gains = st.lists(st.floats(-1, 1), min_size=1, max_size=60).map(np.array)
chances = st.floats(1e-6, 0.2)
quickly = settings(max_examples=200, deadline=None)


@quickly
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=6),
    st.integers(1, 200),
    chances,
)
def test_where_nothing_is_gained_no_step_multiplies_the_stake_by_more_than_one_on_average(
    outcomes: list[tuple[float, float]], count: int, alpha: float
) -> None:
    values = np.array([value for value, _ in outcomes])
    weights = np.array([weight for _, weight in outcomes])
    weights /= weights.sum()
    least = max(float(values @ weights), 0.0)  # so the mean gain is at most `least`
    if least > 0.99:
        return
    # n equal gains multiply the stake by the n-th power of one step.
    step = [stake(np.full(count, value), alpha, least) ** (1 / count) for value in values]
    assert float(np.array(step) @ weights) <= 1 + 1e-9


@quickly
@given(gains, chances, st.randoms(use_true_random=False))
def test_the_order_of_customers_is_of_no_account(values: Any, alpha: float, random: Any) -> None:
    shuffled = values.tolist()
    random.shuffle(shuffled)
    assert stake(np.array(shuffled), alpha) == pytest.approx(stake(values, alpha))


@quickly
@given(gains, chances, st.floats(0, 1), st.integers(0, 59))
def test_more_gain_anywhere_is_never_less_evidence(
    values: Any, alpha: float, more: float, at: int
) -> None:
    better = values.copy()
    better[at % len(values)] = min(better[at % len(values)] + more, 1.0)
    assert stake(better, alpha) >= stake(values, alpha) * (1 - 1e-12)


@quickly
@given(chances, st.floats(0, 0.5))
def test_fewer_than_the_fewest_are_never_enough_and_that_many_can_be(
    alpha: float, least: float
) -> None:
    count = fewest(alpha, least)
    assert not passes(np.ones(count - 1), alpha, least)
    assert passes(np.ones(count), alpha, least)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, size: rng.normal(0, 0.3, size),
        lambda rng, size: np.where(rng.random(size) < 0.6, 0, rng.normal(0, 0.35, size)),
        lambda rng, size: np.where(rng.random(size) < 0.05, -0.76, 0.04),
        lambda rng, size: np.where(rng.random(size) < 0.05, 0.76, -0.04),
    ],
    ids=["normal", "mostly ties", "rare disasters", "rare wonders"],
)
@pytest.mark.parametrize("count", [20, 60])
def test_no_better_passes_seldom_enough(draw: Any, count: int) -> None:
    rng = np.random.default_rng(11)
    passed = sum(passes(np.clip(row, -1, 1), 0.05) for row in draw(rng, (4000, count)))
    assert passed / 4000 <= 0.05


def test_a_clear_gain_passes_and_says_how_clearly() -> None:
    assert passes(np.full(30, 0.4), 0.001)
    assert stake(np.full(30, 0.4), 0.001) == pytest.approx((1 + 0.95 * 0.4) ** 30)
    assert stake(np.array([]), 0.05) == 1.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_a_chance_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="found the chance"):
        stake(np.array([0.1]), alpha)


def test_a_gain_beyond_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found the gain 1\.5"):
        stake(np.array([0.1, -1.5]), 0.05)
