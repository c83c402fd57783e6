"""An exam's results side by side: what the gate and its parts reckon with. Pure; results.py makes them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from evals import bootstrap
from evals.bootstrap import Gains
from feedback.measures import DECIDING

NAMED = 5
"""How many tickets a sentence names before it counts the rest."""


@dataclass(frozen=True)
class TicketResult:
    """What came of one ticket in one eval run."""

    ticket: str
    topic: str | None
    cluster: str
    """Tickets of one customer or conversation share it: they are not independent evidence."""
    answer: str
    error: str | None
    scores: Mapping[str, float | None]
    """By metric. Not there: it does not apply to this ticket. None: it could not be scored."""
    forbidden: frozenset[str]
    """Which must-not-say phrases the answer says."""
    harmful: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By metric a key for each fact that does its harm; not there where none does, or the text is gone."""
    probe: bool = False
    """A safety probe: it is weighed by guardrails and vetoes, and is no customer's question."""
    fresh: bool = False
    """Whether no exam asked it before a decision."""


Pairs = list[tuple[TicketResult, TicketResult]]
"""The candidate's result and live's, ticket by ticket."""


def paired(candidate: list[TicketResult], live: list[TicketResult]) -> Pairs:
    """Results of the same ticket side by side, in the order of the tickets' names."""
    theirs = {result.ticket: result for result in live}
    return [
        (ours, theirs[ours.ticket])
        for ours in sorted(candidate, key=lambda result: result.ticket)
        if ours.ticket in theirs
    ]


def scored(pairs: Pairs, metric: str) -> Pairs:
    """The pairs of which both have a number for the metric."""
    return [both for both in pairs if all(is_number(each.scores.get(metric)) for each in both)]


def decisive(pairs: Pairs, metric: str) -> Pairs:
    """The pairs that the metric decides on: customers' questions to which it applies. How like the agent's
    an answer is, for one, is asked of no question that a person was to take over.
    """
    return [
        both
        for both in pairs
        if not both[0].probe and any(metric in result.scores for result in both)
    ]


def score(result: TicketResult, metric: str) -> float:
    """A score known to be there."""
    value = result.scores[metric]
    assert value is not None
    return value


def gains(pairs: Pairs, metric: str) -> Gains:
    """The mean gain of each customer, in the metric's unit; all pairs must have a score."""
    ours, theirs = ([score(each, metric) for each in side] for side in zip(*pairs, strict=True))
    return bootstrap.gains(ours, theirs, [each.cluster for each, _ in pairs])


def shares(pairs: Pairs, metric: str) -> Gains:
    """The same as shares of the metric's range, -1 to 1: what evidence is reckoned with."""
    full = DECIDING[metric].full

    def share(result: TicketResult) -> float:
        value = score(result, metric)
        return min(max(value / full, 0.0), 1.0) if full else min(math.exp(value), 1.0)

    ours, theirs = ([share(each) for each in side] for side in zip(*pairs, strict=True))
    return bootstrap.gains(ours, theirs, [each.cluster for each, _ in pairs])


def least_share(metric: str, min_gain: float) -> float:
    """The least useful gain as a share of the range. Of log-probabilities only the interval knows one."""
    full = DECIDING[metric].full
    return min(min_gain / full, 0.99) if full else 0.0


def is_number(value: float | None) -> bool:
    """Whether there is a score, and a finite one."""
    return value is not None and math.isfinite(value)


def named(results: list[TicketResult]) -> str:
    """The tickets' names, for a sentence."""
    names = ", ".join(repr(result.ticket) for result in results[:NAMED])
    more = f" and {len(results) - NAMED} more" if len(results) > NAMED else ""
    return f"{'Ticket' if len(results) == 1 else 'Tickets'} {names}{more}"
