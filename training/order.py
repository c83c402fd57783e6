"""In which order rows are learned: by length, where they are padded; by talk, where a batch is a tree.

transformers' own group_by_length sorts nothing in a set of a few batches, and takes its order from a global
generator, so that a resumed run sees other batches than an uninterrupted one.
"""

import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class _ByEpoch(Sampler):
    """An order that rests on seed and epoch alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also before a resumed one."""
        self.epoch = epoch

    def _chance(self) -> random.Random:
        return random.Random(f"{self.seed}:{self.epoch}")  # noqa: S311 - an order, not a secret


class ByLength(_ByEpoch):
    """Batches of rows of like length, shuffled anew each epoch."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        super().__init__(seed)
        self.lengths = lengths
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        chance = self._chance()
        rows = list(range(len(self.lengths)))
        chance.shuffle(rows)
        spare = len(rows) % self.batch_size  # the short batch comes last, whatever its rows' length
        full = sorted(rows[spare:], key=lambda row: self.lengths[row] * chance.uniform(0.9, 1.1))
        batches = [full[i : i + self.batch_size] for i in range(0, len(full), self.batch_size)]
        chance.shuffle(batches)
        yield from (row for batch in [*batches, rows[:spare]] for row in batch)


class ByTalk(_ByEpoch):
    """Rows that go on from one another next to each other, the talks shuffled anew each epoch.

    For where a batch is computed as a tree (prefix_tree.py): what a talk's rows have in common costs once,
    and lengths cost nothing.
    """

    def __init__(self, prompts: Sequence[list[int]], seed: int) -> None:
        super().__init__(seed)
        self.talks = talks(prompts)

    def __len__(self) -> int:
        return sum(map(len, self.talks))

    def __iter__(self) -> Iterator[int]:
        chance = self._chance()
        order = list(self.talks)
        chance.shuffle(order)
        yield from (row for talk in order for row in talk)


def talks(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Rows of which each goes on from the one before, by their tokens; a repeated one stands alone."""
    found: list[list[int]] = []
    before: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda row: prompts[row]):
        goes_on = found and len(before) < len(prompts[number])
        if goes_on and prompts[number][: len(before)] == before:
            found[-1].append(number)
        else:
            found.append([number])
        before = prompts[number]
    return found
