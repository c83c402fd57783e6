"""Which of some sets share much with a given one? All are counted at once, and exactly.

near_copies.py asks, with sets of trigrams. It imports this late: the service has no need of numpy.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""A product may come out a hair too large; then one size more is looked at, never one less."""
ONCE = 255
"""So many rows of zeros and ones add up in a byte."""


class SimilarSets:
    """Sets that may be asked for those at least `threshold` (above 0, to 1) similar to another by Jaccard.

    A table of zeros and ones has a row per element and a column per set, by size. Adding up the rows of
    a set's elements counts what it shares with every other (ScanCount: Li, Lu and Lu, 2008); only sets
    that could be similar by their size take part. Elements times sets bytes of memory.
    """

    def __init__(self, sets: Sequence[frozenset[str]], threshold: float) -> None:
        self._threshold = threshold
        self._by_size = sorted(range(len(sets)), key=lambda number: len(sets[number]))
        self._sizes = [len(sets[number]) for number in self._by_size]
        self._size_row = np.array(self._sizes, np.float64)
        elements = sorted(frozenset().union(*sets))
        self._row = {element: row for row, element in enumerate(elements)}
        self._has = np.zeros((len(elements), len(sets)), np.uint8)
        for column, number in enumerate(self._by_size):
            self._has[[self._row[element] for element in sets[number]], column] = 1

    def like(self, elements: frozenset[str]) -> list[tuple[int, float]]:
        """Every set that is similar enough: its number and the similarity."""
        size = len(elements)
        rows = [row for row in map(self._row.get, elements) if row is not None]
        if len(rows) < math.ceil(self._threshold * size - ROUNDING):
            return []
        first = bisect_left(self._sizes, self._threshold * size - ROUNDING)
        last = bisect_right(self._sizes, size / self._threshold + ROUNDING)
        if first == last:
            return []
        shared = self._shared(rows, first, last)
        similarity = shared / (self._size_row[first:last] + (size - shared))
        return [
            (self._by_size[first + column], float(similarity[column]))
            for column in (similarity >= self._threshold).nonzero()[0]
        ]

    def _shared(self, rows: list[int], first: int, last: int) -> NDArray[np.float64]:
        """How many of these rows' elements each set from one column to another has."""
        has = self._has[:, first:last]
        counts = np.zeros(last - first)
        for start in range(0, len(rows), ONCE):
            counts += np.add.reduce(has[rows[start : start + ONCE]], axis=0, dtype=np.uint8)
        return counts
