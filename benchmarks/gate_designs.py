"""Why the gate bets as it does: four ways to be sure of a gain, on the same simulated exams.

    .venv/bin/python -m benchmarks.gate_designs [--trials 4000]

At the chance one look of 52 is given (0.05 / 52): how often a true gain is found, and how often a candidate
that is no better passes. Aimed: evals/evidence.py. Mixture: the mean of four fixed fractions. Adapting: STaR
bets (Voracek & Orabona, 2025), whose order matters. Student's t keeps no promise where scores are skewed.
Writes benchmarks/results/DATE-gate-designs.json. The same seeds give the same numbers.
"""

import argparse
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.candidates import Array
from evals.evidence import MOST, fraction

ALPHA = 0.05 / 52
NEEDED = math.log(1 / ALPHA)
CUSTOMERS = (40, 80, 160)
GAINS = (0.0, 0.05, 0.1, 0.15, 0.2)
Design = Callable[[Array], Array]
"""Trials x customers, gains as shares of the range, to who passes."""


def aimed(gains: Array) -> Array:
    grown: Array = np.log1p(fraction(gains.shape[1], ALPHA) * gains).sum(axis=1)
    return grown >= NEEDED


def mixture(gains: Array) -> Array:
    stakes = [np.exp(np.log1p(part * gains).sum(axis=1)) for part in (0.25, 0.5, 0.75, MOST)]
    return np.mean(stakes, axis=0) >= 1 / ALPHA


def adapting(gains: Array) -> Array:
    """Each bet is aimed anew at what is still lacking, by the spread seen so far."""
    trials, customers = gains.shape
    wealth, squares = np.zeros(trials), np.zeros(trials)
    for number in range(customers):
        spread = (squares + 0.36) / (number + 4)
        lacking = np.maximum(NEEDED - wealth, 0)
        part = np.minimum(np.sqrt(2 * lacking / ((customers - number) * spread)), 0.98)
        wealth += np.where(wealth < NEEDED, np.log1p(part * gains[:, number]), 0)
        squares += gains[:, number] ** 2
    return wealth >= NEEDED


def students_t(gains: Array) -> Array:
    error = gains.std(axis=1, ddof=1) / math.sqrt(gains.shape[1])
    t = gains.mean(axis=1) / np.maximum(error, 1e-12)
    return stats.t.sf(t, gains.shape[1] - 1) <= ALPHA


DESIGNS: dict[str, Design] = {
    "aimed": aimed, "mixture": mixture, "adapting": adapting, "Student's t": students_t,
}  # fmt: skip


def spread_out(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return rng.normal(0, 0.3, size)


def disasters(rng: np.random.Generator, size: tuple[int, int]) -> Array:
    return np.where(rng.random(size) < 0.05, -0.76, 0.04)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    rows = []
    for name, draw in (("normal, spread 0.3", spread_out), ("rare disasters", disasters)):
        for customers in CUSTOMERS:
            for gain in GAINS:
                rng = np.random.default_rng(7)
                gains = np.clip(draw(rng, (trials, customers)) + gain, -1, 1)
                passed = {
                    design: round(float(np.mean(passes(gains))), 4)
                    for design, passes in DESIGNS.items()
                }
                rows.append({"gains": name, "customers": customers, "true gain": gain, **passed})
                print(json.dumps(rows[-1]), flush=True)
    out = {"what": "benchmarks.gate_designs", "alpha": ALPHA, "trials": trials, "rows": rows}
    to = Path("benchmarks/results") / f"{datetime.now(UTC):%Y-%m-%d}-gate-designs.json"
    to.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
