"""The trainers that benchmarks/training_speed.py compares, ready to train. Imports torch."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import peft
import torch
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from benchmarks.training_speed import BATCH, RATE, SEED
from training import dpo, sft
from training.cheap_head import cheap_head
from training.cheap_lora import cheap_lora
from training.job import Job, job_for
from training.rows import length, read_rows
from training.settings import StageName, TrainingSettings

datasets.disable_progress_bars()


def job_of(stage: StageName, dataset: Path, model: str) -> Job:
    """Our job: one epoch, the recipe that all arms have."""
    recipe = TrainingSettings(
        batch_size=BATCH, seed=SEED, device="cpu", schedule="constant", lora_dropout=0.0,
        sft_epochs=1, sft_learning_rate=RATE, dpo_epochs=1, dpo_learning_rate=RATE, checkpoint_steps=10_000,
    )  # fmt: skip
    return job_for(stage, recipe, base_model=model, dataset=dataset)


def ours(stage: StageName, dataset: Path, model: str, folder: Path) -> Any:
    """As the loop trains."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    trainer, _ = {"sft": sft, "dpo": dpo}[stage].build(
        job_of(stage, dataset, model), folder, tokenizer
    )
    cheap_head(trainer.model)
    cheap_lora(trainer.model)
    return trainer


def in_order(stage: StageName, dataset: Path, model: str, folder: Path) -> Any:
    """As the loop trains, but rows as they come."""
    trainer = ours(stage, dataset, model, folder)
    trainer._get_train_sampler = lambda rows=None: SequentialSampler(rows or trainer.train_dataset)
    return trainer


class _AsTheyAre:
    """Rows that are tokens already go in as they are, one after the other."""

    train_dataset: Any

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset or self.train_dataset)


class _Sft(_AsTheyAre, SFTTrainer):
    pass


class _Dpo(_AsTheyAre, DPOTrainer):
    pass


def trl(stage: StageName, dataset: Path, model: str, folder: Path, **more: Any) -> Any:
    """TRL with its defaults (its padding, its head, its statistics), told only what all arms share."""
    shared: dict[str, Any] = {
        "output_dir": str(folder), "use_cpu": True, "bf16": False,
        "per_device_train_batch_size": BATCH, "num_train_epochs": 1, "learning_rate": RATE,
        "lr_scheduler_type": "constant", "weight_decay": 0.0, "seed": SEED, "logging_steps": 1,
        "save_strategy": "no", "report_to": [], "disable_tqdm": True, **more,
    }  # fmt: skip
    config, trainer = (SFTConfig, _Sft) if stage == "sft" else (DPOConfig, _Dpo)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return trainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        args=config(**shared),
        train_dataset=_rows(stage, dataset, model, tokenizer),
        processing_class=tokenizer,
        peft_config=peft.LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"
        ),
    )


def _rows(stage: StageName, dataset: Path, model: str, tokenizer: Any) -> datasets.Dataset:
    encode = {"sft": sft.encode, "dpo": dpo.encode}[stage]
    return read_rows(job_of(stage, dataset, model), tokenizer, encode).train


BUILD: dict[str, Callable[..., Any]] = {
    "ours": ours,
    "ours in TRL's order": in_order,
    "TRL, activations kept": partial(trl, gradient_checkpointing=False),
    "TRL": trl,
}


def real_tokens(stage: StageName, dataset: Path, model: str) -> int:
    """Tokens of all rows without padding; of a pair, its prompt twice and both answers."""
    found = _rows(stage, dataset, model, AutoTokenizer.from_pretrained(model))
    if stage == "sft":
        return sum(length(row) for row in found)
    return sum(
        2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"])
        for row in found
    )


def memory_gib() -> float:
    """The most this process has held at once."""
    told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(told[1]) / 2**20 if told else 0.0
