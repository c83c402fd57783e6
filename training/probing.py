"""What a trained adapter says by itself: the evidence an engine is later held against.

See `service/probe.py`, which asks the engine for the same tokens.
"""

from typing import Any

import torch
from transformers import GenerationConfig

from feedback.adapter_folder import ProbeCase
from training.rows import prompt_tokens


def probe(
    model: Any, tokenizer: Any, prompts: list[list[dict[str, str]]], tokens: int
) -> list[ProbeCase]:
    """The trained model's own greedy answers, and how likely it and the base find each token."""
    rendered = [prompt_tokens(tokenizer, messages) for messages in prompts]
    width = max(map(len, rendered))
    padded = [[tokenizer.pad_token_id] * (width - len(ids)) + ids for ids in rendered]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in rendered]
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.inference_mode():
        generated = model.generate(
            input_ids=torch.tensor(padded, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=greedy,
        )
        cases = []
        for messages, prompt, row in zip(prompts, rendered, generated[:, width:], strict=True):
            said = _until(row.tolist(), tokenizer.eos_token_id)
            whole = torch.tensor([prompt + said], device=model.device)
            adapter = _log_probs(model, whole, len(said))
            with model.disable_adapter():
                base = _log_probs(model, whole, len(said))
            case = ProbeCase(
                messages=messages,
                answer=tokenizer.decode(said, skip_special_tokens=True),
                tokens=said,
                adapter_logprobs=adapter,
                base_logprobs=base,
            )
            cases.append(case)
    return cases


def _until(tokens: list[int], end: int) -> list[int]:
    """An answer with the token that ends it, without the padding behind."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def _log_probs(model: Any, whole: Any, said: int) -> list[float]:
    """The log-probabilities of the last `said` tokens, from one forward pass."""
    kept = model(input_ids=whole, use_cache=False, logits_to_keep=said + 1).logits
    logits = kept[0, :-1].float()
    return logits.log_softmax(-1).gather(-1, whole[0, -said:, None])[:, 0].tolist()
