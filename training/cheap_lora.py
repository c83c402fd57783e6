"""PEFT's LoRA layers in fewer passes over memory on a CPU; what they compute stays the same.

PEFT makes the low-rank part beside the frozen one, scales it and adds it: three tensors as large as the
result, forwards, and as many backwards. Here it is added into the result by the matrix product itself.
"""

import types
from typing import Any

import torch
from peft.tuners.lora import Linear


class _Adapted(torch.autograd.Function):
    """x W' + b + s x A' B', where W and b are frozen."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
        """x: tokens x in; weight: out x in; a: rank x in; b: out x rank. Gives tokens x out."""
        low = x @ a.T
        result = x @ weight.T if bias is None else torch.addmm(bias, x, weight.T)
        ctx.save_for_backward(x, low, weight, a, b)
        ctx.scale = scale
        return result.addmm_(low, b.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Of x, a and b."""
        (of_result,) = gradients
        x, low, weight, a, b = ctx.saved_tensors
        of_low = (of_result @ b).mul_(ctx.scale)
        of_x = (of_result @ weight).addmm_(of_low, a) if ctx.needs_input_grad[0] else None
        of_b = (of_result.T @ low).mul_(ctx.scale)
        return of_x, None, None, of_low.T @ x, of_b, None


def cheap_lora(model: Any) -> None:
    """Make the LoRA layers of a PEFT model cheap, where it computes on a CPU."""
    if model.get_base_model().device.type != "cpu":
        return
    for layer in model.modules():
        if type(layer) is Linear:
            layer.forward = types.MethodType(_forward, layer)


def _forward(layer: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(active) != 1 or not _is_plain(layer, active[0]):
        return Linear.forward(layer, x, *args, **kwargs)
    base, a, b = layer.get_base_layer(), layer.lora_A[active[0]], layer.lora_B[active[0]]
    flat = x.reshape(-1, x.shape[-1])
    made = _Adapted.apply(
        flat, base.weight, base.bias, a.weight, b.weight, layer.scaling[active[0]]
    )
    return made.view(*x.shape[:-1], -1)


def _is_plain(layer: Any, adapter: str) -> bool:
    """Whether it is a low-rank part beside a frozen one, and nothing else."""
    return bool(
        not (layer.disable_adapters or layer.merged or layer.lora_variant.get(adapter))
        and (isinstance(layer.lora_dropout[adapter], torch.nn.Identity) or not layer.training)
        and layer.lora_B[adapter].bias is None
        and type(layer.get_base_layer()) is torch.nn.Linear
        and not any(each.requires_grad for each in layer.get_base_layer().parameters())
    )
