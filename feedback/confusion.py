"""Right and wrong choices counted: accuracy, precision, recall, F1 and kappa of (expected, chosen) pairs.

Pure; for topics and for hand-overs. A class that was never expected has no recall, one never chosen no
precision: such a figure is None, never 0 by accident.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean


@dataclass(frozen=True)
class OfClass:
    """How well one class was told from the others."""

    name: str
    expected: int
    chosen: int
    right: int

    @property
    def precision(self) -> float | None:
        """Of what was chosen as this class, the share that is of it. None: it was never chosen."""
        return self.right / self.chosen if self.chosen else None

    @property
    def recall(self) -> float | None:
        """Of what is of this class, the share that was chosen as it. None: nothing is of it."""
        return self.right / self.expected if self.expected else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None: it was neither expected nor chosen."""
        both = self.expected + self.chosen
        return 2 * self.right / both if both else None


class Confusion:
    """Pairs of what was expected and what was chosen, counted.

    `classes`: all there are, in the order of the matrix; by default those that occur, sorted.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], classes: Iterable[str] = ()) -> None:
        self._counts = Counter(pairs)
        met = {name for pair in self._counts for name in pair}
        given = list(dict.fromkeys(classes))
        self.classes = [*given, *sorted(met - set(given))]
        self.total = self._counts.total()

    @cached_property
    def matrix(self) -> list[list[int]]:
        """Counts: a row for each class expected, a column for each class chosen."""
        return [
            [self._counts[expected, chosen] for chosen in self.classes] for expected in self.classes
        ]

    @cached_property
    def by_class(self) -> list[OfClass]:
        """Each class's figures, in the order of the matrix."""
        columns = [sum(column) for column in zip(*self.matrix, strict=True)]
        return [
            OfClass(name, sum(self.matrix[n]), columns[n], self.matrix[n][n])
            for n, name in enumerate(self.classes)
        ]

    @property
    def accuracy(self) -> float | None:
        """The share of right choices; None: there was none to make."""
        right = sum(each.right for each in self.by_class)
        return right / self.total if self.total else None

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the classes that were expected or chosen, each weighing the same."""
        found = [each.f1 for each in self.by_class if each.f1 is not None]
        return fmean(found) if found else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond what chance would give. None: it is not defined.

        Cohen, "A coefficient of agreement for nominal scales", 1960.
        """
        if not self.total:
            return None
        chance = sum(each.expected * each.chosen for each in self.by_class) / self.total**2
        accuracy = self.accuracy
        if chance == 1 or accuracy is None:
            return None
        return (accuracy - chance) / (1 - chance)

    def as_dict(self) -> dict[str, object]:
        """Everything, ready for JSON."""
        return {
            "total": self.total,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "kappa": self.kappa,
            "classes": [
                {
                    "name": each.name,
                    "expected": each.expected,
                    "chosen": each.chosen,
                    "right": each.right,
                    "precision": each.precision,
                    "recall": each.recall,
                    "f1": each.f1,
                }
                for each in self.by_class
            ],
            "matrix": self.matrix,
        }
