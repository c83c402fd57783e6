"""The interval: what it is, where it refuses, and how often it holds the truth."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from evals import bootstrap

Draw = Callable[[np.random.Generator], np.ndarray]


def test_it_equals_scipys_percentile_bootstrap() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(3, 10, 30)
    tail = bootstrap.expanded_tail(0.05, 30)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=50_000, confidence_level=1 - 2 * tail,
        method="percentile", rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    found = bootstrap.interval(values, 0.9, samples=50_000)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(reference.low, abs=0.06)
    assert found.high == pytest.approx(reference.high, abs=0.06)
    assert (found.confidence, found.samples) == (0.9, 50_000)


def test_a_customer_counts_once_with_the_mean_of_their_tickets() -> None:
    candidate = [3.0, 1.0, 4.0, 1.0, 5.0]
    live = [2.0, 7.0, 1.0, 8.0, 2.0]
    assert bootstrap.gains(candidate, live, ["b", "a", "a", "c", "b"]).tolist() == [-1.5, 2.0, -7.0]


@pytest.mark.parametrize(("tail", "clusters"), [(0.025, 6), (0.025, 20), (0.05, 40)])
def test_the_expansion_is_students_t_and_hesterbergs_factor(tail: float, clusters: int) -> None:
    out = stats.t.ppf(tail, clusters - 1) * math.sqrt(clusters / (clusters - 1))
    assert bootstrap.expanded_tail(tail, clusters) == pytest.approx(stats.norm.cdf(out))


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
