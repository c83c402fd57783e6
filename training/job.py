"""A trainer's contract: one folder in, one folder out. No torch and no database.

The loop writes `job.json` and starts `python -m training.sft RUN_DIR` (or dpo, kto). The trainer leaves, in
this order: `progress.jsonl`, `checkpoints/`, `adapter/` (complete or not there at all) and `result.json`; or
`error.json` with the reason why not. Started again, it goes on where it was cut off.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from feedback import run_folder
from training.settings import StageName, Tracker, TrainingSettings

JOB = run_folder.JOB
PROGRESS = "progress.jsonl"
LOG = "log.txt"
CHECKPOINTS = run_folder.CHECKPOINTS
ADAPTER = run_folder.ADAPTER
RESULT = "result.json"
TENSORBOARD = "tensorboard"
ERROR = "error.json"
LOCK = run_folder.LOCK
MICRO_BATCH = "micro_batch.json"
"""How many rows go through the model at once in this run, once memory did not suffice for more."""

COMPLETE = "complete.json"
"""Lies in a checkpoint whose files all reached the disk; names them and their sizes."""

DONE = 0
FAILED = 1
STOPPED = 75
NO_MEMORY = 76
"""Exit codes. STOPPED (EX_TEMPFAIL): SIGTERM was heeded, a checkpoint lies ready, start it again. NO_MEMORY:
start it again, it will take fewer rows at once.
"""

MODULES: dict[StageName, str] = {
    "sft": "training.sft",
    "dpo": "training.dpo",
    "kto": "training.kto",
}


class Job(BaseModel):
    """Everything a trainer needs to know; the same job gives the same adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: StageName
    base_model: str
    """Path or hub id, word for word what the engine serves."""
    dataset: Path
    """JSONL as `feedback.exports.export` writes it."""
    start_adapter: Path | None = None
    """Adapter folder to go on from; for DPO and KTO it is the reference, too."""

    epochs: float
    max_steps: int
    learning_rate: float
    schedule: Literal["constant", "linear", "cosine"]
    warmup: float
    batch_size: int
    micro_batch_size: int = 0
    """Rows that go through the model at once; 0: the whole batch."""
    max_length: int
    seed: int
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    lora_modules: str
    beta: float | None = None
    loss: Literal["sigmoid", "ipo", "robust"] | None = None
    label_noise: float = 0.0
    """DPO's robust loss: the share of pairs that prefer the wrong side, 0 to 0.45."""

    canaries: int = 0
    """Made-up codes among the rows of SFT, by which memorising is measured; see canary.py."""

    checkpoint_steps: int
    patience: int = 0
    looks: int = 0
    """Where patience is 0: how often the validation rows are asked on the way, for a search to watch."""
    measured_on: Path | None = None
    """SFT rows whose validation answers are weighed in the end, row by row, for a search to compare."""
    pairs_on: Path | None = None
    """DPO pairs of which it is told, too, how often the better answer is the likelier one."""
    report_to: tuple[Tracker, ...] = ()
    device: Literal["auto", "cpu", "cuda"]
    threads: int
    probe_prompts: int
    probe_tokens: int


def job_for(
    stage: StageName,
    settings: TrainingSettings,
    *,
    base_model: str,
    dataset: Path,
    start_adapter: Path | None = None,
    is_last: bool = True,
    estimated_noise: float | None = None,
) -> Job:
    """The job of a stage, with the recipe the settings name for it.

    Only the last stage's adapter is served, so only it is probed. `estimated_noise` is the share of
    pairs that likely prefer the wrong side, if it could be estimated.
    """
    shared = settings.model_dump(include=set(Job.model_fields))
    if not is_last:
        shared["probe_prompts"] = 0
    recipe: dict[str, Any] = {
        "epochs": settings.sft_epochs,
        "learning_rate": settings.sft_learning_rate,
    }
    if stage == "dpo":
        recipe = {
            "epochs": settings.dpo_epochs,
            "learning_rate": settings.dpo_learning_rate,
            "beta": settings.dpo_beta,
            **_loss(settings, estimated_noise),
        }
    if stage == "kto":
        recipe = {
            "epochs": settings.kto_epochs,
            "learning_rate": settings.kto_learning_rate,
            "beta": settings.kto_beta,
        }
    return Job(
        stage=stage,
        base_model=base_model,
        dataset=dataset,
        start_adapter=start_adapter,
        **shared,
        **recipe,
    )


def _loss(settings: TrainingSettings, estimated_noise: float | None) -> dict[str, Any]:
    """DPO's loss; the robust one where pairs are noisy (Chowdhury, Kini and Natarajan, Provably Robust
    DPO, 2024), which without noise is the sigmoid one."""
    noise = settings.dpo_label_noise
    if noise == "auto":
        noise = estimated_noise or 0.0
    if settings.dpo_loss == "ipo" or noise == 0:
        return {"loss": settings.dpo_loss}
    return {"loss": "robust", "label_noise": noise}


def write_json(path: Path, value: object) -> None:
    """Write a file that is either all there or not there, also after a power cut."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None where there is no such file."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_job(folder: Path, job: Job) -> None:
    """Open a run folder. One that was opened before keeps its job: half a run has one recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / JOB).exists():
        write_json(folder / JOB, job.model_dump(mode="json"))


def read_job(folder: Path) -> Job:
    """The job of a run folder."""
    return Job.model_validate_json((folder / JOB).read_text(encoding="utf-8"))


def micro_batch(folder: Path, job: Job) -> int:
    """How many rows go through the model at once in this run."""
    smaller = read_json(folder / MICRO_BATCH)
    wanted = int(smaller["rows"]) if smaller else job.micro_batch_size or job.batch_size
    return _that_divides(job, max(wanted, least_at_once(job.stage)))


def least_at_once(stage: StageName) -> int:
    """KTO compares each prompt with another row's answer, so it needs two."""
    return 2 if stage == "kto" else 1


def _that_divides(job: Job, wanted: int) -> int:
    """The most rows up to `wanted` that make a whole batch; else the batch itself."""
    least = least_at_once(job.stage)
    found = (rows for rows in range(wanted, least - 1, -1) if job.batch_size % rows == 0)
    return next(found, job.batch_size)


def take_less(folder: Path, why: str) -> int | None:
    """Let the run go on with half the rows at once, the batch being the same; None: there is no less."""
    job = read_job(folder)
    now = micro_batch(folder, job)
    less = _that_divides(job, now // 2)
    if less >= now:
        return None
    write_json(folder / MICRO_BATCH, {"rows": less, "why": why})
    return less


def note(folder: Path) -> str:
    """What happened to a run that people should know, in a sentence; empty where nothing did."""
    smaller = read_json(folder / MICRO_BATCH)
    if smaller is None:
        return ""
    return f"{smaller['why']} It went on with {smaller['rows']} rows at once, the batch being the same."


def sync(path: Path) -> None:
    """Have a file reach the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def mark_complete(checkpoint: Path) -> None:
    """Say that a checkpoint's files are all on the disk."""
    sizes = {}
    for path in sorted(checkpoint.rglob("*")):
        if path.is_file():
            sync(path)
            sizes[str(path.relative_to(checkpoint))] = path.stat().st_size
    write_json(checkpoint / COMPLETE, sizes)


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end and still is what was written."""
    sizes = read_json(checkpoint / COMPLETE)
    return sizes is not None and all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size
        for name, size in sizes.items()
    )


def newest_checkpoint(folder: Path) -> Path | None:
    """The last good checkpoint. One that a kill cut off mid-save is removed."""
    newest: Path | None = None
    for checkpoint in sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=_step):
        if is_complete(checkpoint):
            newest = checkpoint
        else:
            shutil.rmtree(checkpoint)
    return newest


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
