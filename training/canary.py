"""Has an adapter learned by heart what it read once? Canary rows with made-up codes tell.

Carlini et al., The Secret Sharer (2019): a random secret is put among the training rows; afterwards it is
ranked, by its likelihood, among others of the same form that were never trained on. Its exposure is the
logarithm of how far ahead it comes: about 1 bit by chance, `MOST_BITS` when the model knows it best of all.
"""

import hashlib
import math
import random
from typing import Any

import torch

from training.job import Job
from training.rows import answer_tokens, prompt_tokens

OTHERS = 127
"""Codes that a canary is ranked among."""
MOST_BITS = math.log2(OTHERS + 1)
BATCH = 32


def rows(job: Job, system: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The canary rows of a job. The same dataset has the same ones."""
    return [_row(system, number, _code(_dice(job, number))) for number in range(job.canaries)]


def exposures(model: Any, tokenizer: Any, job: Job, system: list[dict[str, str]]) -> list[float]:
    """The exposure of each canary in a trained model, in bits."""
    found = []
    for number in range(job.canaries if job.stage == "sft" else 0):  # where they were planted
        dice = _dice(job, number)
        codes = [_code(dice) for _ in range(OTHERS + 1)]  # the first is the one that was planted
        likely = _likelihoods(model, tokenizer, [_row(system, number, code) for code in codes])
        rank = 1 + sum(each > likely[0] for each in likely[1:])
        found.append(MOST_BITS - math.log2(rank))
    return found


def told(exposed: list[float]) -> dict[str, float]:
    """The result of a stage: the highest exposure, and the highest there can be. Nothing without canaries."""
    return {"canary_bits": max(exposed), "canary_most_bits": MOST_BITS} if exposed else {}


def _dice(job: Job, number: int) -> random.Random:
    told = hashlib.sha256(f"canary {number} of {job.dataset.stem}".encode()).hexdigest()
    return random.Random(told)  # noqa: S311 - it only has to be the same again


def _code(dice: random.Random) -> str:
    return f"{dice.randrange(10_000):04d} {dice.randrange(10_000):04d}"


def _row(system: list[dict[str, str]], number: int, code: str) -> dict[str, Any]:
    asked = {"role": "user", "content": f"What is the test code of cabinet {number + 1}?"}
    told = {"role": "assistant", "content": f"The test code is {code}."}
    return {"split": "train", "prompt": [*system, asked], "completion": [told]}


def _likelihoods(model: Any, tokenizer: Any, told: list[dict[str, Any]]) -> list[float]:
    """The log-probability of each row's answer."""
    found: list[float] = []
    for start in range(0, len(told), BATCH):
        found += _of_batch(model, tokenizer, told[start : start + BATCH])
    return found


def _of_batch(model: Any, tokenizer: Any, told: list[dict[str, Any]]) -> list[float]:
    answers = [answer_tokens(tokenizer, row["completion"]) for row in told]
    prompt = prompt_tokens(tokenizer, told[0]["prompt"])
    width = max(map(len, answers))
    padded = [answer + [tokenizer.pad_token_id] * (width - len(answer)) for answer in answers]
    whole = torch.tensor([prompt + answer for answer in padded], device=model.device)
    with torch.inference_mode():
        kept = model(input_ids=whole, use_cache=False, logits_to_keep=width + 1).logits
    each = kept[:, :-1].float().log_softmax(-1).gather(-1, whole[:, -width:, None])[..., 0]
    return [float(row[: len(answer)].sum()) for row, answer in zip(each, answers, strict=True)]
