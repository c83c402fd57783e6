"""Simulated candidates: what they gain on which ticket, for benchmarks/gate_years.py and gate_coverage.py.

Gains are candidate less live in chrF points. Half of their variance is the ticket's own and the same for
every candidate of a year (live was lucky there, or not): so the candidates of a year are not independent, as
they all are held against one live adapter on one set of tickets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """One way in which gains are spread; its mean is 0."""

    name: str
    live: float
    """Live's score on every ticket: so that no gain is cut off by the range."""
    draw: Callable[[np.random.Generator, int], Array]
    clustered: bool = False
    """Whether a customer has one to six tickets, which resemble each other."""


def _normal(rng: np.random.Generator, count: int) -> Array:
    return rng.normal(0, 20, count).clip(-50, 50)


def _ties(rng: np.random.Generator, count: int) -> Array:
    return np.where(rng.random(count) < 0.6, 0.0, _normal(rng, count) * 1.25)


def _disasters(rng: np.random.Generator, count: int) -> Array:
    return np.where(rng.random(count) < 0.05, -76.0, 4.0)


def _wonders(rng: np.random.Generator, count: int) -> Array:
    return np.where(rng.random(count) < 0.05, 76.0, -4.0)


def _skewed(rng: np.random.Generator, count: int) -> Array:
    """Triangular: mostly a little better, sometimes much worse."""
    return rng.triangular(-40, 20, 20, count)


KINDS = (
    Kind("normal", 50, _normal),
    Kind("60 % ties", 50, _ties),
    Kind("skewed down", 60, _skewed),
    Kind("rare disasters", 80, _disasters),
    Kind("rare wonders", 20, _wonders),
    Kind("clustered", 50, _normal, clustered=True),
)


@dataclass
class Tickets:
    """A year's held-out tickets and whose they are. New ones come; the old ones stay."""

    kind: Kind
    rng: np.random.Generator
    customers: int

    def __post_init__(self) -> None:
        sizes = self.rng.integers(1, 7, self.customers) if self.kind.clustered else 1
        self.cluster = np.repeat(np.arange(self.customers), sizes)
        self.own = self._drawn()

    def grow(self, by: int) -> None:
        """So many new customers with a ticket each."""
        first = self.cluster.max() + 1
        self.cluster = np.concatenate([self.cluster, np.arange(first, first + by)])
        self.own = np.concatenate([self.own, self.kind.draw(self.rng, by)])

    def candidate(self, mean: float) -> Array:
        """The gains of one more candidate whose true mean gain this is."""
        # A coin per customer, not a sum: whichever it takes, the spread stays that of the kind.
        anew = self.rng.random(self.cluster.max() + 1) < 0.5
        gains = np.where(anew[self.cluster], self._drawn(), self.own) + mean
        return gains.clip(-self.kind.live, 100 - self.kind.live)

    def _drawn(self) -> Array:
        if not self.kind.clustered:
            return self.kind.draw(self.rng, len(self.cluster))
        theirs = self.kind.draw(self.rng, self.cluster.max() + 1)[self.cluster]
        return 0.8 * theirs + 0.2 * self.kind.draw(self.rng, len(self.cluster))
