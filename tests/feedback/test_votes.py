"""Blind votes: who is shown what, what a vote means, and what the votes say together."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session
from statsmodels.stats.proportion import proportion_confint

from feedback import adapters, replays, votes
from feedback.database import writing
from feedback.errors import Conflict, Invalid
from feedback.exam_tables import Choice, Replay, ReplayState, ReplayTurn
from feedback.tables import Assistant
from feedback.votes import Ballot
from tests.feedback.said import answered, built_adapter
from tests.feedback.test_replays import answer_all, begun, talked


@pytest.fixture
def replay(assistant: Assistant, database_engine: Engine, tmp_path: Path) -> Replay:
    """Five pairs, the first the least alike."""
    with writing(database_engine) as session:
        adapters.publish(session, assistant, built_adapter(tmp_path / "b"), [], {}, {})
        for number in range(5):
            talked(session, assistant, f"Question {number}?", "Returns", f"c-{number % 4}")
        return answer_all(session, begun(session, assistant))


def votes_for(session: Session, replay: Replay, author: str, *choices: Choice | None) -> None:
    """Somebody votes on the next pairs, each for a side, whichever place it has."""
    for choice in choices:
        pair = votes.next_pair(session, replay, author)
        assert pair is not None
        turn = session.get_one(ReplayTurn, pair.turn_id)
        ballot = {None: Ballot.SKIP, Choice.TIE: Ballot.TIE}.get(choice)
        if ballot is None:
            is_first = (choice == Choice.CANDIDATE) == turn.candidate_first
            ballot = Ballot.FIRST if is_first else Ballot.SECOND
        votes.vote(session, turn, author, ballot)


def test_the_least_alike_comes_first_and_nobody_sees_a_pair_twice(
    session: Session, replay: Replay
) -> None:
    shown = []
    while pair := votes.next_pair(session, replay, "mara"):
        shown.append(session.get_one(ReplayTurn, pair.turn_id).likeness)
        ballot = Ballot.SKIP if len(shown) % 2 else Ballot.TIE
        votes.vote(session, session.get_one(ReplayTurn, pair.turn_id), "mara", ballot)
    assert shown == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert votes.progress(session, replay, "mara").left == 0
    assert votes.progress(session, replay, "nils").left == 5


def test_who_opens_the_sides_may_not_vote_from_then_on_and_what_they_voted_counts(
    session: Session, replay: Replay
) -> None:
    votes_for(session, replay, "olga", Choice.CANDIDATE)
    assert votes.are_secret(session, replay, "olga")
    assert votes.open_sides(session, replay, "olga")
    assert votes.next_pair(session, replay, "olga") is None
    assert votes.progress(session, replay, "olga").left == 0
    assert not votes.are_secret(session, replay, "olga")
    left = votes.next_pair(session, replay, "mara")
    assert left is not None  # others go on
    for turn in replays.turns_of(session, replay):
        with pytest.raises(Conflict, match="would not be blind"):
            votes.vote(session, turn.row, "olga", Ballot.FIRST)
    assert votes.figures(session, replay).by_author == {
        "olga": {"candidate": 1, "tie": 0, "live": 0, "skipped": 0}
    }
    assert not votes.open_sides(session, replay, "olga")
    assert votes.opened_by(session, replay) == ["olga"]


def test_who_has_voted_on_every_pair_may_read_the_sides_and_nothing_is_kept(
    session: Session, replay: Replay
) -> None:
    votes_for(session, replay, "olga", *[None] * 5)
    assert not votes.open_sides(session, replay, "olga")
    assert votes.opened_by(session, replay) == []


def test_the_sides_of_a_replay_under_way_are_secret_as_soon_as_two_answers_differ(
    session: Session, replay: Replay
) -> None:
    row = replays.get(session, replay.id)
    row.state = ReplayState.RUNNING
    session.add(row)
    assert votes.next_pair(session, row, "olga") is None
    assert votes.open_sides(session, row, "olga")
    row.state = ReplayState.FINISHED
    assert votes.next_pair(session, row, "olga") is None


def test_a_vote_for_a_place_is_a_vote_for_whoever_stood_there(
    session: Session, replay: Replay
) -> None:
    for number, turn in enumerate(replays.turns_of(session, replay)):
        turn.row.candidate_first = bool(number % 2)
        session.add(turn.row)
        session.flush()
        pair = votes.next_pair(session, replay, "mara")
        assert pair is not None and pair.turn_id == turn.row.id
        wanted = turn.row.candidate_text if number % 2 else turn.row.live_text
        assert pair.first == wanted
        kept = votes.vote(session, turn.row, "mara", Ballot.FIRST)
        assert kept.choice == (Choice.CANDIDATE if number % 2 else Choice.LIVE)


def test_a_second_word_and_a_vote_on_equal_answers_are_refused(
    session: Session, replay: Replay
) -> None:
    first, second, *_ = replays.turns_of(session, replay)
    votes.vote(session, first.row, "mara", Ballot.FIRST)
    with pytest.raises(Conflict, match="already"):
        votes.vote(session, first.row, "mara", Ballot.SECOND)
    second.row.candidate_text = second.row.live_text
    session.add(second.row)
    session.flush()
    with pytest.raises(Conflict, match="the same"):
        votes.vote(session, second.row, "mara", Ballot.FIRST)
    with pytest.raises(Invalid, match="expected one of first, second, tie, skip"):
        votes.ballot_from("left")


def test_nothing_is_voted_on_before_the_replay_has_ended(
    session: Session, replay: Replay, assistant: Assistant
) -> None:
    _, answer = answered(session, assistant, "New?", "Yes.")
    running = begun(session, assistant)
    assert answer.id and votes.next_pair(session, running, "mara") is None
    found = votes.open_to(session, assistant, "mara")
    assert found is not None and found.id == replay.id


def test_figures_count_sides_people_and_agreement_and_results_average_voters(
    session: Session, replay: Replay
) -> None:
    ours, theirs, tie = Choice.CANDIDATE, Choice.LIVE, Choice.TIE
    votes_for(session, replay, "mara", ours, ours, theirs, tie, None)
    votes_for(session, replay, "nils", ours, tie, theirs)
    tally = votes.figures(session, replay)
    assert tally.sides == {"candidate": 3, "tie": 2, "live": 2, "skipped": 1}
    assert tally.by_author["nils"] == {"candidate": 1, "tie": 1, "live": 1, "skipped": 0}
    assert (tally.votes, tally.voters, tally.turns) == (7, 2, 4)
    assert (tally.seen_by_two, tally.agreed) == (3, 2)
    assert tally.alpha is not None and 0 < tally.alpha < 1
    results = votes.votes_as_results(session, replay)
    assert [one.score for one in results] == [1.0, 0.75, 0.0, 0.5]
    assert {one.topic for one in results} == {"Returns"}
    assert len({one.cluster for one in results}) <= 4
    assert tally.win_rate is not None and tally.win_rate == pytest.approx(2.25 / 4)
    assert tally.low is not None and tally.high is not None
    assert 0 <= tally.low < tally.win_rate < tally.high <= 1


def test_no_votes_have_no_figures(session: Session, replay: Replay) -> None:
    tally = votes.figures(session, replay)
    assert (tally.votes, tally.win_rate, tally.low, tally.alpha) == (0, None, None, None)
    assert votes.votes_as_results(session, replay) == []


@given(st.integers(0, 40), st.integers(0, 40))
def test_independent_votes_have_wilsons_interval(wins: int, losses: int) -> None:
    scores = [1.0] * wins + [0.0] * losses
    found = votes.interval(scores, [str(number) for number in range(len(scores))])
    if len(scores) < 2:
        assert found is None
        return
    assert found is not None
    low, high = proportion_confint(wins, len(scores), 0.05, "wilson")
    # n/(n-1) in the clustered variance makes it a little wider, never narrower
    assert found[0] <= low + 1e-9 and found[1] >= high - 1e-9
    assert high - low >= 0.8 * (found[1] - found[0])


def test_the_interval_holds_the_true_share_as_often_as_it_says_also_in_clusters() -> None:
    """The odds of clusters vary, votes within one resemble each other, a fifth are ties."""
    random = np.random.default_rng(7)
    hits: Counter[bool] = Counter()
    for _ in range(600):
        sizes = random.integers(1, 4, size=30)
        odds = np.clip(random.normal(0.6, 0.2, size=30), 0.02, 0.98)
        drawn = random.random(int(sizes.sum())) < np.repeat(odds, sizes)
        scores = np.where(random.random(len(drawn)) < 0.2, 0.5, drawn.astype(float))
        clusters = np.repeat(np.arange(30), sizes).astype(str)
        found = votes.interval(scores.tolist(), clusters.tolist())
        assert found is not None
        mean = 0.2 * 0.5 + 0.8 * 0.6
        hits[found[0] <= mean <= found[1]] += 1
    assert hits[True] / 600 >= 0.93
