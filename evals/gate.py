"""May a candidate go live? Pure: two sets of results in, a verdict with its reasons out. No I/O.

It fails closed: whatever it cannot judge it refuses, and the reason is a sentence. A candidate whose results
are complete goes through when nothing of this stops it:

- The evidence that it gains more than the least useful gain must be such that a candidate that does not would
  show it with a chance of alpha at most (evidence.py): this look's part of the year's (feedback/spending.py).
- The interval's lower end must lie above the least useful gain.
- Vetoes: harm on a single ticket, or more forgotten over all (vetoes.py).
- Guardrails: other scores must not be much worse (guardrails.py).
- No topic in which it loses (by_topic.py). Live for the other topics only is an operator's choice.
"""

from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from evals import bootstrap, evidence
from evals.bootstrap import Interval
from evals.by_topic import TopicGain, by_topic
from evals.complete import incomplete, spent, too_few
from evals.guardrails import Guardrail, guardrails
from evals.pairs import (
    Pairs,
    TicketResult,
    decisive,
    gains,
    least_share,
    paired,
    score,
    shares,
)
from evals.vetoes import harms, vetoes
from feedback.assistants import Gate
from feedback.measures import CHRF, DECIDING, VOTES
from feedback.spending import in_words


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
    alpha: float | None = None
    """What the look was given of the year's chance; None: it was no look."""
    evidence: float | None = None
    """What a stake of 1 against the candidate became; 1/alpha is needed."""
    guardrails: list[Guardrail] = field(default_factory=list)
    losing_topics: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    """What was needed, the gain on fresh and on used tickets, the vetoes."""


def decide(
    gate: Gate,
    candidate: list[TicketResult],
    live: list[TicketResult],
    alpha: float,
    samples: int = 10_000,
    votes: Pairs | None = None,
) -> Verdict:
    """The verdict on a candidate that sat the same exam as live. Never raises for what it finds.

    `alpha`: the chance that this look may pass a candidate that is no better. `votes`: what agents made of
    both on other questions; then these decide, and the exam is for vetoes and guardrails.
    """
    every = paired(candidate, live)
    pairs = decisive(every, gate.metric) if votes is None else votes
    doubts = incomplete(gate, candidate, live, votes is not None)
    doubts = doubts or spent(gate, alpha) or too_few(gate, [ours for ours, _ in pairs], alpha)
    if doubts:
        return Verdict(False, doubts, gate.metric, len(candidate))
    interval = _interval(gate, pairs, samples)
    stake = evidence.stake(
        shares(pairs, gate.metric),
        alpha,
        least_share(gate.metric, gate.min_gain),
        DECIDING[gate.metric].spread,
    )
    rails = guardrails(gate.guardrails, every, gate.confidence, samples)
    topics = _topics(pairs, gate)
    too_small = _too_small(gate, interval, stake, alpha)
    against = [
        *vetoes(every, gate.zero_tolerance),
        *too_small,
        *(rail.sentence for rail in rails if not rail.passed),
        *(_loss(gate, topic, topics) for topic in topics if topic.loses and not too_small),
    ]
    why = [_why(gate, interval, len(pairs), stake, alpha)]
    return Verdict(
        not against, against or why, gate.metric, len(pairs),
        interval.mean, interval.low, interval.high, topics,
        alpha, stake, rails, [topic.topic for topic in topics if topic.topic and topic.loses],
        _detail(gate, pairs, every, alpha),
    )  # fmt: skip


def confirm(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], samples: int = 10_000
) -> Verdict:
    """Whether sealed tickets, asked once it has passed, speak against a candidate.

    It has shown its gain already, so it need not show it again on fewer tickets: it must not be worse
    (the interval must reach zero), nor do harm. It costs nothing: it can only refuse. Where votes decide it
    must not be worse by chrF, as nobody votes on sealed tickets.
    """
    if gate.metric == VOTES:
        gate = gate.model_copy(update={"metric": CHRF})
    every = paired(candidate, live)
    pairs = decisive(every, gate.metric)
    if doubts := incomplete(gate, candidate, live) or _one_customer(pairs):
        return Verdict(False, doubts, gate.metric, len(candidate))
    interval = _interval(gate, pairs, samples)
    against = [*harms(every, gate.zero_tolerance), *_worse(gate, interval)]
    why = [f"{_measured(gate, interval)} The {len(pairs)} sealed tickets do not speak against it."]
    return Verdict(
        not against, against or why, gate.metric, len(candidate),
        interval.mean, interval.low, interval.high, _topics(pairs, None, gate.metric),
    )  # fmt: skip


def _one_customer(pairs: Pairs) -> list[str]:
    customers = len({ours.cluster for ours, _ in pairs})
    if customers >= 2:
        return []
    return [f"The sealed tickets come from {customers} customers; 2 are needed to compare."]


def _interval(gate: Gate, pairs: Pairs, samples: int) -> Interval:
    return bootstrap.interval(gains(pairs, gate.metric), gate.confidence, samples)


def _topics(pairs: Pairs, gate: Gate | None, metric: str = "") -> list[TopicGain]:
    ours, theirs = ([both[side] for both in pairs] for side in (0, 1))
    return by_topic(ours, theirs, gate.metric if gate else metric, gate)


def _too_small(gate: Gate, interval: Interval, stake: float, alpha: float) -> list[str]:
    told = _measured(gate, interval)
    if interval.low <= gate.min_gain:
        return [f"{told} The lower end must lie above {gate.min_gain:g}."]
    if stake < 1 / alpha:
        return [f"{told} That is not enough to be sure: {_staked(stake, alpha)}"]
    return []


def _worse(gate: Gate, interval: Interval) -> list[str]:
    if interval.high >= 0:
        return []
    return [f"{_measured(gate, interval)} On the sealed tickets it is worse than live."]


def _loss(gate: Gate, topic: TopicGain, topics: list[TopicGain]) -> str:
    judged = sum(each.p is not None for each in topics)
    return (
        f"On the topic {topic.topic!r} it loses: {DECIDING[gate.metric].title} falls by "
        f"{-topic.gain:.3g} on {topic.tickets} tickets (p = {topic.p:.2g}, corrected for {judged} topics). "
        "An operator may let it go live for the other topics."
    )


def _why(gate: Gate, interval: Interval, tickets: int, stake: float, alpha: float) -> str:
    return (
        f"{_measured(gate, interval)} The lower end lies above {gate.min_gain:g} on {tickets} "
        f"{_what(gate)}, {_staked(stake, alpha)[:-1]}, and no rule, guardrail or topic speaks against it."
    )


def _what(gate: Gate) -> str:
    return "voted answers" if gate.metric == VOTES else "held-out tickets"


def _staked(stake: float, alpha: float) -> str:
    """The evidence in words."""
    return (
        f"a stake of 1 against it became {in_words(stake)}, and {in_words(1 / alpha)} is needed where one "
        f"look in {in_words(1 / alpha)} may be wrong."
    )


def _measured(gate: Gate, interval: Interval) -> str:
    moved = f"{'rises' if interval.mean > 0 else 'falls'} by {abs(interval.mean):.3g}"
    return (
        f"On average {DECIDING[gate.metric].title} {moved if interval.mean else 'does not move'} "
        f"({gate.confidence * 100:g} % interval {interval.low:.3g} to {interval.high:.3g})."
    )


def _detail(gate: Gate, pairs: Pairs, every: Pairs, alpha: float) -> dict[str, Any]:
    """What else the verdict rests on, ready for JSON."""
    return {
        "needed": 1 / alpha,
        "fresh": _part(gate, [both for both in pairs if both[0].fresh]),
        "used": _part(gate, [both for both in pairs if not both[0].fresh]),
        "vetoes": vetoes(every, gate.zero_tolerance),
    }


def _part(gate: Gate, pairs: Pairs) -> dict[str, Any]:
    """The gain on some of the tickets: on those seen often it should not be larger than on new ones."""
    gained = [score(ours, gate.metric) - score(theirs, gate.metric) for ours, theirs in pairs]
    return {"tickets": len(pairs), "gain": fmean(gained) if gained else None}
