"""Many things, some at a time: what one query may name, or what may be in memory at once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size`, the last one shorter."""
    left = iter(things)
    while batch := list(islice(left, size)):
        yield batch
