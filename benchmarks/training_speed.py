"""Training speed: Understudy's SFT and DPO against TRL as it is, and LLaMA-Factory, on the same rows.

    python -m benchmarks.training_speed [--rows 80] [--rounds 3]

STAR's corrections (the first so many), the embedded model, rank 16 on all linear layers, one epoch, batches
of 8, the same token rows, seed and learning rate. Taking turns, each run in a process of its own, on all
cores: *ours* (a batch as a tree, talks side by side, the head at labelled positions only); *ours in TRL's
order*, whose losses must equal TRL's step by step; *TRL* 1.16 with its defaults, by which it computes
activations twice to save memory; and *TRL, activations kept*, without that. Counted are the tokens of the
rows (prompt and answer; of a pair both), without padding, per second of the training loop.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks import star
from benchmarks.keeping import keep
from feedback.settings import feedback_settings
from service.engine.embedded_model import base_model
from service.settings import EMBEDDED_MODEL
from training.supervise import ENVIRONMENT

ROOT = Path(__file__).parents[1]
ARMS = ("ours", "ours in TRL's order", "TRL, activations kept", "TRL")
STAGES = ("sft", "dpo")
BATCH, RATE, SEED = 8, 1e-4, 17


def rows(count: int) -> list[dict[str, Any]]:
    """STAR's corrections as an export has them: whole talks, the sentence sent, and the draft."""
    found = []
    for row in star.rows(star.TRAIN)[:count]:
        talk = [{"role": turn["role"], "content": turn["content"]} for turn in row["context"]]
        answers = {
            "completion": [{"role": "assistant", "content": row["final"]}],
            "chosen": [{"role": "assistant", "content": row["final"]}],
            "rejected": [{"role": "assistant", "content": row["draft"]}],
        }
        found.append(
            {
                "split": "train",
                "prompt": [{"role": "system", "content": star.PROMPT}, *talk],
                **answers,
            }
        )
    return found


def write(folder: Path, count: int) -> dict[str, Path]:
    """The rows of each stage as its trainer reads them."""
    kept = {
        "sft": ("split", "prompt", "completion"),
        "dpo": ("split", "prompt", "chosen", "rejected"),
    }
    files = {}
    for stage, names in kept.items():
        files[stage] = folder / f"{stage}.jsonl"
        lines = [json.dumps({name: row[name] for name in names}) for row in rows(count)]
        files[stage].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def run(arm: str, stage: str, dataset: Path, model: str) -> dict[str, Any]:
    """One arm in a process of its own: seconds, tokens, losses, memory."""
    words = [sys.executable, "-m", "benchmarks.training_speed", "--arm", arm, "--stage", stage]
    done = subprocess.run(
        [*words, "--dataset", str(dataset), "--model", model],
        env={**ENVIRONMENT, **os.environ}, cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def arm_here(arm: str, stage: str, dataset: Path, model: str) -> dict[str, Any]:
    """The measurement itself; this process imports torch."""
    from benchmarks import training_arms

    with tempfile.TemporaryDirectory() as folder:
        trainer = training_arms.BUILD[arm](stage, dataset, model, Path(folder))
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        tokens = training_arms.real_tokens(stage, dataset, model)
    return {
        "seconds": round(seconds, 2), "tokens": tokens, "tokens_per_second": round(tokens / seconds, 1),
        "losses": losses, "memory_gib": round(training_arms.memory_gib(), 2),
    }  # fmt: skip


def measure(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Every arm in turn, turned round every second time."""
    files = write(folder, count)
    model = base_model(EMBEDDED_MODEL, feedback_settings().models_dir)
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for stage in STAGES:
            for arm in ARMS if number % 2 == 0 else ARMS[::-1]:
                one = run(arm, stage, files[stage], model)
                found[stage][arm].append(one)
                print(
                    f"round {number + 1} {stage} {arm:22} {one['tokens_per_second']:6.1f} tokens/s",
                    flush=True,
                )
    return {stage: summary(arms) for stage, arms in found.items()}


def summary(arms: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, how many times TRL, and how far the losses are apart where the order is the same."""
    speed = {
        arm: statistics.median(one["tokens_per_second"] for one in runs)
        for arm, runs in arms.items()
    }
    same = zip(arms["ours in TRL's order"][-1]["losses"], arms["TRL"][-1]["losses"], strict=True)
    return {
        "tokens_per_second": speed,
        "times_trl": {arm: round(value / speed["TRL"], 2) for arm, value in speed.items()},
        "largest_loss_difference_in_trls_order": max(abs(ours - theirs) for ours, theirs in same),
        "steps": len(arms["TRL"][-1]["losses"]),
        "memory_gib": {arm: max(one["memory_gib"] for one in runs) for arm, runs in arms.items()},
        "every": {arm: [one["tokens_per_second"] for one in runs] for arm, runs in arms.items()},
    }


def main() -> None:
    """Measure, print, and keep the figures; or be one arm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS)
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--model")
    asked = parser.parse_args()
    if asked.arm:
        print(json.dumps(arm_here(asked.arm, asked.stage, asked.dataset, asked.model)))
        return
    star.must_be_here()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), asked.rows, asked.rounds)
    out = {"what": "benchmarks.training_speed", "rows": asked.rows, "batch": BATCH, **found}
    keep("training-speed", out)
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
