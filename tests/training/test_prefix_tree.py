"""A batch computed as a tree is the batch computed row by row, with less work."""

import random
from typing import Any

import peft
import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from training.cheap_head import cheap_head
from training.prefix_tree import SHORTEST, can_be_a_tree, prefix_tree, tree_attention

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


def talks(seed: int, rows: int = 7) -> list[list[int]]:
    """Rows that go on from one another, split off, repeat each other or have nothing in common."""
    chance = random.Random(seed)
    found: list[list[int]] = [[chance.randrange(60) for _ in range(12)]]
    while len(found) < rows:
        parent = chance.choice(found)
        kept = parent[: chance.choice([0, 3, SHORTEST, len(parent), len(parent)])]
        found.append(kept + [chance.randrange(60) for _ in range(chance.randrange(1, 20))])
    found.append(list(found[-1]))
    chance.shuffle(found)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_found_along_the_tree(seed: int) -> None:
    rows = talks(seed)
    tree = prefix_tree(rows)
    for row, places in zip(rows, tree.places, strict=True):
        assert tree.input_ids[0, places].tolist() == row
        assert tree.position_ids[0, places].tolist() == list(range(len(row)))
    assert tree.input_ids.shape[1] == sum(stretch.length for stretch in tree.stretches)


def test_what_is_in_common_stands_there_once() -> None:
    system, talk = list(range(20)), list(range(20, 40))
    tree = prefix_tree([system + talk + [1], system + talk + [2, 3], system + [4] * 9, [5]])
    assert tree.input_ids.shape[1] == 20 + 20 + 1 + 2 + 9 + 1
    assert sorted(len(stretch.before) for stretch in tree.stretches) == [0, 0, 1, 1, 2, 2]


def test_a_few_tokens_in_common_are_not_worth_a_stretch() -> None:
    few = list(range(SHORTEST - 1))
    assert len(prefix_tree([[*few, 50, 50], [*few, 51, 51]]).stretches) == 2


def lora(model: Any) -> Any:
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    )
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return adapted.eval()


def padded(rows: list[list[int]], seed: int) -> dict[str, Any]:
    """A batch as TRL's collators make it; each row teaches its last few tokens, one of them in two places."""
    chance = random.Random(seed)
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
        taught = chance.randrange(1, max(2, len(row) // 2))
        labels[number, len(row) - taught : len(row)] = ids[number, len(row) - taught : len(row)]
    labels[0, 1] = ids[0, 1]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_its_probabilities_and_gradients_are_those_of_each_row_alone(kind: str, seed: int) -> None:
    torch.manual_seed(seed)
    base: Any = (
        LlamaForCausalLM(LlamaConfig(**SIZES))
        if kind == "llama"
        else Qwen3ForCausalLM(Qwen3Config(**SIZES))
    )
    model = lora(base)
    batch = padded(talks(seed), seed)

    def gradients(loss: Any) -> list[Any]:
        model.zero_grad()
        loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    told = torch.log_softmax(logits[:, :-1], dim=-1)
    labels = batch["labels"][:, 1:]
    wanted = told.gather(2, labels.clamp(min=0)[..., None])[..., 0] * (labels != -100)
    expected = gradients(-wanted.sum())

    cheap_head(model)
    assert base._supports_logits_to_keep(), "generate asks the signature what the model takes"
    found = model(**batch, fused_lm_head=True).log_probs
    torch.testing.assert_close(found, wanted.detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(-found.sum()), expected, atol=1e-4, rtol=1e-4)
    assert max(gradient.abs().max() for gradient in expected) > 0


def test_an_attention_that_a_tree_does_not_know_is_refused_and_not_guessed() -> None:
    tree = prefix_tree([[1, 2, 3]])
    heads = torch.zeros(1, 2, 3, 8)
    with pytest.raises(ValueError, match="sliding_window"):
        tree_attention(None, heads, heads, heads, None, prefix_tree=tree, sliding_window=4)
    with pytest.raises(ValueError, match="a mask of its own"):
        tree_attention(None, heads, heads, heads, heads[..., 0], prefix_tree=tree)


def test_a_model_that_does_not_look_back_all_the_way_keeps_its_own_attention() -> None:
    sliding = Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, sliding_window=4))
    assert not can_be_a_tree(sliding)
    assert can_be_a_tree(LlamaForCausalLM(LlamaConfig(**SIZES)))
