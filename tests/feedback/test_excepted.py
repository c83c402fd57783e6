"""Live for the other topics only: who answers which topic, whatever was promoted and rolled back."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import (
    adapters,
    assistants,
    conversations,
    erasure,
    excepted,
    promotions,
    retention,
    standing,
    trials,
)
from feedback.database import writing
from feedback.errors import Conflict, Invalid, UnderstudyError
from feedback.swap_tables import RequestState, TrialKind, TrialState
from feedback.tables import Adapter, Assistant, Conversation, Promotion, now
from tests.feedback.said import built_adapter, roll_back

TOPICS = ["returns", "refunds", "fees"]


@pytest.fixture
def shop(make_assistant: Callable[..., Assistant]) -> Assistant:
    return make_assistant("shop", topics=TOPICS)


@pytest.fixture
def trio(shop: Assistant, session: Session, tmp_path: Path) -> list[Adapter]:
    return [publish(session, shop, tmp_path, name) for name in ("one", "two", "three")]


def publish(session: Session, shop: Assistant, folder: Path, name: str) -> Adapter:
    built = built_adapter(folder / name, name.encode())
    return adapters.publish(session, shop, built, [], {}, {})


def promote(session: Session, shop: Assistant, adapter: Adapter | None, *topics: str) -> Promotion:
    return adapters.promote(session, shop, adapter, "olga", "A test.", except_topics=topics)


def speakers(session: Session, shop: Assistant) -> dict[str | None, str]:
    """By topic (None: unknown), who answers."""
    found = {topic: adapters.speaker(session, shop, topic) for topic in (*TOPICS, None)}
    return {topic: each.name if each else "base" for topic, each in found.items()}


def test_excepted_and_unknown_topics_stay_with_what_answered_them(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, _ = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    assert speakers(session, shop) == {
        "returns": two.name, "refunds": one.name, "fees": two.name, None: one.name
    }  # fmt: skip
    said = excepted.in_words(session, adapters.live(session, shop))
    assert said == f"all but refunds (this stays with {one.name})"


def test_the_base_model_goes_on_answering_what_is_excepted_from_the_first_adapter(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    promote(session, shop, trio[0], "fees", "refunds")
    live = adapters.live(session, shop)
    assert excepted.in_words(session, live) == "all but refunds and fees (these stay with base)"
    assert speakers(session, shop)["fees"] == "base"


@pytest.mark.parametrize("end", ["rollback", "full"])
def test_a_rollback_or_a_full_promotion_ends_the_exception_for_all_topics(
    shop: Assistant, session: Session, trio: list[Adapter], end: str
) -> None:
    one, two, _ = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    if end == "rollback":
        roll_back(session, shop, "olga", "Worse after all.")
    else:
        promote(session, shop, two)
    expected = one if end == "rollback" else two
    assert set(speakers(session, shop).values()) == {expected.name}
    assert excepted.in_words(session, adapters.live(session, shop)) == ""


def test_a_rollback_passes_over_what_never_answered_all_topics(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    promote(session, shop, three)
    assert adapters.rollback_target(session, shop) == one


def test_an_exception_is_handed_on_from_candidate_to_candidate_and_may_shrink(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds", "fees")
    promote(session, shop, three, "refunds", "fees")
    assert speakers(session, shop) == {
        "returns": three.name, "refunds": one.name, "fees": one.name, None: one.name
    }  # fmt: skip
    promote(session, shop, three, "refunds")
    assert speakers(session, shop)["fees"] == three.name


def test_what_cannot_be_is_refused_with_a_sentence_and_changes_nothing(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    before = speakers(session, shop)
    refused: list[tuple[type[UnderstudyError], str, Adapter, tuple[str, ...]]] = [
        (Invalid, "'tents', which 'shop' does not have", three, ("tents",)),
        (Invalid, "All topics are excepted", three, tuple(TOPICS)),
        (Conflict, "answered by different adapters", three, ("refunds", "fees")),
        (Conflict, "itself answers fees", two, ("fees",)),
        (Conflict, "answers fees now, but not all topics", three, ("fees",)),
        (Conflict, "is live already", two, ("refunds", "refunds")),
    ]
    for kind, sentence, adapter, topics in refused:
        with pytest.raises(kind, match=sentence):
            promote(session, shop, adapter, *topics)
        with pytest.raises(kind, match=sentence):
            promotions.request(session, shop, adapter, "olga", "x", except_topics=topics)
    assert speakers(session, shop) == before
    assert promotions.waiting(session, shop) is None


def test_what_is_unknown_is_never_left_to_what_never_answered_all_topics(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    with pytest.raises(Conflict, match="Let it answer all topics first"):
        promote(session, shop, three, "fees")
    promote(session, shop, two)
    promote(session, shop, three, "fees")
    assert speakers(session, shop)[None] == two.name


def test_a_topic_that_left_the_list_stays_excepted(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    shop.topics = ["returns", "fees"]
    session.add(shop)
    now_ = standing.of(session, shop)
    assert now_.topics == ["returns", "fees", "refunds"]
    assert now_.speaker("refunds") == one
    promote(session, shop, three, "refunds")
    assert speakers(session, shop)["refunds"] == one.name


def test_a_request_carries_its_exceptions_and_taking_it_back_keeps_those_in_force(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    asked = promotions.request(session, shop, two, "olga", "x", except_topics=["refunds"])
    with pytest.raises(Conflict, match="asked for already"):
        promotions.request(session, shop, two, "olga", "x", except_topics=["refunds"])
    done = promotions.carry_out(session, asked.id)
    assert done and (done.except_topics, done.except_adapter_id) == (["refunds"], one.id)
    promotions.request(session, shop, three, "olga", "x")
    back = promotions.request_rollback(session, shop, "olga", "not yet")
    assert (back.state, back.promotion_id) == (RequestState.DONE, done.id)
    assert speakers(session, shop)["refunds"] == one.name
    assert speakers(session, shop)["fees"] == two.name


def test_engines_hold_both_and_the_files_of_both_stay(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, _ = trio
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    assert standing.of(session, shop).wanted == [two, one]
    later = now() + timedelta(days=4000)
    kept = {each.name: each.keep for each in retention.plan(session, shop, later)}
    assert "goes on answering refunds" in kept[one.name]
    assert erasure.standing(session, shop, one)["answers_some_topics"] is True
    assert erasure.standing(session, shop, two)["answers_some_topics"] is False
    roll_back(session, shop, "olga", "x")
    assert not excepted.topics_of(adapters.live(session, shop), one)


def _talk(session: Session, shop: Assistant, adapter: Adapter, topic: str | None) -> Conversation:
    return conversations.begin(session, shop, adapter, topic=topic)


def test_the_swap_policy_moves_to_what_answers_the_topic_and_from_what_was_withdrawn(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    shop.swap = {"move_after_minutes": 5, "leave_withdrawn": True}
    session.add(shop)
    promote(session, shop, three)
    promote(session, shop, one)
    promote(session, shop, two, "refunds")
    stands, later = standing.of(session, shop), now() + timedelta(minutes=6)
    moves = {
        (adapter.name, topic): stands.moves(_talk(session, shop, adapter, topic), later)
        for adapter in trio
        for topic in ("refunds", "fees", None)
    }
    goes_to_one = {"refunds", None}
    assert moves == {
        (adapter.name, topic): adapter is not (one if topic in goes_to_one else two)
        for adapter in trio
        for topic in ("refunds", "fees", None)
    }
    roll_back(session, shop, "olga", "x")
    stands = standing.of(session, shop)
    assert stands.moves(_talk(session, shop, two, "fees"), now())
    assert not stands.moves(_talk(session, shop, one, "refunds"), now())


def test_an_exception_ends_a_running_trial_as_its_yardstick_changed(
    shop: Assistant, session: Session, trio: list[Adapter]
) -> None:
    one, two, three = trio
    promote(session, shop, one)
    trial = trials.start(session, shop, three, TrialKind.CANARY, 0.5, "olga", "see it")
    asked = promotions.request(session, shop, two, "olga", "x", except_topics=["refunds"])
    promotions.carry_out(session, asked.id)
    assert trials.get(session, trial.id).state == TrialState.STOPPED


Act = tuple[int, list[str]]
ACTS = st.lists(
    st.tuples(st.integers(-1, 2), st.lists(st.sampled_from(TOPICS), unique=True)), max_size=12
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_over_any_history_every_topic_has_the_speaker_that_a_simple_book_keeps(
    database_engine: Engine, shop: Assistant, tmp_path: Path, acts: list[Act]
) -> None:
    """An act is a promotion (0, 1, 2) with exceptions, or a rollback (-1). The book is kept by hand."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    with pytest.raises(_Undone), writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        made = [publish(session, owner, folder, name) for name in ("one", "two", "three")]
        _follow(session, owner, made, acts)
        raise _Undone


class _Undone(Exception):
    """Takes everything back, so that each example begins anew."""


def _follow(session: Session, owner: Assistant, made: list[Adapter], acts: list[Act]) -> None:
    book: dict[str | None, str] = dict.fromkeys((*TOPICS, None), "base")
    for_all: list[str] = []  # what was live for all topics, oldest first
    for which, topics in acts:
        before, live = dict(book), adapters.live(session, owner)
        try:
            if which < 0:
                done = roll_back(session, owner, "olga", "back")
                mine = excepted.name_of(session, live.adapter_id if live else None)
                target = next((name for name in reversed(for_all) if name != mine), "base")
                book = dict.fromkeys(book, target)
            else:
                done = promote(session, owner, made[which], *topics)
                kept = {before[topic] for topic in topics}
                assert len(kept) <= 1 and made[which].name not in kept
                assert kept <= {"base", *for_all}  # each was live for all topics before
                book = {
                    topic: before[topic] if topic in topics else made[which].name
                    for topic in TOPICS
                } | {None: next(iter(kept), made[which].name)}
            if not done.except_topics:
                for_all.append(excepted.name_of(session, done.adapter_id))
        except UnderstudyError:
            book = before
        assert speakers(session, owner) == book
        _agrees(standing.of(session, owner), book)


def _agrees(stands: Any, book: dict[str | None, str]) -> None:
    """The service decides from the same facts, and its engines hold whoever may speak."""
    for topic, name in book.items():
        speaker = stands.speaker(topic)
        assert (speaker.name if speaker else "base") == name
        assert speaker is None or speaker in stands.wanted
