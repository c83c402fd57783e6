"""Layers that vLLM's CPU build computes in many small steps although it carries a kernel for each.

Its root mean square norm and SiLU-and-multiply go through plain torch operators unless the model is
compiled, which LoRA forbids on a CPU. Installed by cpu_lora.py.
"""

import os
from typing import Any

import torch


def install() -> None:
    """Let these layers use the kernels. Layers made before keep what they had."""
    from vllm.model_executor.layers.activation import SiluAndMul
    from vllm.model_executor.layers.layernorm import RMSNorm
    from vllm.platforms.cpu import CpuPlatform

    RMSNorm.forward_cpu = rms_norm
    SiluAndMul.forward_cpu = silu_and_mul
    if os.environ.get("TORCH_COMPILE_DISABLE") == "1":
        # Attention hides behind a custom operator for the compiler's sake; without one, call it.
        CpuPlatform.opaque_attention_op = classmethod(lambda cls: False)


def rms_norm(
    self: Any, x: torch.Tensor, residual: torch.Tensor | None = None
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """vLLM's RMSNorm.forward: normed, or normed and the sum it was computed from."""
    plain = self.pass_weight and self.variance_size_override is None
    if not plain or x.dtype != self.weight.dtype or not x.is_contiguous():
        return self.forward_native(x, residual)
    if residual is None:
        output = torch.empty_like(x)
        torch.ops._C.rms_norm(output, x, self.weight, self.variance_epsilon)
        return output
    torch.ops._C.fused_add_rms_norm(x, residual, self.weight, self.variance_epsilon)
    return x, residual


def silu_and_mul(self: Any, x: torch.Tensor) -> torch.Tensor:
    """vLLM's SiluAndMul.forward."""
    output = x.new_empty((*x.shape[:-1], x.shape[-1] // 2))
    torch.ops._C.silu_and_mul(output, x.contiguous())
    return output
