"""The six LoRA operators against a reference that treats every row by itself. No engine needed."""

import itertools

import pytest
import torch

from service.engine import cpu_lora

SLOTS, RANK, WIDE, NARROW = 3, 4, 12, 5
NUMBERS = [
    [0],
    [-1],
    [-1, -1, -1],
    [2, 2, 2, 2],
    [0, -1, 2, 0, 1, -1],
    [1, 1, -1, -1, 2, 2, 2, 0],
    [-1, 2],
    [0, 1, 0, 1, 0],
]

seeded = torch.Generator()


@pytest.fixture(autouse=True)
def _seed() -> None:
    seeded.manual_seed(7)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded)


def stacked(outputs: int, inputs: int, *, four_dimensions: bool) -> torch.Tensor:
    return random(SLOTS, 1, outputs, inputs) if four_dimensions else random(SLOTS, outputs, inputs)


def naive(x: torch.Tensor, weights: torch.Tensor, numbers: list[int]) -> torch.Tensor:
    """Row by row; no adapter gives zeros."""
    matrices = weights.reshape(SLOTS, *weights.shape[-2:])
    rows = [
        torch.zeros(matrices.shape[1]) if number < 0 else matrices[number] @ row
        for row, number in zip(x, numbers, strict=True)
    ]
    return torch.stack(rows)


def run_arguments(
    numbers: list[int],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, int, int]:
    """The metadata vLLM passes to the sgmv operators: one entry per run of equal numbers."""
    runs = [(number, len(list(rows))) for number, rows in itertools.groupby(numbers)]
    lengths = torch.tensor([length for _, length in runs])
    starts = lengths.cumsum(0) - lengths
    indices = torch.tensor([number for number, _ in runs])
    return starts, lengths, indices, len(runs), int(lengths.max()), len(numbers)


@pytest.mark.parametrize("four_dimensions", [True, False])
@pytest.mark.parametrize("numbers", NUMBERS)
def test_shrink(numbers: list[int], four_dimensions: bool) -> None:
    x = random(len(numbers), WIDE)
    weights = stacked(RANK, WIDE, four_dimensions=four_dimensions)
    dirty = random(len(numbers), RANK + 2)  # a buffer may be wider, and hold old values
    expected = dirty.clone()
    expected[:, :RANK] = 0.5 * naive(x, weights, numbers)

    by_row, by_run = dirty.clone(), dirty.clone()
    cpu_lora.bgmv_shrink(x, weights, by_row, torch.tensor(numbers), 0.5)
    cpu_lora.sgmv_shrink(x, weights, by_run, *run_arguments(numbers), 0.5)
    torch.testing.assert_close(by_row, expected)
    torch.testing.assert_close(by_run, expected)


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("width", [NARROW, NARROW + 3, NARROW - 2])
@pytest.mark.parametrize("numbers", NUMBERS)
def test_expand_over_the_shared_columns(numbers: list[int], width: int, add: bool) -> None:
    x = random(len(numbers), RANK)
    weights = stacked(NARROW, RANK, four_dimensions=True)
    before = random(len(numbers), width)
    shared = min(width, NARROW)
    expected = before.clone()
    expected[:, :shared] = naive(x, weights, numbers)[:, :shared] + add * before[:, :shared]

    by_row, by_run = before.clone(), before.clone()
    cpu_lora.bgmv_expand(x, weights, by_row, torch.tensor(numbers), add)
    cpu_lora.sgmv_expand(x, weights, by_run, *run_arguments(numbers), add)
    torch.testing.assert_close(by_row, expected)
    torch.testing.assert_close(by_run, expected)


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("numbers", NUMBERS)
def test_expand_into_a_slice(numbers: list[int], add: bool) -> None:
    x = random(len(numbers), RANK)
    weights = stacked(NARROW, RANK, four_dimensions=True)
    before = random(len(numbers), WIDE)
    columns = slice(3, 3 + NARROW)
    expected = before.clone()
    expected[:, columns] = naive(x, weights, numbers) + add * before[:, columns]

    by_row, by_run = before.clone(), before.clone()
    cpu_lora.bgmv_expand_slice(x, weights, by_row, torch.tensor(numbers), 3, NARROW, add)
    cpu_lora.sgmv_expand_slice(x, weights, by_run, *run_arguments(numbers), 3, NARROW, add)
    torch.testing.assert_close(by_row, expected)
    torch.testing.assert_close(by_run, expected)


def test_rows_follow_changes_of_the_same_tensor() -> None:
    """vLLM writes each pass's numbers into one buffer and passes views of it."""
    buffer = torch.full((8,), -1)
    x, weights = random(4, WIDE), stacked(RANK, WIDE, four_dimensions=True)
    for numbers in ([0, 0, 1, 1], [1, 1, 0, 0], [-1, 2, -1, 2], [-1] * 4):
        buffer[:4].copy_(torch.tensor(numbers))
        for _ in range(2):
            output = torch.empty(4, RANK)
            cpu_lora.bgmv_shrink(x, weights, output, buffer[:4], 1.0)
            torch.testing.assert_close(output, naive(x, weights, numbers))


def test_inference_tensors_are_computed_too() -> None:
    with torch.inference_mode():
        indices = torch.tensor([0, 1])
        x, weights = random(2, WIDE), stacked(RANK, WIDE, four_dimensions=True)
        for numbers in ([0, 1], [1, -1]):
            indices.copy_(torch.tensor(numbers))
            output = torch.empty(2, RANK)
            cpu_lora.bgmv_shrink(x, weights, output, indices, 1.0)
            torch.testing.assert_close(output, naive(x, weights, numbers))


def test_half_precision_weights_are_computed_in_the_outputs_type() -> None:
    x = random(3, WIDE).to(torch.bfloat16)
    weights = stacked(RANK, WIDE, four_dimensions=True).to(torch.bfloat16)
    output = torch.empty(3, RANK)
    cpu_lora.bgmv_shrink(x, weights, output, torch.tensor([0, -1, 2]), 1.0)
    torch.testing.assert_close(output, naive(x.float(), weights.float(), [0, -1, 2]))


def test_a_prompt_being_scored_has_more_rows_than_requests_run() -> None:
    """vLLM gives the head all rows of one prompt, and one number per running request."""
    x, weights = random(6, WIDE), stacked(RANK, WIDE, four_dimensions=True)
    output = torch.empty(6, RANK)
    cpu_lora.bgmv_shrink(x, weights, output, torch.tensor([2]), 1.0)
    torch.testing.assert_close(output, naive(x, weights, [2] * 6))
    cpu_lora.bgmv_shrink(x, torch.zeros_like(weights), output, torch.tensor([0, -1]), 1.0)
    torch.testing.assert_close(output, torch.zeros(6, RANK))
    with pytest.raises(ValueError, match="6 rows and 2 adapter numbers"):
        cpu_lora.bgmv_shrink(x, weights, output, torch.tensor([0, -1]), 1.0)


def test_rows_without_a_number_are_refused() -> None:
    x, weights = random(3, WIDE), stacked(RANK, WIDE, four_dimensions=True)
    with pytest.raises(ValueError, match="3 rows and 2 adapter numbers"):
        cpu_lora.sgmv_shrink(x, weights, torch.empty(3, RANK), *run_arguments([0, 1]), 1.0)


def test_unknown_release_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"found '0\.33\.1'"):
        cpu_lora._require_known_release("0.33.1")
    cpu_lora._require_known_release("0.32.0")
