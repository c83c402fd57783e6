"""Starts a trainer, follows its progress, restarts it when it was killed, and never leaves it behind.

No torch here: the loop calls this, and the trainer is a process of its own (see `training/job.py`).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from feedback.errors import UnderstudyError
from training import job as files
from training import out_of_memory
from training.progress import Progress, ProgressReader

KNOWN = (
    *("phase", "step", "total", "loss", "tokens_per_second", "eta_seconds"),
    *("margin", "memory_bytes"),
)
"""What of a line of progress is passed on."""
LAST_LINES = 15
LAST_BYTES = 32_768
"""How much of a log is read for its last lines, however long they are."""


class TrainingFailed(UnderstudyError):
    """A trainer gave up, and trying again would not help."""


class TrainingStopped(UnderstudyError):
    """A trainer was asked to stop. Started again, it goes on from its checkpoint."""


# Set before torch is loaded. How long OpenMP's threads spin before they sleep, measured on two cores: never
# (OMP_WAIT_POLICY=PASSIVE) trains at 100 tokens/s; its default at up to 190, but beside other spinning work
# a step of 5 s took 150. A short spin keeps most of the first and avoids the second.
ENVIRONMENT = {
    "GOMP_SPINCOUNT": "30000",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

Report = Callable[[Progress], None]


def supervise(
    job_dir: Path,
    module: str,
    report: Report,
    should_stop: Callable[[], bool],
    timeout_seconds: float,
    attempts: int,
    poll_seconds: float = 0.5,
    grace_seconds: float = 60.0,
    silence_seconds: float = 900.0,
) -> dict[str, Any]:
    """Run `python -m module job_dir` to its result.

    `report` is called at every poll, with old news where there is none, so that a lease can be renewed
    there; what it or `should_stop` raises comes out of here once the trainer is dead. A trainer ended
    by a signal (a node going down) is started again from its checkpoint, `attempts` times in all; so is
    one that was silent for too long. One for which memory did not suffice goes on with fewer rows at once,
    and that is no attempt: it ends at one row.
    """
    if result := files.read_json(job_dir / files.RESULT):
        return result
    deadline = time.monotonic() + timeout_seconds
    end, tries = "never started", attempts
    while attempts:
        killed_before = out_of_memory.kills()
        with _Trainer(job_dir, module) as trainer:
            end = trainer.follow(
                report, should_stop, deadline, poll_seconds, grace_seconds, silence_seconds
            )
        if trainer.code == files.NO_MEMORY or (
            trainer.code == -signal.SIGKILL
            and out_of_memory.kills() > killed_before
            and files.take_less(job_dir, "The kernel killed the trainer for want of memory.")
        ):
            continue  # with fewer rows at once
        attempts -= 1
        result = files.read_json(job_dir / files.RESULT)
        if trainer.code == files.DONE and result is not None:
            return result
        if trainer.code >= 0 and trainer.code != files.STOPPED:
            error = files.read_json(job_dir / files.ERROR) or {}
            reason = error.get("error", f"{module} ended with exit code {trainer.code}.")
            raise TrainingFailed(f"{reason}\n{last_lines(job_dir)}".rstrip())
    raise TrainingFailed(f"{module} {end} {tries} times.\n{last_lines(job_dir)}".rstrip())


def last_lines(job_dir: Path, count: int = LAST_LINES) -> str:
    """The end of a trainer's log, for a person to read."""
    path = job_dir / files.LOG
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LAST_BYTES))
        text = log.read().decode("utf-8", errors="replace")
    return "\n".join(text.replace("\x00", "\ufffd").splitlines()[-count:])


class _Trainer:
    """One trainer process. Leaving the `with` block kills what still runs and reaps it."""

    def __init__(self, job_dir: Path, module: str) -> None:
        self.job_dir = job_dir
        self.module = module
        self.lines = ProgressReader(job_dir / files.PROGRESS)
        self.code = 0

    def __enter__(self) -> Self:
        log_path = self.job_dir / files.LOG
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", self.module, str(self.job_dir), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**ENVIRONMENT, **os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.news = Progress("starting", 0, None, None, None, None, self.process.pid, log_path)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def follow(
        self,
        report: Report,
        should_stop: Callable[[], bool],
        deadline: float,
        poll_seconds: float,
        grace_seconds: float,
        silence_seconds: float,
    ) -> str:
        """Report until the process ends; returns how it ended, for a sentence."""
        heard = time.monotonic()
        while self.process.poll() is None:
            if self._read():
                heard = time.monotonic()
            report(self.news)
            if should_stop():
                self._stop(grace_seconds)
                raise TrainingStopped(f"{self.module} was stopped at step {self.news.step}.")
            if time.monotonic() > deadline:
                self._stop(grace_seconds)
                raise TrainingFailed(
                    f"{self.module} was stopped at step {self.news.step} of {self.news.total}: it "
                    f"ran out of time (training_stage_timeout_seconds)."
                )
            if time.monotonic() - heard > silence_seconds:
                self.process.kill()
                self.process.wait()
                self.code = -signal.SIGKILL
                return f"said nothing for {silence_seconds:g} seconds"
            self._sleep(poll_seconds)
        self.code = self.process.wait()
        if self._read():
            report(self.news)
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        return f"was killed by {signal.Signals(-self.code).name}"

    def _read(self) -> bool:
        """Take in what the trainer wrote; whether there was anything."""
        heard = False
        for line in self.lines.lines():
            heard = True
            self.news = replace(self.news, **{k: v for k, v in line.items() if k in KNOWN})
        return heard

    def _sleep(self, seconds: float) -> None:
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return

    def _stop(self, grace_seconds: float) -> None:
        self.process.terminate()
        self._sleep(grace_seconds)
