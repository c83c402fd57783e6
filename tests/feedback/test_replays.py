"""Which answers a replay asks again, one process at a time, and what stays of it when somebody is erased."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select

from feedback import (
    adapters,
    erasure,
    freezing,
    replay_draws,
    replays,
    retention,
    standing,
    votes,
    whose_words,
)
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid
from feedback.exam_tables import Replay, ReplayState, ReplayTurn, Vote
from feedback.tables import Adapter, Assistant, Conversation, Message, MessageState, now
from feedback.votes import Ballot
from tests.feedback.said import answered, built_adapter, corrected

OLGA = "olga@example.com"


@pytest.fixture
def candidate(assistant: Assistant, database_engine: Engine, tmp_path: Path) -> Adapter:
    with writing(database_engine) as session:
        return adapters.publish(session, assistant, built_adapter(tmp_path / "b"), [], {}, {})


def talked(
    session: Session, owner: Assistant, text: str, topic: str | None = None, who: str | None = None
) -> Message:
    """An answer in a conversation about a topic."""
    _, answer = answered(session, owner, text, f"An answer to {text}", who)
    talk = session.get_one(Conversation, answer.conversation_id)
    talk.topic = topic
    session.add(talk)
    session.flush()
    return answer


def begun(session: Session, owner: Assistant, most: int | None = None) -> Replay:
    """A replay that this process holds."""
    asked = replays.request(session, owner, OLGA, most=most)
    claimed = replays.claim(session, "here", asked.id)
    assert claimed is not None
    return claimed


def answer_all(session: Session, replay: Replay) -> Replay:
    """Both say something, each turn a little more alike."""
    for number, turn_id in enumerate(replays.left(session, replay)):
        replays.keep(
            session, replay, turn_id, None, f"new {number}", f"old {number}", number + 1.0
        )  # fmt: skip
    return replays.end(session, replay)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 400), max_size=12), st.integers(1, 60))
def test_every_topic_has_a_seat_while_there_are_seats_and_none_more_than_it_has_answers(
    counts: dict[str, int], most: int
) -> None:
    found = replay_draws.seats(counts, most)
    assert sum(found.values()) == min(most, sum(counts.values()))
    assert all(found[topic] <= count for topic, count in counts.items())
    present = [topic for topic, count in counts.items() if count]
    if len(present) <= most:
        assert all(found[topic] for topic in present)
    for more in present:
        for less in present:
            if counts[more] > counts[less]:
                assert found[more] >= found[less]


def test_only_whole_answers_of_these_days_to_customers_of_this_assistant_are_drawn(
    assistant: Assistant, candidate: Adapter, session: Session
) -> None:
    wanted = {talked(session, assistant, f"Question {n}?").id for n in range(3)}
    answered(session, assistant, "Cut off?", state=MessageState.INTERRUPTED)
    answered(session, assistant, "Silent?", state=MessageState.SHADOW)
    old = talked(session, assistant, "Long ago?")
    old.created_at = now() - timedelta(days=9)
    session.add(old)
    session.flush()
    replay = begun(session, assistant)
    drawn = session.exec(select(ReplayTurn.message_id).where(ReplayTurn.replay_id == replay.id))
    assert set(drawn) == wanted and replay.total == 3
    replays.end(session, replay)
    longer = replays.request(session, assistant, OLGA, days=30)
    claimed = replays.claim(session, "here")
    assert claimed is not None and claimed.id == longer.id and claimed.total == 4


def test_a_rare_topic_appears_and_the_same_answers_are_drawn_again(
    assistant: Assistant, candidate: Adapter, session: Session
) -> None:
    for number in range(30):
        talked(session, assistant, f"Question {number}?", "Returns" if number else "Warranty")
    drawn = []
    for _ in range(2):
        replay = begun(session, assistant, most=6)
        found = replays.turns_of(session, replay)
        assert Counter(turn.topic for turn in found) == {"Returns": 5, "Warranty": 1}
        drawn.append({turn.row.message_id for turn in found})
        replays.end(session, replay)
    assert drawn[0] == drawn[1]


def drawn_in(session: Session, replay: Replay) -> set[str]:
    """The questions that were drawn."""
    return {turn.question for turn in replays.turns_of(session, replay)}


@pytest.mark.parametrize("learner", ["the candidate", "what is live"])
def test_nothing_is_asked_that_either_side_was_trained_on_nor_whose_customer_was(
    assistant: Assistant, session: Session, tmp_path: Path, learner: str
) -> None:
    corrected(session, assistant, "May I return it?", "Within 40 days.", "wren")
    corrected(session, assistant, "Is my zip covered?", "For 10 years.")
    learned = list(freezing.freeze(session, assistant))
    talked(session, assistant, "And shoes?", who="wren")
    for who in ("otis", None):
        talked(session, assistant, f"Do you ship to {who}?", who=who)
    made = [
        adapters.publish(session, assistant, built_adapter(tmp_path / each, each.encode()), data, {}, {})
        for each, data in (("knows", learned), ("new", []))
    ]  # fmt: skip
    candidate, live = made if learner == "the candidate" else made[::-1]
    adapters.promote(session, assistant, live, OLGA, "good")
    replays.request(session, assistant, OLGA, candidate)
    claimed = replays.claim(session, "here")
    assert claimed is not None
    assert drawn_in(session, claimed) == {"Do you ship to otis?", "Do you ship to None?"}


def test_two_adapters_are_never_asked_twice_what_somebody_may_have_read(
    assistant: Assistant, candidate: Adapter, session: Session, tmp_path: Path
) -> None:
    for number in range(3):
        talked(session, assistant, f"Question {number}?")
    answer_all(session, begun(session, assistant, most=2))
    later = begun(session, assistant)
    assert later.total == 1  # what was answered is over, what was not drawn is left
    replays.end(session, later)
    other = adapters.publish(session, assistant, built_adapter(tmp_path / "c", b"c"), [], {}, {})
    again = begun(session, assistant)
    assert (again.adapter_id, again.total) == (other.id, 3)  # to these two it is new
    answer_all(session, again)
    adapters.promote(session, assistant, other, OLGA, "good")
    assert begun(session, assistant).total == 3  # other against candidate was never asked


def test_the_sides_turned_round_are_the_same_two(
    assistant: Assistant, candidate: Adapter, session: Session, tmp_path: Path
) -> None:
    talked(session, assistant, "Question?")
    other = adapters.publish(session, assistant, built_adapter(tmp_path / "c", b"c"), [], {}, {})
    for live, asked, total in ((candidate, other, 1), (other, candidate, 0)):
        adapters.promote(session, assistant, live, OLGA, "good")
        replays.request(session, assistant, OLGA, asked)
        claimed = replays.claim(session, "here")
        assert claimed is not None and claimed.total == total
        answer_all(session, claimed)


def test_only_what_the_live_side_answers_is_drawn(
    assistant: Assistant, session: Session, candidate: Adapter, tmp_path: Path
) -> None:
    assistant.topics = ["Returns", "Refunds"]
    session.add(assistant)
    for topic in ("Returns", "Refunds", None):
        talked(session, assistant, f"What of {topic}?", topic)
    first, second = (
        adapters.publish(session, assistant, built_adapter(tmp_path / each, each.encode()), [], {}, {})
        for each in "cd"
    )  # fmt: skip
    adapters.promote(session, assistant, first, OLGA, "good")
    adapters.promote(session, assistant, second, OLGA, "better", except_topics=["Refunds"])
    replays.request(session, assistant, OLGA, candidate)
    claimed = replays.claim(session, "here")
    assert claimed is not None and drawn_in(session, claimed) == {"What of Returns?"}


def test_the_question_is_asked_with_what_had_been_said_before_it_and_nothing_after(
    assistant: Assistant, candidate: Adapter, session: Session
) -> None:
    first = talked(session, assistant, "One?")
    talk = session.get_one(Conversation, first.conversation_id)
    answered(session, assistant, "Two?", "Second.", conversation=talk)
    replay = begun(session, assistant)
    contexts = [replays.context_of(session, each) for each in replays.left(session, replay)]
    assert sorted(len(each or []) for each in contexts) == [1, 3]
    assert max(contexts, key=lambda each: len(each or [])) == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "An answer to One?"},
        {"role": "user", "content": "Two?"},
    ]


def test_what_makes_no_sense_is_refused_with_what_to_do(
    assistant: Assistant, candidate: Adapter, session: Session
) -> None:
    with pytest.raises(Invalid, match="FEEDBACK_REPLAY_TURNS_LIMIT"):
        replays.request(session, assistant, OLGA, most=10_000)
    replays.request(session, assistant, OLGA)
    with pytest.raises(Conflict, match="wait until it has ended"):
        replays.request(session, assistant, OLGA)
    adapters.promote(session, assistant, candidate, OLGA, "good")
    with pytest.raises(Conflict, match="is live"):
        replays.request(session, assistant, OLGA, candidate)
    with pytest.raises(Conflict, match="no candidate to replay"):
        replays.request(session, assistant, OLGA)


def test_one_process_holds_a_replay_until_it_falls_silent(
    assistant: Assistant, candidate: Adapter, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        talked(session, assistant, "One?")
        replay = begun(session, assistant)
    with writing(database_engine) as session:
        assert replays.claim(session, "there") is None and not replays.waiting(session)
        row = replays.get(session, replay.id)
        row.lease_until = now() - timedelta(seconds=1)
        session.add(row)
    with writing(database_engine) as session:
        other = replays.claim(session, "there")
        assert other is not None and other.total == 1
    with writing(database_engine) as session:
        [turn_id] = replays.left(session, replay)
        with pytest.raises(Conflict, match="held by 'there'"):
            replays.keep(session, replay, turn_id, None, "a", "b", 1.0)
        kept = replays.keep(session, other, turn_id, None, "a", "b", 1.0)
        assert (kept.done, kept.total) == (1, 1)
        assert replays.left(session, other) == []


def test_both_sides_stay_loaded_and_keep_their_files_until_the_replay_has_ended(
    assistant: Assistant, candidate: Adapter, session: Session, tmp_path: Path
) -> None:
    other = adapters.publish(session, assistant, built_adapter(tmp_path / "c", b"c"), [], {}, {})
    adapters.promote(session, assistant, other, OLGA, "good")
    replay = begun(session, assistant)
    adapters.promote(session, assistant, None, OLGA, "back to the base model")

    def kept() -> tuple[set[str], set[str]]:
        """What is awaited, and what stays on the disk for the replay's sake."""
        plan = retention.plan(session, assistant, now() + timedelta(days=4000))
        because = "answers a replay that is not finished"
        awaited = standing.of(session, assistant).awaited
        return {each.name for each in awaited}, {v.name for v in plan if because in v.keep}

    both = {candidate.name, other.name}
    assert kept() == (both, both)
    replays.end(session, replay)
    assert kept() == (set(), set())


def test_whoever_is_erased_leaves_no_replayed_answer_and_no_vote_behind(
    assistant: Assistant, candidate: Adapter, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        for who in ("wren", "otis"):
            talked(session, assistant, f"{who} asks what?", who=who)
        replay = answer_all(session, begun(session, assistant))
        for turn_id in votes._pairs(session, replay):
            votes.vote(session, session.get_one(ReplayTurn, turn_id), "mara", Ballot.FIRST)
    with writing(database_engine) as session:
        subject = whose_words.of_customer(session, assistant, "wren")
        done = erasure.erase(session, assistant, subject, Actor(OLGA, "operator"), "Asked.")
        assert done.certificate["removed"]["replay_turn"] == 1
        assert done.certificate["removed"]["vote"] == 1
    with reading(database_engine) as session:
        [left] = replays.turns_of(session, replays.get(session, replay.id))
        assert left.question == "otis asks what?"
        assert len(session.exec(select(Vote)).all()) == 1


def test_a_conversation_erased_while_a_replay_runs_is_passed_over(
    assistant: Assistant, candidate: Adapter, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        for who in ("wren", "otis"):
            talked(session, assistant, f"{who} asks what?", who=who)
        replay = begun(session, assistant)
        ids = replays.left(session, replay)
    with writing(database_engine) as session:
        subject = whose_words.of_customer(session, assistant, "wren")
        erasure.erase(session, assistant, subject, Actor(OLGA, "operator"), "Asked.")
    with writing(database_engine) as session:
        contexts = [replays.context_of(session, each) for each in ids]
        assert sorted(each is None for each in contexts) == [False, True]
        for turn_id in ids:
            kept = replays.keep(session, replay, turn_id, None, "a", "b", 10.0)
        assert (kept.done, kept.total) == (1, 1)
        assert replays.end(session, replay).state == ReplayState.FINISHED
