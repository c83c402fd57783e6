"""TRL's fused head made cheap on a CPU: the same loss for a fraction of the work.

TRL 1.16 has no switch for it. Used by `trainer.py`; a test holds loss and gradients against TRL's own.
"""

import types
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import DynamicCache
from trl.trainer.utils import FusedCausalLMOutput

NOT_COMPUTED = ("entropy", "logits/chosen", "logits/rejected")
"""TRL's statistics over the whole vocabulary, which the cheap head leaves out."""


def cheap_head(model: Any) -> None:
    """Make TRL's fused head cheap on a CPU; the loss stays the same.

    TRL's own multiplies every position by the vocabulary and takes entropy and mean logits there; on a
    GPU its kernel skips unlabelled positions, so there, and for heads that scale or cap their logits, it
    stays. Here the head sees labelled positions only, and the tokens all rows begin with (the system
    prompt) go through the body once per batch instead of once per row.
    """
    base = model.get_base_model()
    config = base.config.get_text_config()
    special = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier")
    if base.device.type != "cpu" or any(
        getattr(config, name, None) is not None for name in (*special, "logits_scaling")
    ):
        return
    plain_forward = base.forward

    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **inputs: Any
    ) -> Any:
        if not fused_lm_head:
            return plain_forward(*args, labels=labels, **inputs)
        hidden, labels = _hidden_states(self, labels=labels, **inputs)
        mask = labels != -100
        logits = self.get_output_embeddings()(hidden[mask]).float()
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


def _hidden_states(
    model: Any, *, input_ids: Any, attention_mask: Any, labels: Any, **_: Any
) -> tuple[Any, Any]:
    """The body's output at all positions that predict a label, with the labels they predict."""
    shared = _shared_prefix(input_ids, labels)
    if shared == 0:
        body = model.base_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        return body.last_hidden_state[:, :-1], labels[:, 1:]
    cache = DynamicCache(config=model.config)
    model.base_model(input_ids=input_ids[:1, :shared], past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(input_ids))
    body = model.base_model(
        input_ids=input_ids[:, shared:],
        attention_mask=attention_mask,
        past_key_values=cache,
        use_cache=True,
    )
    hidden = body.last_hidden_state[:, :-1]
    # TRL wants a column per predicted token; nothing in the shared part predicts a label
    return torch.nn.functional.pad(hidden, (0, 0, shared, 0)), labels[:, 1:]


def _shared_prefix(input_ids: Any, labels: Any) -> int:
    """How many tokens all rows begin with, short of the one that predicts the first label."""
    if len(input_ids) == 1:
        return 0
    differs = ((input_ids != input_ids[:1]) | (labels != -100)).any(dim=0)
    until = int(differs.int().argmax()) if bool(differs.any()) else 0
    return max(0, until - 1)
