"""How LLaMA-Factory and axolotl want to read a dataset: one list of messages, and a file that says so.

Used by exports.py for the format `messages`. Only the last answer is to be learned: earlier ones may
have been wrong.
"""

import json
from typing import Any

from feedback.tables import Dataset, DatasetItem, DatasetKind, Split

COLUMNS = {
    DatasetKind.SFT: {"messages": "messages"},
    DatasetKind.DPO: {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
    DatasetKind.KTO: {"messages": "messages", "kto_tag": "label"},
}
"""LLaMA-Factory's names for the columns, and ours."""
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def row(item: DatasetItem) -> dict[str, Any]:
    """One row: the messages; for a pair both answers beside them, for KTO whether the last is good."""
    answer = {"role": "assistant", "content": item.chosen}
    if item.rejected is not None:
        rejected = {"role": "assistant", "content": item.rejected}
        return {"messages": item.prompt, "chosen": answer, "rejected": rejected}
    before = [{**turn, "train": False} for turn in item.prompt]
    said = {"messages": [*before, {**answer, "train": True}]}
    return said if item.label is None else said | {"label": item.label}


def dataset_info(dataset: Dataset, splits: list[Split]) -> str:
    """LLaMA-Factory's dataset_info.json: a name for each split, such as sft-1a2b3c4d5e6f_train."""
    told: dict[str, Any] = {
        "formatting": "sharegpt",
        "columns": COLUMNS[DatasetKind(dataset.kind)],
        "tags": TAGS,
    }
    if dataset.kind == DatasetKind.DPO:
        told["ranking"] = True
    named = {f"{dataset.name}_{split}": {"file_name": f"{split}.jsonl", **told} for split in splits}
    return json.dumps(named, indent=2) + "\n"


def axolotl_config(dataset: Dataset, splits: list[Split]) -> str | None:
    """The part of an axolotl configuration that reads the folder; None where axolotl has no such rows."""
    if dataset.kind == DatasetKind.KTO:  # it reads KTO rows of single questions only
        return None
    how = (
        ["    type: chat_template.default", "    field_messages: messages"]
        if dataset.kind == DatasetKind.DPO
        else [
            "    type: chat_template",
            "    field_messages: messages",
            "    message_field_training: train",
            "    roles_to_train: []",
        ]
    )
    lines = ["rl: dpo"] if dataset.kind == DatasetKind.DPO else []
    for key, split in (("datasets", Split.TRAIN), ("test_datasets", Split.VALIDATION)):
        if split in splits:
            lines += [
                f"{key}:",
                f"  - path: {split}.jsonl",
                "    ds_type: json",
                "    split: train",
            ]
            lines += how
    return "\n".join(lines) + "\n"
