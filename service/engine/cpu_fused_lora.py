"""The fast path of LoRA on a CPU: a linear layer's adapter in two products.

q, k and v (gate and up) share their input, so their A matrices are one product and their B matrices the
blocks of another. Slots and modules without weights cost nothing. Installed by cpu_lora.py; anything that
is not float32 keeps the operators there.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

import torch

Rows: TypeAlias = "slice | torch.Tensor"
Groups: TypeAlias = "list[tuple[int, Rows]]"
Stacked: TypeAlias = "tuple[torch.Tensor, ...]"


def groups_of(numbers: Sequence[int]) -> Groups:
    """The rows of each adapter, for one adapter number per row. Negative is no adapter."""
    runs: dict[int, list[tuple[int, int]]] = {}
    start = 0
    for number, members in groupby(numbers):
        end = start + sum(1 for _ in members)
        if number >= 0:
            runs.setdefault(number, []).append((start, end))
        start = end
    return [(number, _rows(parts)) for number, parts in runs.items()]


def _rows(parts: list[tuple[int, int]]) -> Rows:
    if len(parts) == 1:
        return slice(*parts[0])
    return torch.tensor([row for start, end in parts for row in range(start, end)])


class Product:
    """inputs @ matrix.T, for one matrix and many inputs: packed once, as vLLM packs its own weights."""

    def __init__(self, matrix: torch.Tensor) -> None:
        from vllm import _custom_ops

        self._outputs, self._handler, self._matrix = matrix.shape[0], None, matrix
        if _custom_ops._supports_onednn:
            self._handler = _custom_ops.create_onednn_mm(matrix.t(), 32)
            self._tensor = self._handler.handler_tensor

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """A new tensor: rows x the matrix's rows."""
        if self._handler is None:
            return torch.nn.functional.linear(inputs, self._matrix)
        output = inputs.new_empty(inputs.shape[0], self._outputs)
        torch.ops._C.onednn_mm(output, inputs, None, self._tensor)
        return output


class LowRank:
    """One adapter's weights of one layer."""

    def __init__(self, a: torch.Tensor, b: torch.Tensor) -> None:
        self._shrink, self._expand = Product(a), Product(b)

    def add(self, output: torch.Tensor, inputs: torch.Tensor, rows: Rows, scale: float) -> None:
        """Add this adapter's change to these rows of the layer's output."""
        change = self._expand(self._shrink(inputs[rows]))
        if isinstance(rows, slice):
            output[rows].add_(change, alpha=scale)
        else:
            output.index_add_(0, rows, change, alpha=scale)


def low_rank(a: Stacked, b: Stacked, slot: int) -> LowRank | None:
    """The fused weights of one slot, or None where they change nothing.

    `a` and `b` hold one tensor per slice of the output (q, k, v), each slots x 1 x rank x inputs
    and slots x 1 x outputs x rank. Ranks an adapter does not use are left out.
    """
    parts_a, parts_b = [], []
    for stacked_a, stacked_b in zip(a, b, strict=True):
        slice_a, slice_b = stacked_a[slot, 0], stacked_b[slot, 0]
        used = slice_a.any(dim=1) & slice_b.any(dim=0)
        parts_a.append(slice_a[used])
        parts_b.append(slice_b[:, used])
    fused = torch.cat(parts_a)
    return LowRank(fused, torch.block_diag(*parts_b).contiguous()) if len(fused) else None


class FusedLayer:
    """The fused weights of one layer's slots, made on first use and again after a slot changed."""

    def __init__(self, a: Stacked, b: Stacked) -> None:
        self._a, self._b = a, b
        self._versions: list[int] = []
        self._slots: dict[int, LowRank | None] = {}

    def slot(self, number: int) -> LowRank | None:
        """What this adapter changes here; None: nothing."""
        versions = [tensor._version for tensor in (*self._a, *self._b)]
        if versions != self._versions:  # vLLM writes adapters into the stacked tensors in place
            self._versions, self._slots = versions, {}
        if number not in self._slots:
            self._slots[number] = low_rank(self._a, self._b, number)
        return self._slots[number]


_layers: dict[int, tuple[Stacked, FusedLayer | None]] = {}  # held, so that the ids stay taken
_filled: dict[int, tuple[torch.Tensor, int, bool]] = {}


def fused_layer(a: Stacked, b: Stacked) -> FusedLayer | None:
    """The same object for the same layer; None where the fast path does not fit."""
    held = _layers.get(id(a))
    if held is None:
        # Inference tensors do not tell when they change.
        fits = all(t.dtype == torch.float32 and not t.is_inference() for t in (*a, *b))
        held = _layers[id(a)] = (a, FusedLayer(a, b) if fits else None)
    return held[1]


def has_weights(stacked: torch.Tensor) -> bool:
    """Whether any slot holds anything but zeros. Vocabulary-sized, so looked at only after changes."""
    if stacked.is_inference():  # these do not tell when they change
        return True
    held = _filled.get(id(stacked))
    if held is None or held[1] != stacked._version:
        held = _filled[id(stacked)] = (stacked, stacked._version, bool(stacked.any()))
    return held[2]


def install(wrapper: Any) -> None:
    """Replace the methods of vLLM's CPU wrapper class that its layers call."""
    if hasattr(wrapper, "understudy_groups"):
        return
    wrapper.understudy_groups = []
    for name, make in {
        "update_metadata": _update_metadata,
        "add_lora_linear": _add_lora_linear,
        "add_lora_embedding": _add_lora_embedding,
        "add_lora_logits": _add_lora_logits,
    }.items():
        setattr(wrapper, name, make(getattr(wrapper, name)))


Method: TypeAlias = Callable[..., None]


def _update_metadata(original: Method) -> Method:
    def update_metadata(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.understudy_groups = groups_of(self.token_lora_indices.tolist())

    return update_metadata


def _add_lora_linear(original: Method) -> Method:
    def add_lora_linear(
        self: Any,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: Stacked,
        lora_b_stacked: Stacked,
        scale: float,
        output_slices: tuple[int, ...],
        **kwargs: Any,
    ) -> None:
        layer = fused_layer(lora_a_stacked, lora_b_stacked)
        if layer is None or kwargs or not y.dtype == x.dtype == torch.float32:
            original(self, y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, **kwargs)
            return
        check_rows(x, self.indices_len[0])
        for number, rows in self.understudy_groups:
            weights = layer.slot(number)
            if weights is not None:
                weights.add(y, x, rows, scale)

    return add_lora_linear


def _add_lora_embedding(original: Method) -> Method:
    def add_lora_embedding(
        self: Any, y: torch.Tensor, x: torch.Tensor, lora_b_stacked: torch.Tensor, **kwargs: Any
    ) -> None:
        if self.understudy_groups and has_weights(lora_b_stacked):
            original(self, y, x, lora_b_stacked, **kwargs)

    return add_lora_embedding


def _add_lora_logits(original: Method) -> Method:
    def add_lora_logits(
        self: Any,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        **kwargs: Any,
    ) -> None:
        if has_weights(lora_b_stacked):
            original(self, y, x, lora_a_stacked, lora_b_stacked, scale, **kwargs)

    return add_lora_logits


def check_rows(inputs: torch.Tensor, rows: int) -> None:
    """Rows without a number would silently go without their adapter."""
    if inputs.shape[0] != rows:
        raise ValueError(f"LoRA got {inputs.shape[0]!r} rows and {rows!r} adapter numbers.")
