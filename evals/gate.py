"""May a candidate go live? Pure: two sets of results in, a verdict with its reasons out. No I/O.

It fails closed: whatever it cannot judge it refuses, and the reason is a sentence. Three things can
stop a candidate whose results are complete:

- The interval's lower end does not lie above the least useful gain.
- It says something that it must not say where live did not: one such ticket is a veto. Saying a
  forbidden thing is harm, and a better average does not make up for it.
- Over all tickets it leaves out more of what must be said than live does. Here the count decides, not
  the single ticket: of forty facts a small model forgets one and gains three, and a veto on the one
  would stop every candidate for ever.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from evals import bootstrap
from evals.bootstrap import Interval
from evals.scores import CHRF, MEAN_LOGPROB, METRICS, MUST_SAY_BROKEN
from feedback.assistants import Gate

DECIDING = {CHRF: "chrF", MEAN_LOGPROB: "the mean log-probability of the reference"}
"""Metrics a gate may decide by, as sentences name them. More is better in each."""

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
    forbidden: frozenset[str]
    """Which must-not-say phrases the answer says."""


@dataclass(frozen=True)
class TopicGain:
    """Mean scores on the tickets of one topic. For display; it decides nothing."""

    topic: str | None
    tickets: int
    candidate: float
    live: float

    @property
    def gain(self) -> float:
        """How much better the candidate is."""
        return self.candidate - self.live


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate may go live, and why. No gain: there was nothing to conclude from."""

    promote: bool
    reasons: list[str]
    metric: str
    tickets: int
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    topics: list[TopicGain] = field(default_factory=list)


Pairs = list[tuple[TicketResult, TicketResult]]


def decide(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], samples: int = 10_000
) -> Verdict:
    """The verdict on a candidate that sat the same exam as live. Never raises for what it finds."""
    doubts = _incomplete(gate, candidate, live) or _too_few(gate, candidate)
    if doubts:
        return Verdict(False, doubts, gate.metric, len(candidate))
    pairs, interval = _compared(gate, candidate, live, samples)
    against = [*_newly_forbidden(pairs), *_forgotten(pairs), *_too_small(gate, interval)]
    why = [_why(gate, interval, len(pairs))]
    return _verdict(gate, candidate, live, interval, against, why)


def confirm(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], samples: int = 10_000
) -> Verdict:
    """Whether sealed tickets, asked once it has passed, speak against a candidate.

    It has shown its gain already, so it need not show it again on fewer tickets: it must not be worse
    (the interval must reach zero), nor say anything newly forbidden.
    """
    if doubts := _incomplete(gate, candidate, live):
        return Verdict(False, doubts, gate.metric, len(candidate))
    pairs, interval = _compared(gate, candidate, live, samples)
    against = [*_newly_forbidden(pairs), *_worse(gate, interval)]
    why = [f"{_measured(gate, interval)} The {len(pairs)} sealed tickets do not speak against it."]
    return _verdict(gate, candidate, live, interval, against, why)


def _compared(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], samples: int
) -> tuple[Pairs, Interval]:
    pairs = _paired(candidate, live)
    interval = bootstrap.paired(
        [_score(ours, gate.metric) for ours, _ in pairs],
        [_score(theirs, gate.metric) for _, theirs in pairs],
        [ours.cluster for ours, _ in pairs],
        gate.confidence,
        samples,
    )
    return pairs, interval


def _verdict(
    gate: Gate,
    candidate: list[TicketResult],
    live: list[TicketResult],
    interval: Interval,
    against: list[str],
    why: list[str],
) -> Verdict:
    return Verdict(
        not against,
        against or why,
        gate.metric,
        len(candidate),
        interval.mean,
        interval.low,
        interval.high,
        by_topic(candidate, live, gate.metric),
    )


def by_topic(
    candidate: list[TicketResult], live: list[TicketResult], metric: str
) -> list[TopicGain]:
    """The gain of each topic, largest first, over the tickets that both have a score for."""
    scores: dict[str | None, list[tuple[float, float]]] = {}
    for ours, theirs in _paired(candidate, live):
        mine, others = ours.scores.get(metric), theirs.scores.get(metric)
        if mine is not None and others is not None:
            scores.setdefault(ours.topic, []).append((mine, others))
    topics = [
        TopicGain(topic, len(both), fmean(a for a, _ in both), fmean(b for _, b in both))
        for topic, both in scores.items()
    ]
    return sorted(topics, key=lambda topic: (-topic.gain, topic.topic or ""))


def _paired(candidate: list[TicketResult], live: list[TicketResult]) -> Pairs:
    """Results of the same ticket side by side, in the order of the tickets' names."""
    theirs = {result.ticket: result for result in live}
    return [
        (ours, theirs[ours.ticket])
        for ours in sorted(candidate, key=lambda result: result.ticket)
        if ours.ticket in theirs
    ]


def _incomplete(gate: Gate, candidate: list[TicketResult], live: list[TicketResult]) -> list[str]:
    """Why nothing can be concluded from these results, in sentences; empty when something can."""
    if gate.metric not in DECIDING:
        known = ", ".join(repr(metric) for metric in DECIDING)
        return [f"The gate's metric is {gate.metric!r}; expected one of {known}."]
    if mismatch := _different_tickets(candidate, live):
        return [mismatch]
    doubts = []
    for who, results in (("the candidate", candidate), ("live", live)):
        if failed := [result for result in results if result.error is not None]:
            doubts.append(
                f"{_tickets(failed)} got no answer from {who}; the first reason: {failed[0].error}"
            )
        for metric in METRICS:
            lacking = [
                result
                for result in results
                if result.error is None and not _is_finite(result.scores.get(metric))
            ]
            if lacking:
                doubts.append(f"{_tickets(lacking)} could not be scored by {metric} for {who}.")
    return doubts


def _different_tickets(candidate: list[TicketResult], live: list[TicketResult]) -> str | None:
    ours = sorted(result.ticket for result in candidate)
    theirs = sorted(result.ticket for result in live)
    if len(set(ours)) < len(ours) or len(set(theirs)) < len(theirs):
        return "A ticket was answered more than once by the same side; each counts once."
    if ours == theirs:
        return None
    odd = sorted(set(ours) ^ set(theirs))
    more = f" and {len(odd) - NAMED} more" if len(odd) > NAMED else ""
    return (
        "Candidate and live did not sit the same tickets; only one of them answered "
        f"{', '.join(repr(ticket) for ticket in odd[:NAMED])}{more}."
    )


def _too_few(gate: Gate, results: list[TicketResult]) -> list[str]:
    needed = max(gate.min_tickets, bootstrap.fewest_clusters(gate.confidence))
    independent = len({result.cluster for result in results})
    if independent >= needed:
        return []
    if len(results) >= needed:
        return [
            f"The {len(results)} held-out tickets come from {independent} customers only, and those "
            f"of one customer count once; the gate demands {needed}."
        ]
    return [f"There are {len(results)} held-out tickets; the gate demands {needed}."]


def _newly_forbidden(pairs: Pairs) -> list[str]:
    return [
        f"On ticket {ours.ticket!r} the candidate says "
        f"{', '.join(repr(phrase) for phrase in sorted(new))}, which it must not; live did not."
        for ours, theirs in pairs
        if (new := ours.forbidden - theirs.forbidden)
    ]


def _forgotten(pairs: Pairs) -> list[str]:
    ours = sum(_score(result, MUST_SAY_BROKEN) for result, _ in pairs)
    theirs = sum(_score(result, MUST_SAY_BROKEN) for _, result in pairs)
    if ours <= theirs:
        return []
    return [
        f"Over all tickets the candidate leaves out {ours:g} things that it must say, live {theirs:g}."
    ]


def _too_small(gate: Gate, interval: Interval) -> list[str]:
    if interval.low > gate.min_gain:
        return []
    return [f"{_measured(gate, interval)} The lower end must lie above {gate.min_gain:g}."]


def _worse(gate: Gate, interval: Interval) -> list[str]:
    if interval.high >= 0:
        return []
    return [f"{_measured(gate, interval)} On the sealed tickets it is worse than live."]


def _why(gate: Gate, interval: Interval, tickets: int) -> str:
    return (
        f"{_measured(gate, interval)} The lower end lies above {gate.min_gain:g} on {tickets} held-out "
        "tickets, and no rule speaks against it."
    )


def _measured(gate: Gate, interval: Interval) -> str:
    moved = f"{'rises' if interval.mean > 0 else 'falls'} by {abs(interval.mean):.3g}"
    return (
        f"On average {DECIDING[gate.metric]} {moved if interval.mean else 'does not move'} "
        f"({gate.confidence * 100:g} % interval {interval.low:.3g} to {interval.high:.3g})."
    )


def _score(result: TicketResult, metric: str) -> float:
    """A score known to be there: `_incomplete` found no doubt."""
    value = result.scores[metric]
    assert value is not None
    return value


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _tickets(results: list[TicketResult]) -> str:
    names = ", ".join(repr(result.ticket) for result in results[:NAMED])
    more = f" and {len(results) - NAMED} more" if len(results) > NAMED else ""
    return f"{'Ticket' if len(results) == 1 else 'Tickets'} {names}{more}"
