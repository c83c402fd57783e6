"""What validation answers cost an adapter, row by row. One measure for all stages and recipes.

The loss of a stage will not do: DPO's and KTO's change with beta. Called by trainer.py where a search asks.
"""

from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from training.job import Job
from training.rows import Encode, answered, paired, validation_rows


def answer_losses(model: Any, tokenizer: Any, job: Job) -> dict[str, Any]:
    """Of each validation row of `measured_on`: nats for the whole answer, and its tokens. Of the pairs of
    `pairs_on`: in what share the better answer costs less per token than the worse.
    """
    told: dict[str, Any] = {}
    if job.measured_on is not None:
        rows = [
            (row["input_ids"], sum(label != -100 for label in row["labels"]))
            for row in _validation(job, job.measured_on, tokenizer, answered)
        ]
        told["answer_nats"] = [_nats(model, ids, answer) for ids, answer in rows]
        told["answer_tokens"] = [answer for _, answer in rows]
    if job.pairs_on is not None:
        pairs = _validation(job, job.pairs_on, tokenizer, paired)
        preferred = [_prefers(model, row) for row in pairs]
        told["pairs_preferred"] = sum(preferred) / len(preferred) if preferred else None
    return told


def _validation(job: Job, file: Path, tokenizer: Any, encode: Encode) -> list[dict[str, Any]]:
    return validation_rows(job.model_copy(update={"dataset": file}), tokenizer, encode)


def _prefers(model: Any, row: dict[str, list[int]]) -> bool:
    better, worse = (
        _nats(model, row["prompt_ids"] + row[side], len(row[side])) / len(row[side])
        for side in ("chosen_ids", "rejected_ids")
    )
    return better < worse


@torch.no_grad()
def _nats(model: Any, ids: list[int], answer: int) -> float:
    """What the last `answer` tokens cost."""
    told = torch.tensor([ids], device=model.device)
    logits = model(input_ids=told, logits_to_keep=answer + 1).logits[0, :-1].float()
    return float(cross_entropy(logits, told[0, -answer:], reduction="sum"))
