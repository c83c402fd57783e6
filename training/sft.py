"""The SFT trainer: `python -m training.sft RUN_DIR`. Learns the answers people would have given.

Teaches the answer's tokens and the end of the turn, nothing of the prompt. See `training/job.py` for
what it reads and writes.
"""

from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from training import canary
from training.job import Job
from training.rows import Rows, answered, read_rows
from training.trainer import Shared, common_arguments, load_model, main, new_adapter


class Trainer(Shared, SFTTrainer):
    """TRL's, on our rows."""


encode = answered
"""A row in tokens."""


def build(job: Job, folder: Path, tokenizer: Any) -> tuple[Trainer, Rows]:
    """A trainer ready to go, and its rows with the prompts to probe it with."""
    rows = read_rows(job, tokenizer, encode, canary.rows)
    trainer = Trainer(
        model=load_model(job),
        args=SFTConfig(**common_arguments(job, folder, rows)),
        train_dataset=rows.train,
        eval_dataset=rows.validation,
        processing_class=tokenizer,
        peft_config=new_adapter(job),
    )
    return trainer, rows


if __name__ == "__main__":
    main(build)
