"""A frozen dataset as token rows, exactly as the engine will render them.

Only the answer's tokens teach. Shared by the trainers; knows no model.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import datasets

from feedback.topics import QUESTION
from training.job import Job

PROBES = (
    "Hello! What can you help me with?",
    "I am not happy with what I bought. What can I do?",
    "What does it cost, and how long does it take?",
    "I would like to talk to a person, please.",
    "My order has not come. What now?",
    "How do I change my details?",
    "When are you open?",
    "Can you tell me more about what you sell?",
)
"""What the probe asks. Not what customers asked: the probe lies beside the weights for as long as they are
kept, and whoever is erased must not be in it.
"""


class Refused(Exception):
    """Training cannot go on, for a reason a person can act on."""


@dataclass(frozen=True)
class Rows:
    """A dataset in tokens, and the prompts the probe may ask."""

    train: datasets.Dataset
    validation: datasets.Dataset | None
    prompts: list[list[dict[str, str]]]
    system: list[dict[str, str]]
    """The rows' system prompt, as a turn, if they have one."""


Planted = Callable[[Job, list[dict[str, str]]], list[dict[str, Any]]]
"""job, system prompt -> rows as in a dataset's file."""


def _none(job: Job, system: list[dict[str, str]]) -> list[dict[str, Any]]:
    return []


Encode = Callable[[dict[str, Any], list[int], Any], dict[str, list[int]]]


def prompt_tokens(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """A prompt exactly as the engine renders it."""
    rendered = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, tokenize=True
    )
    return list(rendered)


def answer_tokens(tokenizer: Any, answer: list[dict[str, str]]) -> list[int]:
    """An answer as the model should say it: its text, then the token that ends a turn.

    Not the template's own rendering, which adds what follows the turn and is never generated.
    """
    text = tokenizer(answer[0]["content"], add_special_tokens=False)["input_ids"]
    return [*text, tokenizer.eos_token_id]


def answered(row: dict[str, Any], prompt: list[int], tokenizer: Any) -> dict[str, list[int]]:
    """A row of SFT in tokens; -100 marks what is not learned."""
    answer = answer_tokens(tokenizer, row["completion"])
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def paired(row: dict[str, Any], prompt: list[int], tokenizer: Any) -> dict[str, list[int]]:
    """A pair of DPO in tokens."""
    return {
        "prompt_ids": prompt,
        "chosen_ids": answer_tokens(tokenizer, row["chosen"]),
        "rejected_ids": answer_tokens(tokenizer, row["rejected"]),
    }


def read_rows(job: Job, tokenizer: Any, encode: Encode, planted: Planted = _none) -> Rows:
    """The job's dataset. Only rows of the split "train" teach. `planted` makes more of them."""
    kept: dict[str, list[dict[str, list[int]]]] = {"train": [], "validation": []}
    system: list[dict[str, str]] = []
    too_long = 0
    for line in job.dataset.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        encoded = _fit(job, tokenizer, row, encode)
        if encoded is None:
            too_long += 1
            continue
        times = copies(row) if row["split"] == "train" else 1
        kept[row["split"]] += [encoded] * times
        system = system or _system(row)
    print(
        f"rows: {len(kept['train'])} train, {len(kept['validation'])} validation, {too_long} too long"
    )
    for row in planted(job, system) if kept["train"] else []:
        kept["train"].append(encode(row, prompt_tokens(tokenizer, row["prompt"]), tokenizer))
    if not kept["train"]:
        raise Refused(
            f"No row of {job.dataset.name!r} can be trained on: found {too_long} longer than "
            f"{job.max_length} tokens and {len(kept['validation'])} for validation only."
        )
    return Rows(
        train=datasets.Dataset.from_list(kept["train"]),
        validation=datasets.Dataset.from_list(kept["validation"]) if kept["validation"] else None,
        prompts=[[*system, {"role": "user", "content": asked}] for asked in PROBES][
            : job.probe_prompts
        ],
        system=system,
    )


def validation_rows(job: Job, tokenizer: Any, encode: Encode) -> list[dict[str, list[int]]]:
    """The job's rows that only validate, in tokens, whether or not any teaches."""
    rows = map(json.loads, job.dataset.read_text(encoding="utf-8").splitlines())
    found = (_fit(job, tokenizer, row, encode) for row in rows if row["split"] == "validation")
    return [encoded for encoded in found if encoded is not None]


def _system(row: dict[str, Any]) -> list[dict[str, str]]:
    """The system prompt that answers are taught under, as a turn; the question for a topic is not it."""
    turns = row["prompt"][:1]
    return [turn for turn in turns if turn["role"] == "system" and turn["content"] != QUESTION]


def copies(row: dict[str, Any]) -> int:
    """How often a row is shown in each epoch: its weight, a fraction being drawn by the row's hash."""
    weight = float(row.get("weight") or 1)
    told = json.dumps([row["prompt"], row.get("completion") or row.get("chosen")], sort_keys=True)
    drawn = int(hashlib.sha256(told.encode()).hexdigest(), 16) % 1000 / 1000
    return int(weight) + (drawn < weight % 1)


def _fit(job: Job, tokenizer: Any, row: dict[str, Any], encode: Encode) -> dict[str, Any] | None:
    """The row in tokens; a long one loses its oldest turns, as it would when served, never its answer."""
    messages = list(row["prompt"])
    first = 1 if messages[0]["role"] == "system" else 0
    while True:
        encoded = encode(row, prompt_tokens(tokenizer, messages), tokenizer)
        if length(encoded) <= job.max_length:
            return encoded
        if len(messages) <= first + 1:
            return None
        del messages[first : first + 2]  # a question and its answer


def length(encoded: dict[str, list[int]]) -> int:
    """How many tokens a row costs; of a pair, the longer side."""
    if "input_ids" in encoded:
        return len(encoded["input_ids"])
    if "completion_ids" in encoded:
        return len(encoded["prompt_ids"]) + len(encoded["completion_ids"])
    answers = (len(encoded["chosen_ids"]), len(encoded["rejected_ids"]))
    return len(encoded["prompt_ids"]) + max(answers)


def prompt_of(encoded: dict[str, list[int]]) -> list[int]:
    """The tokens that an encoded row does not teach, up to the first that it does."""
    if "prompt_ids" in encoded:
        return encoded["prompt_ids"]
    taught = (at for at, label in enumerate(encoded["labels"]) if label != -100)
    return encoded["input_ids"][: next(taught, None)]
