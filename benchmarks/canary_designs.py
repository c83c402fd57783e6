"""Three ways to bet on one signal of a canary: why service/sequential.py bets as it does.

    .venv/bin/python -m benchmarks.canary_designs

The same made-up conversations are judged by (1) fixed bets on weighted outcomes, as the service does;
(2) one bet that learns its size (aGRAPA, Waudby-Smith & Ramdas 2024) on the same weighted outcomes;
(3) the fixed bets on blocks, each closed as soon as it holds both arms: mean with the candidate less mean
with the control. All need a wealth of 100, as one of five signals does. Reports the share found worse.
"""

import json
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from service.bets import BETS
from service.sequential import Signal

RUNS = 1000
HORIZONS = (500, 1000, 3000)
NEEDED = 100.0
CASES = (
    # share, control, candidate, margin
    (0.1, 0.12, 0.12, 0.0), (0.1, 0.08, 0.16, 0.02), (0.1, 0.12, 0.24, 0.02), (0.1, 0.12, 0.36, 0.02),
    (0.2, 0.12, 0.12, 0.0), (0.2, 0.08, 0.16, 0.02), (0.2, 0.12, 0.24, 0.02), (0.2, 0.12, 0.36, 0.02),
    (0.5, 0.12, 0.12, 0.0), (0.5, 0.08, 0.16, 0.02), (0.5, 0.12, 0.24, 0.02), (0.5, 0.12, 0.36, 0.02),
)  # fmt: skip

Trial = list[tuple[bool, bool]]


def trial(share: float, control: float, candidate: float, seed: int) -> Trial:
    dice = np.random.default_rng(seed)
    arms = dice.random(HORIZONS[-1]) < share
    bad = dice.random(HORIZONS[-1]) < np.where(arms, candidate, control)
    return list(zip(arms.tolist(), bad.tolist(), strict=True))


def weighted(share: float, margin: float, some: Trial) -> Iterator[float]:
    """The wealth after each conversation, as the service reckons it."""
    signal = Signal(margin)
    for candidate, bad in some:
        signal.step(share, candidate, bad)
        yield signal.wealth("worse")


def learning(share: float, margin: float, some: Trial) -> Iterator[float]:
    """The bet is the mean so far over the mean square so far, at most 3/4 of what cannot ruin."""
    wealth, total, squares, bads = 1.0, 0.0, 1.0, 1.0
    for number, (candidate, bad) in enumerate(some):
        centre = bads / (number + 10)
        value = (1 / share if candidate else -1 / (1 - share)) * (bad - centre) - margin
        most = max(centre / share, (1 - centre) / (1 - share)) + margin
        bet = (total / (number + 1)) / (squares / (number + 1))
        wealth *= 1 + min(max(bet, 0.0), 0.75 / most) * value
        total, squares, bads = total + value, squares + value * value, bads + bad
        yield wealth


def blocks(share: float, margin: float, some: Trial) -> Iterator[float]:
    """Each block's difference of means is one step; a conversation inside a block changes nothing."""
    stakes, wealth = [1.0] * len(BETS), 1.0
    counts, bads = [0, 0], [0, 0]
    for candidate, bad in some:
        counts[candidate] += 1
        bads[candidate] += bad
        if all(counts):
            won = (bads[1] / counts[1] - bads[0] / counts[0] - margin) / (1 + margin)
            stakes = [stake * (1 + bet * won) for stake, bet in zip(stakes, BETS, strict=True)]
            wealth = sum(stakes) / len(BETS)
            counts, bads = [0, 0], [0, 0]
        yield wealth


WAYS: dict[str, Callable[[float, float, Trial], Iterator[float]]] = {
    "fixed bets, weighted": weighted,
    "learning bets, weighted": learning,
    "fixed bets, blocks": blocks,
}


def found_after(wealths: Iterator[float]) -> int:
    return next((number for number, wealth in enumerate(wealths, 1) if wealth >= NEEDED), 10**9)


def main() -> None:
    rows = []
    for share, control, candidate, margin in CASES:
        trials = [trial(share, control, candidate, seed) for seed in range(RUNS)]
        row: dict[str, object] = {
            "share": share, "control": control, "candidate": candidate, "margin": margin,
        }  # fmt: skip
        for name, way in WAYS.items():
            ends = [found_after(wealths) for wealths in map(partial(way, share, margin), trials)]
            row[name] = {str(h): sum(end <= h for end in ends) / RUNS for h in HORIZONS}
        rows.append(row)
        print(json.dumps(row), flush=True)
    report = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": ".venv/bin/python -m benchmarks.canary_designs",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "runs": RUNS,
        "needed": NEEDED,
    }
    head = json.dumps(report)[:-1]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    path = Path("benchmarks/results") / f"{report['date']}-canary-designs.json"
    path.write_text(f'{head},\n "cases": [\n  {lines}\n ]}}\n')
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
