"""What the engine serves is what the trainer's own stack computes: PEFT's greedy answers, token for
token, through an adapter and through the base model."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.engine.asking import PROMPTS, answers_together
from tests.engine_process import EngineProcess

pytestmark = pytest.mark.engine

MAX_TOKENS = 24


def test_served_answers_equal_pefts(engine: EngineProcess, adapters: dict[str, Path]) -> None:
    assert len(PROMPTS) >= 20
    expected = generated(engine.model, adapters["adapter-b"], PROMPTS)
    asked = [("adapter-b", prompt) for prompt in PROMPTS]
    assert answers_together(engine, asked, MAX_TOKENS) == expected


def test_served_base_equals_transformers(engine: EngineProcess) -> None:
    expected = generated(engine.model, None, PROMPTS[:6])
    asked = [("base", prompt) for prompt in PROMPTS[:6]]
    assert answers_together(engine, asked, MAX_TOKENS) == expected


def generated(model: str, adapter: Path | None, prompts: list[str]) -> list[list[int]]:
    """Greedy answers of transformers (and PEFT), all prompts in one left-padded batch."""
    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter:
        network = PeftModel.from_pretrained(network, str(adapter))
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    batch = tokenizer.apply_chat_template(
        conversations,
        add_generation_prompt=True,
        padding=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        output = network.eval().generate(**batch, max_new_tokens=MAX_TOKENS, do_sample=False)
    answers = output[:, batch["input_ids"].shape[1] :].tolist()
    return [until_end(answer, tokenizer.eos_token_id) for answer in answers]


def until_end(token_ids: list[int], end: int) -> list[int]:
    """Without the padding after the end of the answer."""
    return token_ids[: token_ids.index(end) + 1] if end in token_ids else token_ids
