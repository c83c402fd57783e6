"""A training run tells how far it is, and heeds a request to stop."""

import math
import re
import signal
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from training import job as files
from training.progress import ProgressWriter
from training.rows import Refused

DIVERGING_TIMES = 2.0
DIVERGING_STEPS = 10
"""A loss that many times its first one, and 1 more, for so many steps in a row is no bad luck."""
BEAT_SECONDS = 30.0
"""While validation rows are asked a trainer says so often that it is at work."""


class Stopped(Exception):
    """SIGTERM came; what was learned so far lies in a checkpoint."""


class StopSignal:
    """Remembers that SIGTERM or SIGINT came."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def check(self) -> None:
        """Raise Stopped if asked."""
        if self.asked:
            raise Stopped


class Reporter(transformers.TrainerCallback):
    """Writes progress, heeds SIGTERM at the end of a step, stops on nonsense, marks checkpoints."""

    def __init__(self, progress: ProgressWriter, stop: StopSignal) -> None:
        self.progress = progress
        self.stop = stop
        self.started = time.monotonic()
        self.first_step = 0
        self.first_tokens = 0.0
        self.losses: list[float] = []
        self.told = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; a resumed run counts from its checkpoint."""
        self.started = time.monotonic()
        self.first_step = state.global_step
        self.first_tokens = tokens_in(state)
        self.progress.write("training", step=state.global_step, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop once SIGTERM came."""
        if self.stop.asked:
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """One line per optimizer step."""
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise Refused(
                    f"Training diverged: the {name} at step {state.global_step} is {logs[name]}. "
                    f"Lower the learning rate ({args.learning_rate:g})."
                )
        self._check_diverging(state.global_step, logs["loss"], args.learning_rate)
        seconds = max(time.monotonic() - self.started, 1e-6)
        done = state.global_step - self.first_step
        tokens = logs.get("num_tokens", 0.0)
        self.progress.write(
            "training",
            step=state.global_step,
            total=state.max_steps,
            tokens=int(tokens),
            tokens_per_second=round((tokens - self.first_tokens) / seconds, 1),
            eta_seconds=round(seconds / done * (state.max_steps - state.global_step), 1),
            memory_bytes=held_at_most(),
            **({"margin": logs["rewards/margins"]} if "rewards/margins" in logs else {}),
            **{name: value for name, value in logs.items() if name not in ("num_tokens", "epoch")},
        )

    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Many validation rows take long, which is no silence."""
        if time.monotonic() - self.told > BEAT_SECONDS:
            self.told = time.monotonic()
            self.progress.write("training", step=state.global_step)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        """What the validation rows cost while it trains."""
        self.progress.write("training", step=state.global_step, eval_loss=metrics["eval_loss"])

    def _check_diverging(self, step: int, loss: float, learning_rate: float) -> None:
        """Stop a run whose loss stays far above where it began: what it learns by then is noise."""
        self.losses.append(loss)
        began, lately = self.losses[0], self.losses[-DIVERGING_STEPS:]
        if len(self.losses) > DIVERGING_STEPS and min(lately) > DIVERGING_TIMES * began + 1:
            raise Refused(
                f"Training diverged: the loss began at {began:.3g} and stayed above "
                f"{DIVERGING_TIMES * began + 1:.3g} for {DIVERGING_STEPS} steps until step {step}. Lower the "
                f"learning rate ({learning_rate:g})."
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Only a marked checkpoint is resumed from."""
        files.mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def tokens_in(state: Any) -> float:
    """Real tokens seen up to here, from the log kept in a checkpoint."""
    return max((float(line.get("num_tokens", 0)) for line in state.log_history), default=0.0)


def held_at_most() -> int:
    """The most memory this process has held at once, in bytes: a GPU's where it computes there."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def why_early(state: transformers.TrainerState) -> str:
    """Why a run ended before its last step, in a sentence; empty where it did not."""
    best = [line for line in state.log_history if line.get("eval_loss") == state.best_metric]
    if state.global_step >= state.max_steps or not best:
        return ""
    return (
        f"Stopped at step {state.global_step} of {state.max_steps}: the loss on validation rows has not "
        f"fallen since step {best[0]['step']} ({state.best_metric:.3f}), whose adapter is kept."
    )
