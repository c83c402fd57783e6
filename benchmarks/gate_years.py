"""Years of candidates through the real gate: how often does a worse one ever pass, and is a better one found?

    .venv/bin/python -m benchmarks.gate_years [--years 2000] [--processes 2]

A year is 52 candidates that are no better than live (their true mean gain is 0) or worse, examined one after
another on one set of tickets that grows by one customer a week: `evals.gate.decide`, given what
`feedback.spending` says, on 60 customers' tickets at first. No guardrail, no topic and no veto is in the way,
so what is counted is the worst case. Beside it, on the same candidates: a t-test at 5 %, each look as if it
were the only one, and a t-test at the look's own part.

Power: an earlier candidate's exam makes the promise (`evals.power`), a later candidate gains just that.
Writes benchmarks/results/DATE-gate-years.json and .svg. The same seeds give the same numbers.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.canary import wilson
from benchmarks.candidates import KINDS, Array, Kind, Tickets
from benchmarks.gate_plot import years_svg
from evals import bootstrap
from evals.gate import decide
from evals.pairs import TicketResult
from evals.power import power
from feedback.assistants import Gate
from feedback.measures import METRICS
from feedback.spending import part

WEEKS, CUSTOMERS, PROMISE = 52, 60, 0.05
GATE = Gate(guardrails={})
PER_LOOK = "a t-test at 5 %, each look for itself"
PER_PART = "a t-test at the look's part"
OURS = "Understudy's gate"
WORSE = (0.0, -1.0, -3.0)
"""True mean gains of the candidates of a year, in turn: most are no better, some are worse."""


def results(
    gains: Array, live: float, cluster: Array
) -> tuple[list[TicketResult], list[TicketResult]]:
    """Both sides as the gate sees them."""
    sides = ([live + gain for gain in gains], [live] * len(gains))
    ours, theirs = (
        [
            TicketResult(
                f"t{number:04}", None, f"c{who}", "An answer.", None,
                dict.fromkeys(METRICS, 0.0) | {"chrf": float(score)},
                frozenset(),
            )
            for number, (score, who) in enumerate(zip(side, cluster, strict=True))
        ]
        for side in sides
    )  # fmt: skip
    return ours, theirs


def year(kind: Kind, means: tuple[float, ...], seed: int) -> dict[str, bool]:
    """Whether any of a year's candidates passed, by method."""
    rng = np.random.default_rng(seed)
    tickets = Tickets(kind, rng, CUSTOMERS)
    passed = dict.fromkeys((OURS, PER_LOOK, PER_PART), False)
    for week in range(WEEKS):
        gains = tickets.candidate(means[week % len(means)])
        alpha = part(PROMISE, WEEKS, week)
        if not passed[OURS]:
            ours, theirs = results(gains, kind.live, tickets.cluster)
            passed[OURS] = decide(GATE, ours, theirs, alpha, 1000).promote
        p = _t_test(gains, tickets.cluster)
        passed[PER_LOOK] |= p <= PROMISE
        passed[PER_PART] |= p <= alpha
        tickets.grow(1)
    return passed


def found(kind: Kind, seed: int, customers: int) -> tuple[float | None, bool]:
    """The gain that an earlier exam promised to find, and whether it was."""
    rng = np.random.default_rng(seed)
    tickets = Tickets(kind, rng, customers)
    earlier = bootstrap.gains(
        (tickets.candidate(0.0) / 100).tolist(), [0.0] * len(tickets.cluster), _names(tickets)
    )
    alpha = part(PROMISE, WEEKS, 0)
    promised = power(earlier, alpha, targets=()).smallest_gain
    if promised is None:
        return None, False
    later = Tickets(kind, rng, customers)
    ours, theirs = results(later.candidate(100 * promised), kind.live, later.cluster)
    return 100 * promised, decide(GATE, ours, theirs, alpha, 1000).promote


def _names(tickets: Tickets) -> list[str]:
    return [str(one) for one in tickets.cluster]


def _t_test(gains: Array, cluster: Array) -> float:
    means = bootstrap.gains(gains.tolist(), [0.0] * len(gains), [str(one) for one in cluster])
    if means.std() < 1e-12:
        return 1.0
    return float(stats.ttest_1samp(means, 0.0, alternative="greater").pvalue)


def measured(kind: Kind, years: int, powers: int, over: Callable[..., Any]) -> dict[str, object]:
    """All figures of one kind."""
    row: dict[str, object] = {"kind": kind.name}
    for name, means, of in (
        ("no better", (0.0,), years),
        ("no better or worse", WORSE, years // 4),
    ):
        each = over(partial(year, kind, means), range(of), chunksize=20)
        passed = {method: sum(one[method] for one in each) for method in each[0]}
        row[name] = {
            method: {"share": count / of, "interval": wilson(count, of), "years": of}
            for method, count in passed.items()
        }
    sums = {}
    for customers in (60, 150):
        tried = over(partial(found, kind, customers=customers), range(powers), chunksize=10)
        gains = [gain for gain, _ in tried if gain is not None]
        hits = sum(hit for _, hit in tried)
        sums[f"{customers} customers"] = {
            "promised gain, chrF, median": round(float(np.median(gains)), 1) if gains else None,
            "found": hits / powers, "interval": wilson(hits, powers),
        }  # fmt: skip
    return {**row, "power": sums}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--years", type=int, default=2000)
    parser.add_argument("--powers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    with Pool(asked.processes) as pool:
        rows = []
        for kind in KINDS:
            rows.append(measured(kind, asked.years, asked.powers, pool.map))
            print(json.dumps(rows[-1]), flush=True)
    out = {
        "what": "benchmarks.gate_years", "promise": PROMISE, "candidates a year": WEEKS,
        "customers at first": CUSTOMERS, "years": asked.years, "kinds": rows,
    }  # fmt: skip
    to = Path("benchmarks/results") / f"{datetime.now(UTC):%Y-%m-%d}-gate-years"
    to.with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    to.with_suffix(".svg").write_text(years_svg(out), encoding="utf-8")


if __name__ == "__main__":
    main()
