"""A trainer killed without warning goes on as if nothing had been.

    python -m benchmarks.killed_training [--kills 10]

SFT and, from its adapter, DPO on STAR's shortest corrections, checkpoints every five steps, each trained once
undisturbed. Then, in turn, each anew and killed with SIGKILL at a moment drawn by chance, mid-step or
mid-save; its supervisor starts it again. Compared are the losses of every logged step and the bytes of the
adapter's weights.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import star
from benchmarks.keeping import keep
from benchmarks.learning import stage_rows
from feedback.settings import feedback_settings
from service.engine.embedded_model import base_model
from service.settings import EMBEDDED_MODEL
from training.job import ADAPTER, MODULES, job_for, write_job
from training.progress import Progress
from training.settings import StageName, TrainingSettings
from training.supervise import supervise

RECIPE = TrainingSettings(
    checkpoint_steps=5, sft_epochs=2, dpo_epochs=2, probe_prompts=1, probe_tokens=4
)


def corrections(count: int) -> list[dict[str, Any]]:
    """The shortest, so that many runs fit in minutes."""
    return sorted(star.rows(star.TRAIN), key=lambda row: len(json.dumps(row)))[:count]


class Runs:
    """One stage's rows, and runs on them."""

    def __init__(self, stage: StageName, folder: Path, model: str, start: Path | None) -> None:
        self.stage, self.folder = stage, folder
        dataset = folder / f"{stage}.jsonl"
        lines = [json.dumps(row) for row in stage_rows(stage, corrections(48))]
        dataset.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.job = job_for(stage, RECIPE, base_model=model, dataset=dataset, start_adapter=start)
        started = time.monotonic()
        self.losses, self.weights, _ = self.run(None)
        self.seconds = time.monotonic() - started

    def run(self, kill_after: float | None) -> tuple[list[Any], str, int | None]:
        """Losses by step, the weights' hash, and the step at which it was killed."""
        name = "undisturbed" if kill_after is None else f"killed-{kill_after:.3f}"
        folder = self.folder / f"{self.stage}-{name}"
        write_job(folder, self.job)
        started, killed = time.monotonic(), []

        def kill_once(news: Progress) -> None:
            late = kill_after is not None and time.monotonic() - started > kill_after
            if late and not killed:
                os.kill(news.pid, signal.SIGKILL)
                killed.append(news.step)

        told = supervise(
            folder, MODULES[self.stage], kill_once, lambda: False, 3600, 2, poll_seconds=0.05
        )
        losses = [[line["step"], line["loss"]] for line in told["log_history"] if "loss" in line]
        weights = (folder / ADAPTER / "adapter_model.safetensors").read_bytes()
        return losses, hashlib.sha256(weights).hexdigest(), killed[0] if killed else None


def measure(folder: Path, kills: int) -> list[dict[str, Any]]:
    """Every kill, and whether the run it hit ended as the undisturbed one."""
    model = base_model(EMBEDDED_MODEL, feedback_settings().models_dir)
    first = Runs("sft", folder, model, None)
    second = Runs("dpo", folder, model, folder / "sft-undisturbed" / ADAPTER)
    chance, found = random.Random(7), []
    for number in range(kills):
        runs = (first, second)[number % 2]
        losses, weights, step = runs.run(chance.uniform(0.15, 0.95) * runs.seconds)
        found.append(
            {
                "stage": runs.stage,
                "killed_at_step": step,
                "steps": len(runs.losses),
                "same_losses": losses == runs.losses,
                "same_weights": weights == runs.weights,
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    star.must_be_here()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.kills)
    told = {"what": "benchmarks.killed_training", "kills": found}
    keep("killed-training", told)


if __name__ == "__main__":
    main()
