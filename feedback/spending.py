"""What a look at the held-out tickets costs, so that a year of candidates keeps one promise. Pure.

Every candidate that is examined is one more chance for a worse one to slip through. The year's chance is
therefore shared out: a look at the tickets gets its part of it, and may pass a worse candidate with at most
that chance (alpha spending: Foster & Stine, "Alpha-investing", JRSS-B 70(2), 2008; Tian & Ramdas, "Online
control of the familywise error rate", Statistical Methods in Medical Research 30(4), 2021).

A candidate that is promoted gives its part back: either it was better, and no chance was taken, or the
error that the promise counts has happened already. So the k-th worse candidate within a year never gets
more than the k-th part, whatever came between, and the parts add up to the promise: it holds for candidates
that resemble each other and for tickets that are asked again and again (Bonferroni needs no independence).
The first `planned` parts are equal; whoever looks more often gets half of what is left each time.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """A year's chance of promoting any worse adapter, and what has been spent of it."""

    of: float
    """The whole of it, such as 0.05."""
    planned: int
    """For how many looks that lead to no promotion it is meant."""
    days: float
    refused: int = 0
    """Looks within these days that led to no promotion."""
    spent: float = 0.0
    """What they were given, as the settings were then."""
    promoted: int = 0
    spent_on_promoted: float = 0.0
    """What those that led to a promotion had been given; they gave it back."""

    @property
    def left(self) -> float:
        """What the rest of the year may use up."""
        return max(self.of - self.spent, 0.0)

    @property
    def next(self) -> float:
        """The chance the next look is given: its part, and never more than half of what is left, whatever
        was set when the others were given theirs. 0: nothing is left.
        """
        return min(part(self.of, self.planned, self.refused), self.left / 2)

    @property
    def expected_wrong(self) -> float:
        """At most so many wrong promotions are expected from the looks of these days."""
        return self.spent + self.spent_on_promoted


def part(of: float, planned: int, number: int) -> float:
    """The part of the look with this number, from 0: equal as planned, then ever halved."""
    equal = of / planned
    return equal if number < planned - 1 else equal / 2 ** (number - planned + 2)


def in_words(stake: float) -> str:
    """What a stake of 1 became, as people read it: how large a large one is exactly says nothing."""
    if stake >= 1_000_000:
        return "more than a million"
    return f"{stake:,.0f}" if stake >= 100 else f"{stake:.3g}"
