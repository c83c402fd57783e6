"""What the trainers share: the model, checkpoints, progress, and the way from a job to an adapter.

Not a framework: `sft.py`, `dpo.py` and `kto.py` build a TRL trainer, and `main` below takes it from a job to
an adapter. Runs in a process of its own; nothing here knows the database or the service.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import datasets
import peft
import torch
import transformers
import trl
from accelerate.utils.memory import should_reduce_batch_size
from transformers import AutoModelForCausalLM, AutoTokenizer

from feedback.adapter_folder import CONFIG, PROBE, ProbeCase
from feedback.run_folder import PARTIAL
from feedback.settings import names_in
from training import canary
from training import job as files
from training.cheap_head import NOT_COMPUTED, becomes_a_tree, cheap_head
from training.cheap_lora import cheap_lora
from training.job import Job
from training.measuring import answer_losses
from training.order import ByLength, ByTalk
from training.probing import probe
from training.progress import ProgressWriter, last_phase
from training.reporter import (
    Reporter,
    Stopped,
    StopSignal,
    held_at_most,
    tokens_in,
    why_early,
)
from training.rows import Refused, Rows, length, prompt_of

PR_SET_PDEATHSIG = 1


def device_of(job: Job) -> str:
    """Where this job computes."""
    if job.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return job.device


def load_model(job: Job) -> Any:
    """The base model, or it with the adapter to go on from."""
    dtype = torch.float32 if device_of(job) == "cpu" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(job.base_model, dtype=dtype)
    if job.start_adapter is None:
        return model
    return peft.PeftModel.from_pretrained(model, str(job.start_adapter), is_trainable=True)


def new_adapter(job: Job) -> peft.LoraConfig | None:
    """The adapter to begin with; None when the job goes on from one."""
    if job.start_adapter is not None:
        return None
    modules: str | list[str] = job.lora_modules
    if job.lora_modules != "all-linear":
        modules = names_in(job.lora_modules)
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=job.lora_rank,
        lora_alpha=job.lora_alpha,
        lora_dropout=job.lora_dropout,
        target_modules=modules,
    )


def common_arguments(job: Job, folder: Path, rows: Rows) -> dict[str, Any]:
    """What the stages' configurations have in common."""
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / files.TENSORBOARD))
    cpu = device_of(job) == "cpu"
    at_once = files.micro_batch(folder, job)
    return {
        "output_dir": str(folder / files.CHECKPOINTS),
        "use_cpu": cpu,
        "bf16": not cpu,
        "gradient_checkpointing": not cpu,
        "per_device_train_batch_size": at_once,
        "per_device_eval_batch_size": at_once,
        "gradient_accumulation_steps": job.batch_size // at_once,
        "num_train_epochs": job.epochs,
        "max_steps": job.max_steps or -1,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": job.schedule,
        "warmup_steps": job.warmup,
        "weight_decay": 0.0,
        "max_length": None,  # rows were fitted by read_rows
        "seed": job.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": job.checkpoint_steps,
        "save_total_limit": 2,
        **(_looks(job) if rows.validation else {}),
        "report_to": list(job.report_to),
        "run_name": f"{job.stage} {folder.parent.name}",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": not cpu,
    }


def _looks(job: Job) -> dict[str, Any]:
    """When the validation rows are asked while it trains."""
    if job.patience:
        return _until_it_stops_falling(job)
    return {"eval_strategy": "steps", "eval_steps": 1 / (job.looks + 1)} if job.looks else {}


def _until_it_stops_falling(job: Job) -> dict[str, Any]:
    """The validation rows are asked at each checkpoint, and the best one is what is kept."""
    return {
        "eval_strategy": "steps",
        "eval_steps": job.checkpoint_steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }


class Shared:
    """What the trainers do otherwise than TRL: our own rows, order and statistics, no model card."""

    args: Any
    model: Any
    train_dataset: Any
    by_talk = True
    """Whether rows of one talk may be learned side by side."""
    _metrics: Any

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength | ByTalk:
        rows = train_dataset or self.train_dataset
        if self.by_talk and becomes_a_tree(self.model.get_base_model()):
            return ByTalk([prompt_of(row) for row in rows], self.args.seed)
        lengths = [length(row) for row in rows]
        batch = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return ByLength(lengths, batch, self.args.seed)

    def _save(self, output_dir: str, state_dict: Any = None) -> None:
        self.model.save_pretrained(
            output_dir, selected_adapters=["default"], save_embedding_layers=False
        )

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        """transformers, seeing that there is a reference too, would load that and not the adapter."""
        weights = peft.load_peft_weights(checkpoint, device=str(self.model.device))
        peft.set_peft_model_state_dict(self.model, weights, adapter_name="default")

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Checkpoints are not for the hub."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Without the statistics the cheap head does not compute."""
        for metrics in self._metrics.values():
            for name in NOT_COMPUTED:
                metrics.pop(name, None)
        super().log(logs, start_time)  # type: ignore[misc]


Build = Callable[[Job, Path, Any], Any]
"""job, run folder, tokenizer -> a TRL trainer and its rows."""


def learn(trainer: Any, folder: Path, stop: StopSignal) -> None:
    """Train from the newest good checkpoint, or from the start, to the last step."""
    checkpoint = files.newest_checkpoint(folder)
    if checkpoint is None:
        trainer.train()
    else:
        print(f"resuming from {checkpoint.name}")
        state = transformers.TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        trainer._total_train_tokens = tokens_in(state)
        if state.global_step < state.max_steps and not _out_of_patience(trainer, state):
            trainer.train(resume_from_checkpoint=str(checkpoint))
        else:  # transformers would take one step too many
            best = state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
            trainer._load_from_checkpoint(best or str(checkpoint))
            trainer.state = state
    if trainer.state.global_step < trainer.state.max_steps:
        stop.check()
    for name, parameter in trainer.model.named_parameters():
        if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
            raise Refused(f"Training diverged: {name} is not finite. Lower the learning rate.")


def _out_of_patience(trainer: Any, state: Any) -> bool:
    """Whether a resumed run had ended early. If not, its callback goes on counting: it begins at none."""
    losses = [line["eval_loss"] for line in state.log_history if "eval_loss" in line]
    since_best = len(losses) - 1 - losses.index(min(losses)) if losses else 0
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, transformers.EarlyStoppingCallback):
            callback.early_stopping_patience_counter = since_best
            return since_best >= int(callback.early_stopping_patience)
    return False


def save_adapter(trainer: Any, job: Job, cases: list[ProbeCase], folder: Path) -> None:
    """Write `adapter/` at once: the trained adapter, no reference, and the probe."""
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    trainer.model.peft_config["default"].base_model_name_or_path = job.base_model
    trainer.model.save_pretrained(
        str(partial), selected_adapters=["default"], save_embedding_layers=False
    )
    (partial / "README.md").unlink(missing_ok=True)
    config = json.loads((partial / CONFIG).read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):  # a set in PEFT: its order changes by process
        config["target_modules"].sort()
    files.write_json(partial / CONFIG, config)
    files.write_json(partial / PROBE, [case.model_dump() for case in cases])
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors writes for its own user only; the engine may be another
        files.sync(path)  # before `result.json` says that it is there
    shutil.rmtree(folder / files.ADAPTER, ignore_errors=True)
    partial.rename(folder / files.ADAPTER)


def run(job: Job, folder: Path, build: Build, stop: StopSignal, progress: ProgressWriter) -> None:
    """From a job to `adapter/` and `result.json`."""
    started_at, started = datetime.now(UTC), time.monotonic()
    progress.write("loading")
    if job.threads:
        torch.set_num_threads(job.threads)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(job.base_model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    trainer, rows = build(job, folder, tokenizer)
    cheap_head(trainer.model)
    cheap_lora(trainer.model)
    trainer.add_callback(Reporter(progress, stop))
    if trainer.args.load_best_model_at_end:
        trainer.add_callback(transformers.EarlyStoppingCallback(job.patience))
    stop.check()
    learning = time.monotonic()
    learn(trainer, folder, stop)
    learned = time.monotonic() - learning
    evaluated = trainer.evaluate() if trainer.eval_dataset is not None else {}
    trainer.model.eval()
    progress.write("probing")
    stop.check()
    cases = probe(trainer.model, tokenizer, rows.prompts, job.probe_tokens) if rows.prompts else []
    exposed = canary.exposures(trainer.model, tokenizer, job, rows.system)
    progress.write("saving")
    save_adapter(trainer, job, cases, folder)
    history = [line for line in trainer.state.log_history if "loss" in line]
    steps = trainer.state.global_step - (history[0]["step"] - 1 if history else 0)
    tokens = int(tokens_in(trainer.state))
    result = {
        "stage": job.stage,
        "loss": history[-1]["loss"],
        "eval_loss": evaluated.get("eval_loss"),
        **canary.told(exposed),
        **answer_losses(trainer.model, tokenizer, job),
        "steps": steps,
        "micro_batch_size": files.micro_batch(folder, job),
        "tokens": tokens,
        "memory_bytes": held_at_most(),
        "note": files.note(folder) or why_early(trainer.state),
        "seconds": round(time.monotonic() - started, 1),
        "training_seconds": round(learned, 1),
        "started_at": started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "trl": trl.__version__,
            "peft": peft.__version__,
        },
        "log_history": trainer.state.log_history,
    }
    files.write_json(folder / files.RESULT, result)


def die_with(supervisor: int) -> None:
    """Have the kernel kill this process when its supervisor dies, so that no two train in one folder."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        sys.exit(files.STOPPED)


def main(build: Build) -> None:
    """The process: `python -m training.sft RUN_DIR [PID of the supervisor]`."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        die_with(int(sys.argv[2]))
    stop = StopSignal()
    with (folder / files.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a trainer still at work here finishes first
        sys.exit(_outcome(folder, build, stop))


def _outcome(folder: Path, build: Build, stop: StopSignal) -> int:
    if (folder / files.RESULT).exists():
        return files.DONE
    (folder / files.ERROR).unlink(missing_ok=True)
    try:
        with ProgressWriter(folder / files.PROGRESS) as progress:
            run(files.read_job(folder), folder, build, stop, progress)
    except Stopped:
        return files.STOPPED
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, MemoryError) or should_reduce_batch_size(error):
            return _with_less(folder)
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        files.write_json(folder / files.ERROR, {"error": reason})
        return files.FAILED
    return files.DONE


def _with_less(folder: Path) -> int:
    """Memory did not suffice: the next attempt takes fewer rows at once, if there are any to leave out."""
    job = files.read_job(folder)
    phase = last_phase(folder / files.PROGRESS)
    if phase != "training":
        reason = (
            f"Out of memory while {phase}, where fewer rows would not help: give the trainer more."
        )
        files.write_json(folder / files.ERROR, {"error": reason})
        return files.FAILED
    if rows := files.take_less(folder, "Out of memory."):
        print(
            f"out of memory; going on with {rows} rows at once, the batch still being {job.batch_size}"
        )
        return files.NO_MEMORY
    reason = (
        f"Out of memory with as few rows at once as can be ({files.micro_batch(folder, job)}). Lower "
        "TRAINING_MAX_LENGTH "
        f"({job.max_length}) or TRAINING_LORA_RANK ({job.lora_rank}), or give the trainer more memory."
    )
    files.write_json(folder / files.ERROR, {"error": reason})
    return files.FAILED
