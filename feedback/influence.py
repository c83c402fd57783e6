"""Which corrections a candidate's exam answers sound like: what has moved it most, for whoever decides.

Each answer is traced to the taught answer whose words it shares most. Among ways to trace what a language
model says back to its training data, retrieval by words does better than gradients (Akyurek et al.,
Towards Tracing Factual Knowledge in Language Models Back to the Training Data, 2022), and it needs no model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sqlmodel import Session

from feedback import adapters, datasets, decisions, exams
from feedback.exams import Answered
from feedback.near_copies import trigrams
from feedback.tables import Adapter, DatasetItem, DatasetKind, Decision, Feedback, Split, Ticket
from feedback.topics import TOPIC

LEAST = 0.3
"""An answer less similar than this to every taught one is the model's own."""
ROWS = 20_000
"""Rows that are looked at, in their frozen order, which is by hash: of more, a fair sample."""


@dataclass(frozen=True)
class Influence:
    """A taught row, and the exam answers that sound like it."""

    row: DatasetItem
    sources: list[tuple[Feedback, str]]
    """The feedback it rests on, each with its conversation's id."""
    tickets: list[Ticket]
    gain: float | None
    """What these answers gained on live's, on average, in the gate's metric."""


def influences(session: Session, adapter: Adapter, limit: int = 10) -> list[Influence]:
    """The rows that most of an adapter's exam answers sound like; none where it sat no exam."""
    decision = decisions.of_adapter(session, adapter)
    if decision is None:
        return []
    ours, theirs = (exams.answers(session, run) for run in decisions.runs_of(session, decision))
    said = [each for each in ours if each.answer.text]
    nearest = _nearest(session, adapter, [each.answer.text for each in said])
    told: dict[str, list[Answered]] = {}
    for each, row_id in zip(said, nearest, strict=True):
        if row_id is not None:
            told.setdefault(row_id, []).append(each)
    most = sorted(told.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:limit]
    live = {each.ticket.id: each for each in theirs}
    return [_influence(session, row_id, each, live, decision) for row_id, each in most]


def _nearest(session: Session, adapter: Adapter, texts: list[str]) -> list[str | None]:
    """By text: the id of the row whose answer is most similar."""
    from feedback.similar_sets import SimilarSets  # late: numpy

    best: list[tuple[float, str | None]] = [(0.0, None)] * len(texts)
    if not texts:
        return []
    index = SimilarSets([trigrams(text) for text in texts], LEAST)
    for row in _taught(session, adapter):
        for number, alike in index.like(trigrams(row.chosen)):
            if alike > best[number][0]:
                best[number] = (alike, row.id)
    return [row_id for _, row_id in best]


def _taught(session: Session, adapter: Adapter) -> Iterator[DatasetItem]:
    for dataset in adapters.datasets_of(session, adapter):
        if dataset.kind == DatasetKind.SFT:
            for row in islice(datasets.in_order(session, dataset), ROWS):
                if row.split == Split.TRAIN and row.erased_at is None and row.edit != TOPIC:
                    yield row


def _influence(
    session: Session,
    row_id: str,
    said: list[Answered],
    live: dict[str, Answered],
    decision: Decision,
) -> Influence:
    row = session.get_one(DatasetItem, row_id)
    gains = []
    for each in said:
        mine, other = (
            _score(each, decision.metric),
            _score(live.get(each.ticket.id), decision.metric),
        )
        if mine is not None and other is not None:
            gains.append(mine - other)
    gain = sum(gains) / len(gains) if gains else None
    sources = datasets.sources(session, [row])[row.id]
    return Influence(row, sources, [each.ticket for each in said], gain)


def _score(answered: Answered | None, metric: str) -> float | None:
    scores = answered.scores if answered else []
    return next((each.value for each in scores if each.metric == metric), None)
