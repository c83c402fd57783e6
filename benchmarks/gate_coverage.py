"""How often does a 95 % interval hold the true gain? On simulated exams of several shapes and sizes.

    .venv/bin/python -m benchmarks.gate_coverage [--trials 2000]

The interval is `evals.bootstrap.interval`, as the gate calls it, on one candidate's gains from
benchmarks/candidates.py; the true mean is 0. Beside it Student's t and the plain percentile interval of
scipy.stats.bootstrap's method, on the same draws. Writes benchmarks/results/DATE-gate-coverage.json.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.canary import wilson
from benchmarks.candidates import KINDS, Kind, Tickets
from evals import bootstrap

SIZES = (20, 40, 80, 160)
SAMPLES = 1000
OURS, T, PLAIN = "ours", "Student's t", "plain percentile"


def covered(kind: Kind, customers: int, trials: int) -> dict[str, object]:
    """The share of intervals that hold zero, by method."""
    held = dict.fromkeys((OURS, T, PLAIN), 0)
    for seed in range(trials):
        tickets = Tickets(kind, np.random.default_rng(seed), customers)
        drawn = tickets.candidate(0.0)
        names = [str(one) for one in tickets.cluster]
        gains = bootstrap.gains(drawn.tolist(), [0.0] * len(drawn), names)
        for method, (low, high) in _intervals(gains, seed).items():
            held[method] += low <= 1e-9 and high >= -1e-9
    return {
        method: {"share": count / trials, "interval": wilson(count, trials)}
        for method, count in held.items()
    }


def _intervals(gains: bootstrap.Gains, seed: int) -> dict[str, tuple[float, float]]:
    ours = bootstrap.interval(gains, samples=SAMPLES, seed=seed)
    error = stats.sem(gains)
    reach = stats.t.ppf(0.975, len(gains) - 1) * error
    rng = np.random.default_rng(seed)
    means = gains[rng.integers(len(gains), size=(SAMPLES, len(gains)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float(gains.mean())
    return {OURS: (ours.low, ours.high), T: (mean - reach, mean + reach), PLAIN: (low, high)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    rows = []
    for kind in KINDS:
        for customers in SIZES:
            rows.append(
                {"kind": kind.name, "customers": customers, **covered(kind, customers, trials)}
            )
            print(json.dumps(rows[-1]), flush=True)
    out = {"what": "benchmarks.gate_coverage", "nominal": 0.95, "trials": trials, "rows": rows}
    to = Path("benchmarks/results") / f"{datetime.now(UTC):%Y-%m-%d}-gate-coverage.json"
    to.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
