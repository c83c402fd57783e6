"""One trial of a search: a recipe trained stage by stage by the real trainers, and measured.

A trial that a kill cut off goes on from its checkpoint; one that does worse than the others is given up.
"""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from feedback.settings import feedback_settings
from training import starting
from training.job import (
    ADAPTER,
    CHECKPOINTS,
    JOB,
    MODULES,
    PROGRESS,
    Job,
    job_for,
    read_job,
    write_job,
)
from training.progress import Progress, ProgressReader
from training.search_files import Spec
from training.settings import StageName, TrainingSettings
from training.supervise import TrainingFailed, supervise

TENTHS = 10
GRACE_SECONDS = 10.0
"""How long a trainer may save when the time is up: the budget is kept to about that."""

Watched = Callable[[StageName, Progress], None]


def dataset_file(spec: Spec, stage: StageName) -> Path:
    """Where the rows of a stage lie."""
    return feedback_settings().datasets_dir.resolve() / f"{spec.datasets[stage]}.jsonl"


def learn(
    trial: optuna.Trial,
    recipe: dict[str, Any],
    spec: Spec,
    folder: Path,
    watched: Watched,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """The last stage's result. Raises TrialPruned, TrainingFailed, or TrainingStopped at the end of time."""
    settings = spec.with_recipe(recipe)
    start = starting.folder_of(spec.start)
    result: dict[str, Any] = {}
    for stage in spec.stages:
        run = folder / stage
        job = _job(stage, spec, settings, start)
        if (run / JOB).exists() and read_job(run) != job:
            shutil.rmtree(run)  # of a trial that the study has lost
        write_job(run, job)
        looks = _Looks(trial, run) if stage == "sft" else None

        def report(news: Progress, stage: StageName = stage, looks: Any = looks) -> None:
            watched(stage, news)
            if looks is not None:
                looks.take_in(news.total)

        result = supervise(
            run,
            MODULES[stage],
            report=report,
            should_stop=should_stop,
            timeout_seconds=settings.stage_timeout_seconds,
            attempts=settings.attempts,
            grace_seconds=min(GRACE_SECONDS, settings.stop_grace_seconds),
            silence_seconds=settings.silence_seconds,
        )
        start = run / ADAPTER
    return result


def _job(stage: StageName, spec: Spec, settings: TrainingSettings, start: Path | None) -> Job:
    """As a cycle would train it, but for what only a published adapter needs."""
    job = job_for(
        stage,
        settings,
        base_model=spec.base_model,
        dataset=dataset_file(spec, stage),
        start_adapter=start,
        is_last=False,
        estimated_noise=spec.label_noise,
    )
    more: dict[str, Any] = {"canaries": 0, "report_to": ()}
    if stage == "sft":
        more["looks"] = TENTHS - 1
    if stage == spec.stages[-1]:
        more["measured_on"] = dataset_file(spec, "sft")
        more["pairs_on"] = dataset_file(spec, "dpo") if spec.rows.get("dpo") else None
    return job.model_copy(update=more)


def loss_of(result: dict[str, Any]) -> float:
    """Nats per token of the validation answers. Raises TrainingFailed where none was left to measure."""
    if not result["answer_tokens"]:
        raise TrainingFailed(
            "No validation answer could be measured: all are longer than TRAINING_MAX_LENGTH or were erased. "
            "Freeze again, and search anew with another --out."
        )
    return float(sum(result["answer_nats"]) / sum(result["answer_tokens"]))


def drop_weights(folder: Path) -> None:
    """What a trial learned is not kept: the recipe is what is sought; trained again, it gives the same."""
    for name in (CHECKPOINTS, ADAPTER):
        for path in folder.glob(f"*/{name}"):
            shutil.rmtree(path)


class _Looks:
    """Tells Optuna what the validation rows cost on the way, by tenths of it, and heeds its word.

    By parts and not by steps: a schedule that falls to zero is lowest at its end, wherever that is.
    """

    def __init__(self, trial: optuna.Trial, run: Path) -> None:
        self._trial = trial
        self._lines = ProgressReader(run / PROGRESS, from_start=True)
        known = trial.study.get_trials(deepcopy=False)[trial.number]
        self._told = set(known.intermediate_values)
        self._total: int | None = None

    def take_in(self, total: int | None) -> None:
        """Read what came; TrialPruned where the trial is to be given up."""
        for line in self._lines.lines():
            self._total = line.get("total", self._total)
            if "eval_loss" in line and self._total:
                self._tell(line["eval_loss"], round(TENTHS * line["step"] / self._total))
        # The present recipe is what all others are compared with.
        if self._told and self._trial.number > 0 and self._trial.should_prune():
            raise optuna.TrialPruned

    def _tell(self, loss: float, tenth: int) -> None:
        if not math.isfinite(loss):
            return  # the trainer itself says that it diverged
        if (
            tenth not in self._told and tenth < TENTHS
        ):  # at its end a trial is measured, not given up
            self._told.add(tenth)
            self._trial.report(loss, tenth)
