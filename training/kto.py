"""The KTO trainer: `python -m training.kto RUN_DIR`. Learns from single answers that were good or bad.

Goes on from the adapter before, whose frozen copy is the reference and never leaves this process. Ethayarajh
et al., "KTO: Model Alignment as Prospect Theoretic Optimization", ICML 2024. See `training/job.py` for what
it reads and writes.
"""

from pathlib import Path
from typing import Any

from trl import KTOConfig, KTOTrainer
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference

from training.job import Job
from training.rows import Rows, answer_tokens, read_rows
from training.trainer import Shared, common_arguments, load_model, main, new_adapter


class Trainer(Shared, KTOTrainer):
    """TRL's, on our rows."""

    by_talk = False  # its neighbours' answers are what KTO compares a row's prompt with


class Mismatched(DataCollatorForUnpairedPreference):
    """TRL's, with the pairs by which KTO measures how far the model has drifted: each prompt with the answer
    of the row before it in its batch. TRL makes them once, in the order of the file; ours has another order
    in every epoch, and the paper wants a batch's own answers.
    """

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch."""
        return dict(
            super().torch_call(
                [
                    {**row, "KL_completion_ids": _anothers_answer(examples, number)}
                    for number, row in enumerate(examples)
                ]
            )
        )


def _anothers_answer(examples: list[dict[str, Any]], number: int) -> list[int]:
    """The nearest one before it in the batch that is not its own; copies of a row have its own."""
    before = [examples[number - back]["completion_ids"] for back in range(1, len(examples) + 1)]
    own = examples[number]["completion_ids"]
    return next((answer for answer in before if answer != own), own)


def encode(row: dict[str, Any], prompt: list[int], tokenizer: Any) -> dict[str, Any]:
    """A judged answer in tokens."""
    answer = answer_tokens(tokenizer, row["completion"])
    return {"prompt_ids": prompt, "completion_ids": answer, "label": bool(row["label"])}


def weights(labels: list[bool]) -> tuple[float, float]:
    """What a good and a bad answer count, so that both kinds together count the same (equation 8)."""
    good, bad = max(sum(labels), 1), max(len(labels) - sum(labels), 1)
    return (1.0, good / bad) if good < bad else (bad / good, 1.0)


def build(job: Job, folder: Path, tokenizer: Any) -> tuple[Trainer, Rows]:
    """A trainer ready to go, and its rows with the prompts to probe it with."""
    rows = read_rows(job, tokenizer, encode)
    desirable, undesirable = weights(list(rows.train["label"]))
    arguments = KTOConfig(
        beta=job.beta,
        desirable_weight=desirable,
        undesirable_weight=undesirable,
        **common_arguments(job, folder, rows),
    )
    trainer = Trainer(
        model=load_model(job),
        args=arguments,
        train_dataset=rows.train,
        eval_dataset=rows.validation,
        processing_class=tokenizer,
        data_collator=Mismatched(pad_token_id=tokenizer.pad_token_id),
        peft_config=new_adapter(job),
    )
    return trainer, rows


if __name__ == "__main__":
    main(build)
