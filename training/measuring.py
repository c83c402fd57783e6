"""What validation answers cost an adapter, row by row. One measure for all stages and recipes.

The loss of a stage will not do: DPO's and KTO's change with beta. Called by trainer.py where a search asks.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from training.job import Job
from training.rows import answered, read_rows


def answer_losses(model: Any, tokenizer: Any, job: Job) -> dict[str, Any]:
    """Of each validation row of `measured_on`: nats for the whole answer, and its tokens."""
    if job.measured_on is None:
        return {}
    rows = read_rows(job.model_copy(update={"dataset": job.measured_on}), tokenizer, answered)
    found = [_nats(model, row) for row in rows.validation or []]
    return {"answer_nats": [nats for nats, _ in found], "answer_tokens": [n for _, n in found]}


@torch.no_grad()
def _nats(model: Any, row: dict[str, list[int]]) -> tuple[float, int]:
    answer = [token for token in row["labels"] if token != -100]
    told = torch.tensor([row["input_ids"]], device=model.device)
    logits = model(input_ids=told, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
    wanted = torch.tensor(answer, device=model.device)
    return float(cross_entropy(logits, wanted, reduction="sum")), len(answer)
