"""The DPO trainer: `python -m training.dpo RUN_DIR`. Learns to prefer the correction to what was said.

Goes on from the SFT adapter, whose frozen copy is the reference and never leaves this process. See
`training/job.py` for what it reads and writes.
"""

from pathlib import Path
from typing import Any

from trl import DPOConfig, DPOTrainer

from training.job import Job
from training.rows import Rows, paired, read_rows
from training.trainer import Shared, common_arguments, load_model, main, new_adapter


class Trainer(Shared, DPOTrainer):
    """TRL's, on our rows."""


encode = paired
"""A pair in tokens."""


def build(job: Job, folder: Path, tokenizer: Any) -> tuple[Trainer, Rows]:
    """A trainer ready to go, and its rows with the prompts to probe it with."""
    rows = read_rows(job, tokenizer, encode)
    arguments = DPOConfig(
        beta=job.beta,
        loss_type=[job.loss],
        label_smoothing=job.label_noise,
        **common_arguments(job, folder, rows),
    )
    trainer = Trainer(
        model=load_model(job),
        args=arguments,
        train_dataset=rows.train,
        eval_dataset=rows.validation,
        processing_class=tokenizer,
        peft_config=new_adapter(job),
    )
    return trainer, rows


if __name__ == "__main__":
    main(build)
