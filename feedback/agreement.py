"""How far people agree when two of them judge the same answer: Krippendorff's alpha, and in plain percent.

Only answers that were drawn to be seen by two count, with the first two verdicts on each: what is in the
queue because two people disagree, and the third verdict that settles it, would bend the figures.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from feedback.desk_tables import Review, ReviewSource, ReviewVerdict, Staff, Verdict
from feedback.disputes import Judged
from feedback.tables import Assistant, Feedback

FEWEST = 10
"""With fewer answers seen by two, figures are shown with the words that they are too few."""
DRAWS = 2000
SEED = 17
CLASSES = (Verdict.APPROVED, Verdict.CORRECTED, Verdict.FLAGGED)
"""The classes of alpha: nominal, as none is nearer to another."""

Counts = NDArray[np.float64]
"""Units by classes: how often each unit was put into each class."""


@dataclass(frozen=True)
class Twice:
    """An answer that two or more people judged, each without the other: their verdicts, oldest first."""

    message_id: str
    judged: list[Judged]


@dataclass(frozen=True)
class Agreement:
    """How far the first two verdicts on each answer agree."""

    items: int
    agreed: int
    """Both say the same: the same verdict and, of two corrections, the same answer."""
    alpha: float | None
    """Krippendorff's alpha of the verdicts, 1 at most; none where everybody says the same, always."""
    low: float | None
    high: float | None
    """Its 95 % bootstrap interval."""
    same_verdict: int
    both_corrected: int
    same_correction: int
    verdicts: dict[str, int]
    """How often each verdict was given: alpha means little when nearly all are of one kind."""

    @property
    def is_few(self) -> bool:
        """Whether there are too few answers for the figures to mean much."""
        return self.items < FEWEST


def alpha(counts: Counts) -> float | None:
    """Krippendorff's alpha for nominal data (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011).

    `counts`: (units, classes). Units with one value say nothing of agreement and are left out. None
    where no unit has two values, or all values are of one class: then there is nothing to agree about.
    """
    return _alpha(counts, np.ones(len(counts)))


def _alpha(counts: Counts, weights: NDArray[np.float64]) -> float | None:
    """The same, each unit counted as often as its weight says."""
    size = counts.sum(axis=1)
    pairable = size >= 2
    counts, size, weights = counts[pairable], size[pairable], weights[pairable]
    values = float((size * weights).sum())
    by_class = (counts * weights[:, None]).sum(axis=0)
    expected = (values**2 - float((by_class**2).sum())) / (values - 1) if values > 1 else 0.0
    if expected <= 0:
        return None
    within = (size**2 - (counts**2).sum(axis=1)) / (size - 1)
    return 1 - float((within * weights).sum()) / expected


def interval(counts: Counts, draws: int = DRAWS) -> tuple[float, float] | None:
    """A 95 % percentile bootstrap interval of alpha: units are drawn again with replacement (Efron, 1979).

    Draws in which all values are of one class count as full agreement. None where alpha is.
    """
    if alpha(counts) is None:
        return None
    random = np.random.default_rng(SEED)
    units = len(counts)
    drawn = random.multinomial(units, np.full(units, 1 / units), size=draws).astype(float)
    found = [_alpha(counts, weights) for weights in drawn]
    low, high = np.quantile([1.0 if one is None else one for one in found], (0.025, 0.975))
    return float(low), float(high)


def of(items: Sequence[Twice]) -> Agreement:
    """The figures for these answers."""
    pairs = [(item.judged[0], item.judged[1]) for item in items]
    corrected = [pair for pair in pairs if all(one.verdict == Verdict.CORRECTED for one in pair)]
    counts = np.zeros((len(pairs), len(CLASSES)))
    for row, pair in enumerate(pairs):
        for one in pair:
            counts[row, CLASSES.index(one.verdict)] += 1
    between = interval(counts)
    given = Counter(str(one.verdict) for pair in pairs for one in pair)
    return Agreement(
        items=len(pairs),
        agreed=sum(not a.disagrees(b) for a, b in pairs),
        alpha=alpha(counts),
        low=between[0] if between else None,
        high=between[1] if between else None,
        same_verdict=sum(a.verdict == b.verdict for a, b in pairs),
        both_corrected=len(corrected),
        same_correction=sum(not a.disagrees(b) for a, b in corrected),
        verdicts={str(each): given[each] for each in CLASSES},
    )


def seen_by_two(session: Session, assistant: Assistant) -> list[Twice]:
    """Answers drawn from the queue that two or more people have judged, oldest first."""
    rows = session.exec(
        select(Review.message_id, ReviewVerdict, Staff.email, Feedback.text)
        .join(ReviewVerdict, col(ReviewVerdict.review_id) == Review.id)
        .join(Staff, col(Staff.id) == ReviewVerdict.staff_id)
        .outerjoin(Feedback, col(Feedback.id) == ReviewVerdict.feedback_id)
        .where(
            Review.assistant_id == assistant.id,
            Review.verdicts_needed >= 2,
            Review.source != ReviewSource.DISAGREEMENT,
            ReviewVerdict.verdict != Verdict.SKIPPED,
        )
        .order_by(col(ReviewVerdict.created_at), col(ReviewVerdict.id))
    )
    found: dict[str, list[Judged]] = {}
    for message_id, verdict, author, text in rows:
        one = Judged(author, Verdict(verdict.verdict), text or "", verdict.created_at)
        found.setdefault(message_id, []).append(one)
    return [Twice(key, judged) for key, judged in found.items() if len(judged) > 1]
