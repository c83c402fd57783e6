"""TRL's fused head made cheap on a CPU: the same loss for a fraction of the work.

TRL 1.16 has no switch for it. Used by `trainer.py`; a test holds loss and gradients against TRL's own.
"""

import functools
import types
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl.trainer.utils import FusedCausalLMOutput

from training.prefix_tree import attending_by_tree, can_be_a_tree, prefix_tree

NOT_COMPUTED = ("entropy", "logits/chosen", "logits/rejected")
"""TRL's statistics over the whole vocabulary, which the cheap head leaves out."""


def cheap_head(model: Any) -> None:
    """Make TRL's fused head cheap on a CPU; the loss stays the same.

    TRL's own multiplies every position by the vocabulary and takes entropy and mean logits there; on a
    GPU its kernel skips unlabelled positions, so there, and for heads that scale or cap their logits, it
    stays. Here the head sees labelled positions only, and the body what rows begin with in common once
    (prefix_tree.py).
    """
    base = model.get_base_model()
    if not _can_be_cheap(base):
        return
    plain_forward = base.forward

    @functools.wraps(type(base).forward)  # `generate` reads from it what the model takes
    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **inputs: Any
    ) -> Any:
        if not fused_lm_head:
            return plain_forward(*args, labels=labels, **inputs)
        hidden = _hidden_states(self, labels=labels, **inputs)
        labels = labels[:, 1:]
        mask = labels != -100
        logits = self.get_output_embeddings()(hidden).float()
        wanted = labels[mask]
        log_probs = -cross_entropy(logits, wanted, reduction="none")
        zeros = log_probs.new_zeros(mask.shape)
        return FusedCausalLMOutput(
            log_probs=zeros.masked_scatter(mask, log_probs),
            entropy=zeros,
            mean_logits=zeros,
            is_top1=mask.new_zeros(mask.shape).masked_scatter(mask, logits.argmax(-1) == wanted),
            label_mask=mask,
        )

    base.forward = types.MethodType(forward, base)


def _can_be_cheap(base: Any) -> bool:
    config = base.config.get_text_config()
    special = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier")
    return (
        base.device.type == "cpu"
        and all(getattr(config, name, None) is None for name in (*special, "logits_scaling"))
        and not hasattr(config, "output_router_logits")  # mixtures of experts have a loss beside
    )


def becomes_a_tree(base: Any) -> bool:
    """Whether batches of this model will be computed as trees."""
    return _can_be_cheap(base) and can_be_a_tree(base)


def _hidden_states(
    model: Any, *, input_ids: Any, attention_mask: Any, labels: Any, **_: Any
) -> Any:
    """The body's output where a label is predicted: labels x size, row after row."""
    predicts = labels[:, 1:] != -100
    if not can_be_a_tree(model):
        body = model.base_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        return body.last_hidden_state[:, :-1][predicts]
    # What stands after the last token that predicts one has no part in the loss.
    until = (predicts * torch.arange(1, labels.shape[1])).amax(dim=1, keepdim=True).clamp(min=1)
    read = attention_mask.bool() & (torch.arange(labels.shape[1]) < until)
    tree = prefix_tree([ids[kept].tolist() for ids, kept in zip(input_ids, read, strict=True)])
    places = torch.zeros_like(input_ids)
    places[read] = torch.tensor([place for row in tree.places for place in row])
    with attending_by_tree(model):
        body = model.base_model(
            input_ids=tree.input_ids,
            position_ids=tree.position_ids,
            prefix_tree=tree,
            use_cache=False,
        )
    return body.last_hidden_state[0, places[:, :-1][predicts]]
