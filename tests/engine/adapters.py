"""Small random adapters whose answers clearly differ from the base model's and from each other's.

PEFT makes and saves them, so they look exactly like what training publishes. Called by tests only.
"""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def make_adapter(model: str, folder: Path, *, rank: int, seed: int, strength: float = 0.05) -> Path:
    """Save a seeded adapter on every linear layer, with a B that is not zero."""
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    for name, weights in adapted.named_parameters():
        if "lora_" in name:
            noise = torch.randn(weights.shape, generator=generator)
            weights.data.copy_(noise * strength * (16 / rank) ** 0.5)  # small ranks change less
    adapted.save_pretrained(str(folder))
    return folder
