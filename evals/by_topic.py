"""The gain topic by topic, and in which of them the candidate loses. Pure; the gate asks, reports show it."""

from dataclasses import dataclass
from statistics import fmean

from evals import bootstrap
from evals.losing import holm, p_loss
from evals.pairs import Pairs, TicketResult, gains, paired, score, scored
from feedback.assistants import Gate

SAMPLES = 1000


@dataclass(frozen=True)
class TopicGain:
    """Mean scores on the tickets of one topic, and what can be said of the gain."""

    topic: str | None
    tickets: int
    candidate: float
    live: float
    low: float | None = None
    """The interval of the mean gain over customers; None: fewer than two of them."""
    high: float | None = None
    p: float | None = None
    """Of "it loses here", adjusted for the number of topics; None: too few customers to judge."""
    loses: bool = False

    @property
    def gain(self) -> float:
        """How much better the candidate is."""
        return self.candidate - self.live


def by_topic(
    candidate: list[TicketResult],
    live: list[TicketResult],
    metric: str,
    gate: Gate | None = None,
) -> list[TopicGain]:
    """The gain of each topic, largest first, over the tickets that both have a score for.

    With a gate, topics of enough customers are tested for a loss; without, they are only shown.
    """
    pairs = scored(paired(candidate, live), metric)
    topics = {ours.topic for ours, _ in pairs}
    of_topic = {topic: [both for both in pairs if both[0].topic == topic] for topic in topics}
    losses = _losses(of_topic, metric, gate) if gate else {}
    found = [_gain(topic, of_topic[topic], metric, losses, gate) for topic in topics]
    return sorted(found, key=lambda topic: (-topic.gain, topic.topic or ""))


def _losses(of_topic: dict[str | None, Pairs], metric: str, gate: Gate) -> dict[str, float]:
    """The adjusted p-value of a loss for each topic that has a name and enough customers."""
    judged = sorted(
        topic
        for topic, pairs in of_topic.items()
        if topic and len({ours.cluster for ours, _ in pairs}) >= gate.topic_tickets
    )
    raw = [p_loss(gains(of_topic[topic], metric), gate.topic_margin) for topic in judged]
    return dict(zip(judged, holm(raw), strict=True))


def _gain(
    topic: str | None, pairs: Pairs, metric: str, losses: dict[str, float], gate: Gate | None
) -> TopicGain:
    values = gains(pairs, metric)
    around = bootstrap.interval(values, samples=SAMPLES) if len(values) >= 2 else None
    p = losses.get(topic or "")
    return TopicGain(
        topic,
        len(pairs),
        fmean(score(ours, metric) for ours, _ in pairs),
        fmean(score(theirs, metric) for _, theirs in pairs),
        around.low if around else None,
        around.high if around else None,
        p,
        gate is not None and p is not None and p <= 1 - gate.confidence,
    )
