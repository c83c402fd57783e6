"""A canary on simulated traffic: how often is a worse candidate rolled back, and how often an equal one?

    .venv/bin/python -m benchmarks.canary [--runs 1000] [--processes 2]

Every run is one trial on traffic of benchmarks/traffic.py, judged by `service.verdict.Comparison`, which
the service calls, after every single conversation. A worse candidate multiplies the rates of thumbs
down, handovers and flags; the factors are tried from the largest down, for as long as 95 % are caught
within 3,000 conversations. Writes benchmarks/results/DATE-canary.json and .svg. The same seeds give
the same numbers on any machine.
"""

import argparse
import json
import math
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import Pool
from multiprocessing.pool import Pool as Workers
from pathlib import Path

from benchmarks.canary_plot import svg
from benchmarks.traffic import MOST, RATES, RETURNING, RULES, Effect, Setting, rolled_back_after
from service.bets import BETS
from service.verdict import Rule

HORIZONS = (500, 1000, 3000)
SHARES = (0.1, 0.2, 0.5)
FACTORS = (8, 6, 5, 4, 3, 2.5, 2.25, 2, 1.75, 1.5, 1.25)
ERRORS = (0.5, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.04, 0.03)
SLOWS = (8, 6, 5, 4, 3.5, 3, 2.5, 2)
ANSWERS = ("thumbs_down", "handover", "flag")
NO_MARGINS = {name: Rule(margin=0.0) for name in RULES}
EQUAL = Effect("equal")
AT_MARGIN = Effect(
    "worse by exactly the margin, in all", {}, {n: r.margin for n, r in RULES.items()}
)
DEFINITION = (
    "Truly worse: each conversation's chances of a thumbs down, a handover and a flag are the control's "
    "times the factor stated (errors and slowness equal). Rolled back: the verdict was 'worse' after "
    "any of the conversations begun within the horizon, both arms and returning customers counted. "
    "Equal: same chances; everything else (hours, tempers, returns, delays) as in the worse ones."
)


def wilson(found: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = statistics.NormalDist().inv_cdf(0.975)
    share, extra = found / of, z * z / of
    middle = (share + extra / 2) / (1 + extra)
    reach = z / (1 + extra) * math.sqrt(share * (1 - share) / of + extra / (4 * of))
    return round(max(0.0, middle - reach), 4), round(min(1.0, middle + reach), 4)


def measured(setting: Setting, runs: int, workers: Workers, name: str) -> dict[str, object]:
    """Many trials of one kind: the share rolled back within each horizon, and the curve."""
    started = time.monotonic()
    ends = workers.map(partial(rolled_back_after, setting), range(runs), chunksize=5)
    known = sorted(end for end in ends if end is not None)
    within = {}
    for horizon in HORIZONS:
        if horizon <= setting.conversations:
            count = sum(end <= horizon for end in known)
            low, high = wilson(count, runs)
            within[str(horizon)] = {"share": count / runs, "low": low, "high": high}
    steps = range(0, setting.conversations + 1, 50)
    row: dict[str, object] = {
        "candidate": name,
        "share_of_traffic": setting.share,
        "runs": runs,
        "rolled_back_within": within,
        "median_conversations": statistics.median(known) if len(known) > runs / 2 else None,
        "curve": [[step, sum(end <= step for end in known) / runs] for step in steps],
    }
    shares = "  ".join(f"{h}: {100 * value['share']:5.1f} %" for h, value in within.items())
    took = time.monotonic() - started
    print(f"{name:44} {setting.share:4.0%}  {shares}  ({took:.0f} s)", flush=True)
    return row


def alarms(runs: int, workers: Workers) -> Iterator[dict[str, object]]:
    """Candidates that should stay: equal ones, and ones exactly at the margin (the hardest)."""
    for share in SHARES:
        yield measured(Setting(share, EQUAL, HORIZONS[-1]), runs, workers, EQUAL.name)
    middle, fewer = SHARES[1], runs // 2
    steady = Setting(middle, AT_MARGIN, HORIZONS[-1], lively=False)
    yield measured(steady, fewer, workers, AT_MARGIN.name)
    bare = Setting(middle, EQUAL, HORIZONS[-1], NO_MARGINS)
    yield measured(bare, fewer, workers, "equal, all margins 0")
    careless = replace(bare, by_customer=False)
    yield measured(careless, fewer, workers, "the same, counting every conversation of a customer")


def falling(
    share: float, effects: list[Effect], runs: int, workers: Workers
) -> Iterator[dict[str, object]]:
    """From the largest effect down to the first that is no longer caught in 95 % of the runs."""
    for effect in effects:
        row = measured(Setting(share, effect, HORIZONS[-1]), runs, workers, effect.name)
        yield row
        if _caught(row, HORIZONS[-1]) < 0.95:
            return


def _caught(row: dict[str, object], horizon: int, what: str = "share") -> float:
    within = row["rolled_back_within"]
    assert isinstance(within, dict)
    return float(within[str(horizon)][what])


def smallest(rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """By share and horizon, the smallest effect caught in 95 %, sampling error taken off: the lower
    end of the interval reaches it.
    """
    found: dict[str, dict[str, object]] = {}
    for row in rows:  # from the largest effect down
        for horizon in HORIZONS:
            if _caught(row, horizon, "low") >= 0.95:
                share = f"{row['share_of_traffic']:.0%}"
                found.setdefault(share, {})[str(horizon)] = row["candidate"]
    return found


def families() -> dict[str, list[Effect]]:
    """Ways to be worse."""
    return {
        "answers": [
            Effect(f"complaints x {f:g}", dict.fromkeys(ANSWERS, float(f))) for f in FACTORS
        ],
        "errors": [Effect(f"errors {e:.0%}", {"error": 0.0}, {"error": e}) for e in ERRORS],
        "slow": [Effect(f"slow answers x {f:g}", {"slow": float(f)}) for f in SLOWS],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    words = parser.parse_args()
    with Pool(words.processes) as workers:
        stay = list(alarms(words.runs, workers))
        worse: dict[str, list[dict[str, object]]] = {}
        for family, effects in families().items():
            worse[family] = []
            for share in SHARES:
                runs = words.runs if family == "answers" else words.runs // 5
                worse[family] += falling(share, effects, runs, workers)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    report = {
        "date": today,
        "command": f".venv/bin/python -m benchmarks.canary --runs {words.runs}",
        "machine": f"{platform.system()} {platform.machine()}, simulated: the machine does not matter",
        "python": platform.python_version(),
        "definition": DEFINITION,
        "alpha": 0.05,
        "bets": BETS,
        "control_rates": RATES,
        "most_of_a_rate": MOST,
        "margins": {name: rule.margin for name, rule in RULES.items()},
        "weights": "equal",
        "returning_customers": RETURNING,
        "smallest_effect_of_which_surely_95_percent_are_caught": {
            family: smallest(rows) for family, rows in worse.items()
        },
        "worse": worse,
        "to_stay": stay,
    }
    path = words.results / f"{today}-canary.json"
    path.write_text(_json(report) + "\n")
    path.with_suffix(".svg").write_text(svg(worse["answers"], stay))
    print(f"Written to {path} and .svg")


def _json(value: object, depth: int = 0) -> str:
    """One row of results per line."""
    inner, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict) and "curve" not in value and depth < 3:
        entries = [f"{json.dumps(key)}: {_json(item, depth + 1)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(entries) + end + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return (
            "[" + inner + ("," + inner).join(_json(item, depth + 1) for item in value) + end + "]"
        )
    return json.dumps(value)


if __name__ == "__main__":
    main()
