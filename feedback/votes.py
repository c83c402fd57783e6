"""Votes: which of two answers would an agent send, asked without saying whose they are.

What comes next for whom, keeping a vote, and what the votes say together. A vote names the first or the
second answer on the page; which side that was is looked up here, after it was given.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from sqlmodel import Session, col, select

from feedback import agreement, replays
from feedback.errors import Conflict, Invalid
from feedback.exam_tables import Choice, Replay, ReplayState, ReplayTurn, SidesOpened, Vote
from feedback.replays import Turn
from feedback.tables import Assistant
from feedback.transcript import ModelMessages

SCORES = {Choice.CANDIDATE: 1.0, Choice.TIE: 0.5, Choice.LIVE: 0.0}
CLASSES = tuple(SCORES)
CONFIDENCE = 0.95


class Ballot(StrEnum):
    """What an agent can say of a pair, in the words of the page."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"
    SKIP = "skip"


@dataclass(frozen=True)
class Pair:
    """Two answers to one question, blind. It holds nothing that tells which is whose."""

    turn_id: str
    context: ModelMessages
    first: str
    second: str


@dataclass(frozen=True)
class Progress:
    """How far somebody is with a replay's pairs."""

    seen: int
    pairs: int
    opened: bool = False
    """Whether they read whose answers these are before they had seen every pair."""

    @property
    def left(self) -> int:
        """Pairs they may still vote on: those they have not seen, none once they know the sides."""
        return 0 if self.opened else self.pairs - self.seen


class Voted(NamedTuple):
    """What the voters made of one turn."""

    turn_id: str
    topic: str
    cluster: str
    score: float
    """Mean over its voters: 1 the candidate's answer, 0 live's, 0.5 a tie."""


@dataclass(frozen=True)
class Tally:
    """What the votes of a replay say together."""

    votes: int
    voters: int
    turns: int
    """Pairs with at least one vote."""
    sides: dict[str, int]
    """candidate, live, tie, and skipped, which counts for nothing."""
    by_author: dict[str, dict[str, int]]
    win_rate: float | None
    """Mean score over the turns voted on: 0.5 is a draw."""
    low: float | None
    high: float | None
    """Its 95 % interval."""
    seen_by_two: int
    agreed: int
    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None


# One pair at a time


def next_pair(session: Session, replay: Replay, author: str) -> Pair | None:
    """The pair least alike that this person has not seen; None when there is none, or they know the sides."""
    if _has_opened(session, replay, author):
        return None
    ids = _pairs(session, replay)
    seen = _seen(session, replay, author)
    turn_id = next((each for each in ids if each not in seen), None)
    if turn_id is None:
        return None
    turn = session.get_one(ReplayTurn, turn_id)
    texts = turn.candidate_text or "", turn.live_text or ""
    first, second = texts if turn.candidate_first else texts[::-1]
    return Pair(turn.id, replays.context_of(session, turn.id) or [], first, second)


def progress(session: Session, replay: Replay, author: str) -> Progress:
    """How many pairs there are to vote on, and how many this person has seen."""
    ids = set(_pairs(session, replay))
    seen = len(ids & _seen(session, replay, author))
    return Progress(seen, len(ids), _has_opened(session, replay, author))


def _pairs(session: Session, replay: Replay) -> list[str]:
    """Turns of a finished replay in which the two say different things, least alike first."""
    return _differing(session, replay) if replay.state == ReplayState.FINISHED else []


def _differing(session: Session, replay: Replay) -> list[str]:
    query = select(ReplayTurn.id).where(
        ReplayTurn.replay_id == replay.id,
        col(ReplayTurn.likeness).is_not(None),
        col(ReplayTurn.candidate_text) != col(ReplayTurn.live_text),
    )
    return list(session.exec(query.order_by(col(ReplayTurn.likeness), col(ReplayTurn.id))))


def _seen(session: Session, replay: Replay, author: str) -> set[str]:
    return set(
        session.exec(
            select(Vote.replay_turn_id)
            .join(ReplayTurn, col(ReplayTurn.id) == Vote.replay_turn_id)
            .where(ReplayTurn.replay_id == replay.id, Vote.author == author)
        )
    )


# Who knows the sides


def are_secret(session: Session, replay: Replay, author: str) -> bool:
    """Whether this person may not see yet whose answers these are, if their votes shall count: there are
    pairs, also of a replay under way, that they have not voted on.
    """
    if _has_opened(session, replay, author):
        return False
    return bool(set(_differing(session, replay)) - _seen(session, replay, author))


def open_sides(session: Session, replay: Replay, author: str) -> bool:
    """Somebody reads whose answers these are. Kept where pairs are left for them, for a vote of theirs would
    not be blind any more; whether it was.
    """
    session.exec(select(Replay).where(Replay.id == replay.id).with_for_update()).one()
    if not are_secret(session, replay, author):
        return False
    session.add(SidesOpened(replay_id=replay.id, author=author))
    session.flush()
    return True


def opened_by(session: Session, replay: Replay) -> list[str]:
    """Who read whose answers these are before they had seen every pair, in this order."""
    query = select(SidesOpened.author).where(SidesOpened.replay_id == replay.id)
    return list(session.exec(query.order_by(col(SidesOpened.id))))


def _has_opened(session: Session, replay: Replay, author: str) -> bool:
    query = select(SidesOpened.id).where(
        SidesOpened.replay_id == replay.id, SidesOpened.author == author
    )
    return session.exec(query).first() is not None


# Casting one


def open_to(session: Session, assistant: Assistant, author: str) -> Replay | None:
    """The newest replay with pairs that this person has not seen."""
    for replay in replays.every(session, assistant):
        if progress(session, replay, author).left:
            return replay
    return None


def last_seen(session: Session, assistant: Assistant, author: str) -> Replay | None:
    """The newest replay of whose pairs this person has seen every one; they may know the sides."""
    for replay in replays.every(session, assistant):
        found = progress(session, replay, author)
        if found.seen and not found.left:
            return replay
    return None


def ballot_from(given: str) -> Ballot:
    """What an agent said of a pair, or Invalid naming what they can say."""
    try:
        return Ballot(given)
    except ValueError:
        raise Invalid(f"Found the vote {given!r}; expected one of {', '.join(Ballot)}.") from None


def vote(session: Session, turn: ReplayTurn, author: str, ballot: Ballot) -> Vote:
    """Keep what somebody says of a pair. One word each: a second one is refused."""
    replay = session.get_one(Replay, turn.replay_id)
    if turn.id not in _pairs(session, replay):
        raise Conflict(
            "These two answers are not to be voted on: they are the same, or not both there."
        )
    session.exec(select(Replay).where(Replay.id == replay.id).with_for_update()).one()
    session.exec(select(ReplayTurn).where(ReplayTurn.id == turn.id).with_for_update()).one()
    if _has_opened(session, replay, author):
        raise Conflict(
            "You have read whose answers these are, so your vote on them would not be blind. What you voted "
            "before counts; to vote again, wait for a replay of other answers."
        )
    if turn.id in _seen(session, replay, author):
        raise Conflict(
            "You have said something about this pair already; a blind vote stays as it is."
        )
    row = Vote(replay_turn_id=turn.id, author=author, choice=_choice(turn, ballot))
    session.add(row)
    session.flush()
    return row


def _choice(turn: ReplayTurn, ballot: Ballot) -> Choice | None:
    if ballot == Ballot.SKIP:
        return None
    if ballot == Ballot.TIE:
        return Choice.TIE
    is_candidate = (ballot == Ballot.FIRST) == turn.candidate_first
    return Choice.CANDIDATE if is_candidate else Choice.LIVE


# Together


def of_replay(session: Session, replay: Replay) -> dict[str, list[Vote]]:
    """Every vote of a replay by turn, oldest first."""
    rows = session.exec(
        select(Vote)
        .join(ReplayTurn, col(ReplayTurn.id) == Vote.replay_turn_id)
        .where(ReplayTurn.replay_id == replay.id)
        .order_by(col(Vote.created_at), col(Vote.id))
    )
    found: dict[str, list[Vote]] = defaultdict(list)
    for row in rows:
        found[row.replay_turn_id].append(row)
    return found


def by_author(session: Session, replay: Replay, author: str) -> list[Vote]:
    """What one person said of a replay's pairs."""
    given = of_replay(session, replay)
    return [row for rows in given.values() for row in rows if row.author == author]


def votes_as_results(session: Session, replay: Replay) -> list[Voted]:
    """What the voters made of each turn that has a vote, for a gate whose metric is "votes".

    Pairs nobody voted on, and answers that are the same, are not in it.
    """
    return _results(replays.turns_of(session, replay), of_replay(session, replay))


def _results(turns: Sequence[Turn], given: dict[str, list[Vote]]) -> list[Voted]:
    found = []
    for turn in turns:
        scores = [SCORES[each.choice] for each in given.get(turn.row.id, []) if each.choice]
        if scores:
            mean = sum(scores) / len(scores)
            found.append(Voted(turn.row.id, turn.topic, turn.cluster, mean))
    return found


def figures(session: Session, replay: Replay) -> Tally:
    """Votes by side and by agent, how far agents agree, and how often the candidate wins."""
    given = of_replay(session, replay)
    results = _results(replays.turns_of(session, replay), given)
    rows = [row for each in given.values() for row in each]
    by_author: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_author[row.author][_side(row)] += 1
    between = interval([one.score for one in results], [one.cluster for one in results])
    together, pairs, agreed = _agreement(given)
    spread = agreement.interval(together)
    return Tally(
        votes=sum(row.choice is not None for row in rows),
        voters=len(by_author),
        turns=len(results),
        sides=_all_sides(Counter(_side(row) for row in rows)),
        by_author={author: _all_sides(by_author[author]) for author in sorted(by_author)},
        win_rate=sum(one.score for one in results) / len(results) if results else None,
        low=between[0] if between else None,
        high=between[1] if between else None,
        seen_by_two=pairs,
        agreed=agreed,
        alpha=agreement.alpha(together),
        alpha_low=spread[0] if spread else None,
        alpha_high=spread[1] if spread else None,
    )


def by_side(given: dict[str, list[Vote]]) -> dict[str, dict[str, int]]:
    """By turn how often each side was chosen."""
    return {turn_id: _all_sides(Counter(map(_side, rows))) for turn_id, rows in given.items()}


def _side(row: Vote) -> str:
    return str(row.choice) if row.choice else "skipped"


def _all_sides(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in (*map(str, CLASSES), "skipped")}


def _agreement(given: dict[str, list[Vote]]) -> tuple[agreement.Counts, int, int]:
    """Turns by classes as `agreement.alpha` takes them; how many have two votes, how many agree."""
    counts = np.zeros((len(given), len(CLASSES)))
    for line, rows in enumerate(given.values()):
        for row in rows:
            if row.choice:
                counts[line, CLASSES.index(Choice(row.choice))] += 1
    several = counts[counts.sum(axis=1) >= 2]
    return counts, len(several), int((several.max(axis=1) == several.sum(axis=1)).sum())


def interval(
    scores: Sequence[float], clusters: Sequence[str], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Bounds of the mean of scores from 0 to 1; None where there are fewer than two clusters.

    Wilson's interval for a share, with as many observations as the clusters are worth: n divided by the
    design effect, the clustered variance over that of n independent votes, never below 1 (Franco, Little,
    Louis & Slud, "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys",
    2019). Unlike a bootstrap it does not collapse when all votes go to one side.
    """
    values = np.asarray(scores, dtype=float)
    _, members = np.unique(np.asarray(clusters), return_inverse=True)
    groups = int(members.max()) + 1 if len(values) else 0
    if groups < 2:
        return None
    mean = float(values.mean())
    worth = _worth(values - mean, members, groups, mean * (1 - mean))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (mean + z * z / (2 * worth)) / (1 + z * z / worth)
    half = z / (1 + z * z / worth) * math.sqrt(mean * (1 - mean) / worth + (z / (2 * worth)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _worth(
    deviations: np.ndarray, members: np.ndarray, groups: int, share_variance: float
) -> float:
    """As how many independent votes these count; where all are alike, as one per cluster."""
    if share_variance <= 0:
        return float(groups)
    sums = np.bincount(members, weights=deviations)
    variance = groups / (groups - 1) * float((sums**2).sum()) / len(deviations) ** 2
    return len(deviations) / max(1.0, variance / (share_variance / len(deviations)))
