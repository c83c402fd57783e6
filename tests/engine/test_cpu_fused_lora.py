"""The fused fast path against a reference that treats every row by itself. No engine needed."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service.engine import cpu_fused_lora, cpu_layers

SLOTS, RANK, INPUTS = 3, 4, 12
SLICES = (10, 6, 6)

Numbers = list[int]
mixed = st.lists(st.integers(-1, SLOTS - 1), min_size=1, max_size=24)


class Wrapper:
    """What vLLM's CPU wrapper knows; its own methods must not be needed here."""

    def __init__(self) -> None:
        self.numbers: Numbers = []
        self.asked: list[str] = []

    @property
    def indices_len(self) -> list[int]:
        return [len(self.numbers)]

    @property
    def token_lora_indices(self) -> torch.Tensor:
        return torch.tensor(self.numbers, dtype=torch.long)

    def update_metadata(self, numbers: Numbers) -> None:
        self.numbers = numbers

    def add_lora_linear(self, *given: Any, **named: Any) -> None:
        self.asked.append("linear")

    def add_lora_embedding(self, *given: Any, **named: Any) -> None:
        self.asked.append("embedding")

    def add_lora_logits(self, *given: Any, **named: Any) -> None:
        self.asked.append("logits")


cpu_fused_lora.install(Wrapper)


def layer(seed: int) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Three slices, as q, k and v. Slot 1 has rank 2 and no weights for the second slice."""
    generator = torch.Generator().manual_seed(seed)
    a = tuple(torch.randn(SLOTS, 1, RANK, INPUTS, generator=generator) for _ in SLICES)
    b = tuple(torch.randn(SLOTS, 1, width, RANK, generator=generator) for width in SLICES)
    for stacked_a, stacked_b in zip(a, b, strict=True):
        stacked_a[1, 0, 2:], stacked_b[1, 0, :, 2:] = 0, 0
    a[1][1], b[1][1] = 0, 0
    return a, b


def expected(
    x: torch.Tensor, before: torch.Tensor, a: Any, b: Any, numbers: Numbers, scale: float
) -> torch.Tensor:
    rows = []
    for row, old, number in zip(x, before, numbers, strict=True):
        new = old.clone()
        if number >= 0:
            parts = [sb[number, 0] @ (sa[number, 0] @ row) for sa, sb in zip(a, b, strict=True)]
            new += scale * torch.cat(parts)
        rows.append(new)
    return torch.stack(rows)


def applied(
    x: torch.Tensor, before: torch.Tensor, a: Any, b: Any, numbers: Numbers, scale: float = 1.0
) -> torch.Tensor:
    wrapper: Any = Wrapper()
    wrapper.update_metadata(numbers)
    y = before.clone()
    wrapper.add_lora_linear(y, x, a, b, scale, SLICES)
    assert wrapper.asked == []
    return y


@given(mixed, st.integers(0, 5), st.sampled_from([1.0, 0.5]))
def test_any_mixture_of_adapters_and_none_equals_row_by_row(
    numbers: Numbers, seed: int, scale: float
) -> None:
    a, b = layer(seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(numbers), INPUTS, generator=generator)
    before = torch.randn(len(numbers), sum(SLICES), generator=generator)
    found = applied(x, before, a, b, numbers, scale)
    torch.testing.assert_close(found, expected(x, before, a, b, numbers, scale))
    alone = [n for n, number in enumerate(numbers) if number < 0]
    assert torch.equal(found[alone], before[alone])  # without an adapter: not even rounded


@given(mixed)
def test_groups_hold_each_row_of_an_adapter_once_and_none_without(numbers: Numbers) -> None:
    every = torch.arange(len(numbers))
    found = {number: every[rows].tolist() for number, rows in cpu_fused_lora.groups_of(numbers)}
    wanted = {n: [r for r, m in enumerate(numbers) if m == n] for n in set(numbers) if n >= 0}
    assert found == wanted


def test_rows_that_follow_each_other_are_not_copied() -> None:
    assert cpu_fused_lora.groups_of([-1, 2, 2, 0]) == [(2, slice(1, 3)), (0, slice(3, 4))]
    assert cpu_fused_lora.groups_of([]) == []


def test_weights_written_in_place_are_noticed() -> None:
    """That is how vLLM swaps an adapter into a slot, and empties it."""
    a, b = layer(1)
    x, before = torch.randn(4, INPUTS), torch.zeros(4, sum(SLICES))
    numbers = [0, 2, 0, -1]
    old = applied(x, before, a, b, numbers)
    a[2][0, 0, :2].copy_(torch.randn(2, INPUTS))
    new = applied(x, before, a, b, numbers)
    torch.testing.assert_close(new, expected(x, before, a, b, numbers, 1.0))
    assert not torch.equal(old, new)
    for stacked in (*a, *b):
        stacked[0] = 0
    assert torch.equal(applied(x, before, a, b, [0] * 4), before)


def test_a_slot_without_weights_here_costs_no_product() -> None:
    a, b = layer(2)
    for stacked in b:
        stacked[0] = 0
    assert cpu_fused_lora.low_rank(a, b, 0) is None
    assert cpu_fused_lora.low_rank(a, b, 1) is not None


def test_rows_without_a_number_are_refused() -> None:
    a, b = layer(3)
    with pytest.raises(ValueError, match="3 rows and 2 adapter numbers"):
        applied(torch.randn(3, INPUTS), torch.zeros(3, sum(SLICES)), a, b, [0, 1])


def test_other_precisions_and_untracked_weights_keep_the_operators() -> None:
    a, b = layer(4)
    wrapper: Any = Wrapper()
    wrapper.update_metadata([0])
    halves = torch.randn(1, INPUTS).to(torch.bfloat16)
    wrapper.add_lora_linear(torch.zeros(1, sum(SLICES)), halves, a, b, 1.0, SLICES)
    with torch.inference_mode():
        untracked = tuple(stacked.clone() for stacked in a)
    x = torch.randn(1, INPUTS)
    wrapper.add_lora_linear(torch.zeros(1, sum(SLICES)), x, untracked, b, 1.0, SLICES)
    assert wrapper.asked == ["linear", "linear"]


def test_embedding_and_head_are_computed_only_once_an_adapter_changes_them() -> None:
    a, b = torch.zeros(SLOTS, 1, RANK, INPUTS), torch.zeros(SLOTS, 1, 30, RANK)
    wrapper: Any = Wrapper()
    wrapper.update_metadata([0, -1])
    y, x = torch.zeros(2, 30), torch.zeros(2, INPUTS)
    wrapper.add_lora_embedding(y, x, b)
    wrapper.add_lora_logits(y, x, a, b, 1.0)
    assert wrapper.asked == []
    b[1] = 1
    wrapper.add_lora_embedding(y, x, b)
    wrapper.add_lora_logits(y, x, a, b, 1.0)
    assert wrapper.asked == ["embedding", "logits"]


class Norm:
    pass_weight, variance_size_override, variance_epsilon = True, None, 1e-5
    weight = torch.linspace(0.5, 2, 48)


def normed(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * Norm.weight


def test_the_norm_and_the_activation_equal_torchs_own() -> None:
    import vllm._custom_ops  # noqa: F401 - loads the kernels

    x, residual = torch.randn(5, 48) * 3, torch.randn(5, 48)
    torch.testing.assert_close(cpu_layers.rms_norm(Norm(), x.clone()), normed(x))
    both = cpu_layers.rms_norm(Norm(), x.clone(), residual.clone())
    torch.testing.assert_close(both, (normed(x + residual), x + residual))
    gate, up = x.chunk(2, dim=-1)
    torch.testing.assert_close(
        cpu_layers.silu_and_mul(None, x), torch.nn.functional.silu(gate) * up
    )
