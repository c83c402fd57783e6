"""The interval: what it is, where it refuses, and how often it holds the truth."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from evals import bootstrap

Draw = Callable[[np.random.Generator], np.ndarray]


def test_it_equals_a_plain_implementation() -> None:
    candidate = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0]
    live = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0]
    customers = ["a", "a", "b", "c", "d", "d", "d", "e", "f", "g"]
    found = bootstrap.paired(candidate, live, customers, 0.9, samples=2500, seed=5)

    groups: dict[str, list[float]] = {}
    for a, b, customer in zip(candidate, live, customers, strict=True):
        groups.setdefault(customer, []).append(a - b)
    names = sorted(groups)
    rng = np.random.default_rng(5)
    means = []
    for _ in range(2500):
        drawn = [value for k in rng.integers(len(names), size=7) for value in groups[names[k]]]
        means.append(math.fsum(drawn) / len(drawn))
    t = -1.943180  # Student's t, 6 degrees of freedom, lower 5 %
    tail = 0.5 * math.erfc(-math.sqrt(7 / 6) * t / math.sqrt(2))  # the normal's
    low, high = np.quantile(means, [tail, 1 - tail])
    assert found.mean == pytest.approx(-0.8)
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)
    assert (found.confidence, found.samples) == (0.9, 2500)


@pytest.mark.parametrize(
    ("tail", "freedom", "t"),
    [(0.025, 5, -2.570582), (0.025, 19, -2.093024), (0.005, 7, -3.499483), (0.05, 39, -1.684875)],
)
def test_students_t_is_the_tables(tail: float, freedom: int, t: float) -> None:
    assert bootstrap._student_t(tail, freedom) == pytest.approx(t, abs=0.01)


def test_the_same_numbers_give_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=30).tolist(), rng.normal(size=30).tolist()
    assert bootstrap.paired(a, b) == bootstrap.paired(a, b)


def test_equal_scores_leave_no_doubt() -> None:
    found = bootstrap.paired([5.0] * 8, [3.0] * 8)
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)


def test_shifted_scores_shift_the_interval() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=25), rng.normal(size=25)
    here, there = (
        bootstrap.paired(a.tolist(), b.tolist()),
        bootstrap.paired((a + 7).tolist(), b.tolist()),
    )
    assert there.low == pytest.approx(here.low + 7)
    assert there.high == pytest.approx(here.high + 7)


@pytest.mark.parametrize(
    ("candidate", "live", "clusters", "sentence"),
    [
        ([], [], None, "found 0 clusters"),
        ([1.0], [2.0], None, "found 1 clusters, expected at least 2"),
        ([1.0, 2.0], [2.0], None, "found 2 candidate and 1 live scores"),
        ([1.0, 2.0], [2.0, 1.0], ["a"], "and 1 clusters"),
        ([1.0, 2.0], [2.0, 1.0], ["a", "a"], "found 1 clusters"),
        ([1.0, math.nan], [2.0, 1.0], None, "found the score nan"),
        ([1.0, 2.0], [2.0, -math.inf], None, "found the score -inf"),
    ],
)
def test_it_refuses_what_it_cannot_conclude_from(
    candidate: list[float], live: list[float], clusters: list[str] | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        bootstrap.paired(candidate, live, clusters)


def test_it_refuses_a_senseless_confidence() -> None:
    with pytest.raises(ValueError, match="found the confidence 95"):
        bootstrap.paired([1.0, 2.0], [2.0, 1.0], confidence=95)


def test_fewest_clusters_for_a_confidence() -> None:
    assert [bootstrap.fewest_clusters(c) for c in (0.9, 0.95, 0.99)] == [5, 6, 8]


def _coverage(draw: Draw, clusters: list[str] | None = None, trials: int = 200) -> float:
    """How often a 95 % interval holds the true mean, which is zero."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(trials):
        values = draw(rng)
        found = bootstrap.paired(values.tolist(), [0.0] * len(values), clusters, samples=1000)
        held += found.low <= 0 <= found.high
    return held / trials


@pytest.mark.parametrize(
    ("draw", "least"),
    [
        (lambda rng: rng.normal(0, 20, 20), 0.92),
        (lambda rng: np.where(rng.random(40) < 0.6, 0.0, rng.normal(0, 20, 40)), 0.91),
        (lambda rng: rng.exponential(10, 40) - 10, 0.90),
        (lambda rng: 10 - rng.exponential(10, 40), 0.90),
    ],
    ids=["normal", "mostly ties", "skewed up", "skewed down"],
)
def test_coverage(draw: Draw, least: float) -> None:
    assert least <= _coverage(draw) <= 0.99


def test_tickets_of_one_customer_are_not_independent() -> None:
    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.repeat(rng.normal(0, 10, 24), 3) + rng.normal(0, 2, 72)

    customers = [str(number // 3) for number in range(72)]
    assert _coverage(draw, customers) >= 0.91
    assert _coverage(draw) < 0.85, "ignoring the customers would promise far too much"
