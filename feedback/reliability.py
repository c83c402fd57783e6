"""How often each person's verdicts are right, estimated from answers that several people judged.

Nobody knows the right verdict; it is inferred together with the people's accuracies (Dawid and Skene,
Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, 1979), here with one accuracy
for each person and a prior, as few answers are seen by two. Pure but for what takes a session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from feedback import agreement
from feedback.agreement import CLASSES, Agreement, Twice, seen_by_two
from feedback.desk_tables import Verdict
from feedback.tables import Assistant

FEWEST_ITEMS = 10
"""A person with fewer answers that others judged too has no figure: it would be the prior's."""
FEWEST_PAIRS = 30
"""Fewest corrections of answers seen by two from which label noise is estimated."""
MOST_NOISE = 0.45
"""At half of all labels wrong there is nothing to learn, and the robust loss has no value."""
PRIOR = (8.0, 2.0)
"""Before anything is seen a person counts as right in eight of ten: the Beta prior of an accuracy."""
ROUNDS = 500
SWEEPS = 2000
SEED = 17

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """Who put which item into which class; the three are of equal length, one entry for each vote."""

    items: NDArray[np.int64]
    people: NDArray[np.int64]
    classes: NDArray[np.int64]
    item_count: int
    people_count: int
    class_count: int


@dataclass(frozen=True)
class Fitted:
    """Accuracies of people, (people,); of items the probability of each class, (items, classes)."""

    accuracy: Array
    truth: Array
    objective: list[float]
    """Log of likelihood and prior after each round; it never falls."""


@dataclass(frozen=True)
class Person:
    """One person's reliability. None where too few of their answers were judged by others too."""

    author: str
    items: int
    agreed: int
    """Of the others' verdicts on these answers, how many said the same."""
    others: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Noise:
    """What share of preference pairs likely prefers the wrong side, and on what that rests."""

    epsilon: float | None
    """0 to 0.45; none where it rests on too little."""
    corrections: int


def fit(votes: Votes) -> Fitted:
    """EM for Dawid and Skene's model with one accuracy for each person; errors fall evenly on the others.

    A mode of the posterior: PRIOR for accuracies, one more item of each class for how common it is.
    """
    truth = _majority(votes)
    accuracy, objective = np.empty(0), []
    for _ in range(ROUNDS):
        accuracy, share = _accuracies(votes, truth), _shares(truth)
        logs = _log_joint(votes, accuracy, share)
        most = logs.max(axis=1, keepdims=True)
        whole = most + np.log(np.exp(logs - most).sum(axis=1, keepdims=True))
        truth = np.exp(logs - whole)
        objective.append(float(whole.sum()) + _log_prior(accuracy, share))
        if len(objective) > 1 and objective[-1] - objective[-2] < 1e-8:
            break
    return Fitted(accuracy, truth, objective)


def _majority(votes: Votes) -> Array:
    counts = np.zeros((votes.item_count, votes.class_count))
    np.add.at(counts, (votes.items, votes.classes), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _accuracies(votes: Votes, truth: Array) -> Array:
    right = _right(votes, truth[votes.items, votes.classes])
    seen = np.bincount(votes.people, minlength=votes.people_count)
    good, bad = PRIOR
    return np.asarray((right + good - 1) / (seen + good + bad - 2))


def _right(votes: Votes, credit: Array) -> Array:
    return np.asarray(
        np.bincount(votes.people, weights=credit, minlength=votes.people_count), dtype=np.float64
    )


def _shares(truth: Array) -> Array:
    found = truth.sum(axis=0) + 1
    return np.asarray(found / found.sum())


def _log_joint(votes: Votes, accuracy: Array, share: Array) -> Array:
    """Log probability of each item's votes together with each class it may be, (items, classes)."""
    wrong = np.log((1 - accuracy) / (votes.class_count - 1))
    gain = (np.log(accuracy) - wrong)[votes.people]
    logs = np.zeros((votes.item_count, votes.class_count))
    np.add.at(logs, (votes.items, votes.classes), gain)
    base = np.bincount(votes.items, weights=wrong[votes.people], minlength=votes.item_count)
    return np.asarray(logs + base[:, None] + np.log(share))


def _log_prior(accuracy: Array, share: Array) -> float:
    good, bad = PRIOR
    people = (good - 1) * np.log(accuracy) + (bad - 1) * np.log(1 - accuracy)
    return float(people.sum() + np.log(share).sum())


def intervals(votes: Votes, begin: Fitted) -> Array:
    """95 % credible intervals of accuracies, (people, 2), with what is not known of the truth in them.

    Gibbs sampling of the same model (Gelfand and Smith, 1990), from the mode on; the seed is fixed.
    """
    random = np.random.default_rng(SEED)
    accuracy, share = begin.accuracy, _shares(begin.truth)
    seen = np.bincount(votes.people, minlength=votes.people_count)
    kept = np.empty((SWEEPS, votes.people_count))
    good, bad = PRIOR
    for sweep in range(SWEEPS):
        noisy = _log_joint(votes, accuracy, share)
        truth = (noisy + random.gumbel(size=noisy.shape)).argmax(axis=1)
        right = _right(votes, (truth[votes.items] == votes.classes).astype(float))
        accuracy = np.clip(random.beta(good + right, bad + seen - right), 1e-9, 1 - 1e-9)
        share = random.dirichlet(1 + np.bincount(truth, minlength=votes.class_count))
        share = np.clip(share, 1e-12, 1.0)
        kept[sweep] = accuracy
    return np.asarray(np.quantile(kept[SWEEPS // 10 :], (0.025, 0.975), axis=0).T)


def votes_of(items: Sequence[Twice]) -> tuple[Votes, list[str]]:
    """The verdicts as votes, and the people's names in the order of their numbers."""
    names = sorted({one.author for item in items for one in item.judged})
    number = {name: at for at, name in enumerate(names)}
    cast = [
        (row, number[one.author], CLASSES.index(one.verdict))
        for row, item in enumerate(items)
        for one in item.judged
    ]
    table = np.array(cast, dtype=np.int64).reshape(-1, 3)
    return Votes(table[:, 0], table[:, 1], table[:, 2], len(items), len(names), len(CLASSES)), names


def people(items: Sequence[Twice]) -> list[Person]:
    """Everybody who judged one of these answers, by name."""
    if not items:
        return []
    votes, names = votes_of(items)
    fitted = fit(votes)
    between = intervals(votes, fitted)
    found = []
    for at, name in enumerate(names):
        theirs = [item for item in items if any(one.author == name for one in item.judged)]
        agreed, others = _with_others(theirs, name)
        enough = len(theirs) >= FEWEST_ITEMS
        found.append(
            Person(
                author=name,
                items=len(theirs),
                agreed=agreed,
                others=others,
                accuracy=float(fitted.accuracy[at]) if enough else None,
                low=float(between[at, 0]) if enough else None,
                high=float(between[at, 1]) if enough else None,
            )
        )
    return found


def _with_others(items: Sequence[Twice], name: str) -> tuple[int, int]:
    """Of the verdicts others gave on a person's answers: how many say the same, of how many."""
    agreed = others = 0
    for item in items:
        mine = next(one for one in item.judged if one.author == name)
        for other in item.judged:
            if other.author != name:
                others += 1
                agreed += not mine.disagrees(other)
    return agreed, others


def noise(items: Sequence[Twice]) -> Noise:
    """The share of corrections that were given of an answer which was right: then the pair is upside down.

    Counted over the first two verdicts on each answer: most of what is trained on was seen by one only.
    Two corrections that differ are both better than a wrong answer, so they do not count.
    """
    corrected = [
        row
        for row, item in enumerate(items)
        for one in item.judged[:2]
        if one.verdict == Verdict.CORRECTED
    ]
    if len(corrected) < FEWEST_PAIRS:
        return Noise(None, len(corrected))
    truth = fit(votes_of(items)[0]).truth
    share = float(truth[corrected, CLASSES.index(Verdict.APPROVED)].mean())
    return Noise(min(round(share, 3), MOST_NOISE), len(corrected))


@dataclass(frozen=True)
class Figures:
    """What is known of how far people agree, who is reliable, and how noisy preference pairs are."""

    agreement: Agreement
    people: list[Person]
    noise: Noise

    def seen_by(self, name: str, sees_all: bool) -> "Figures":
        """What this person may see: of single people only themselves, unless they may see all."""
        mine = [one for one in self.people if sees_all or one.author == name]
        return replace(self, people=mine)


def figures(session: Session, assistant: Assistant) -> Figures:
    """All figures of an assistant, from the answers that were drawn for two people."""
    items = seen_by_two(session, assistant)
    return Figures(agreement.of(items), people(items), noise(items))


def noise_of(session: Session, assistant: Assistant) -> Noise:
    """The noise of an assistant's preference pairs."""
    return noise(seen_by_two(session, assistant))
