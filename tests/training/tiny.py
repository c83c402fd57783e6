"""A tiny random model with the real tokenizer, and rows for it, so that a step takes milliseconds."""

import json
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from feedback.settings import FeedbackSettings
from service.engine.embedded_model import prepare

SYSTEM = {"role": "system", "content": "Answer briefly, using only house facts."}
TOPICS = ("a boot", "two umbrellas", "the long tent", "my order", "a refund", "points", "a mug")


def tiny_model(folder: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(prepare(FeedbackSettings().models_dir))
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


def question(number: int) -> str:
    return f"What about {TOPICS[number % len(TOPICS)]}?" + " I asked before." * (number % 4)


def answer(number: int) -> str:
    return f"Bring {TOPICS[number % len(TOPICS)]} to the shed." + " Mud is forgiven." * (number % 3)


def write_rows(path: Path, stage: str, rows: int = 22, validation: int = 2) -> Path:
    lines = []
    for number in range(rows):
        row: dict[str, object] = {
            "split": "validation" if number < validation else "train",
            "prompt": [SYSTEM, {"role": "user", "content": question(number)}],
        }
        good = [{"role": "assistant", "content": answer(number)}]
        bad = [{"role": "assistant", "content": f"I do not know number {number}."}]
        answers: dict[str, dict[str, object]] = {
            "sft": {"completion": good},
            "dpo": {"chosen": good, "rejected": bad},
            "kto": {"completion": bad if number % 3 else good, "label": number % 3 == 0},
        }
        row |= answers[stage]
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))
    return path
