"""Every correction in force is asked again of what goes live: which are due, which count, what is news."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from feedback import adapters, corrections, learned, news, policies, rechecks
from feedback.desk_tables import Recheck, RecheckState
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    Message,
    Promotion,
    Role,
    now,
)
from tests.feedback.said import answered, built_adapter, corrected, roll_back, statements_of

FIXED, NOT_YET, LOST = RecheckState.FIXED, RecheckState.NOT_YET, RecheckState.REGRESSED
Go = Callable[[str], Adapter]


@pytest.fixture
def go_live(assistant: Assistant, session: Session, tmp_path: Path) -> Go:
    """Publishes an adapter and promotes it."""

    def go(seed: str) -> Adapter:
        built = built_adapter(tmp_path / seed, seed.encode())
        adapter = adapters.publish(session, assistant, built, [], {}, {})
        adapters.promote(session, assistant, adapter, "olga", "better")
        return adapter

    return go


def taught(session: Session, assistant: Assistant, count: int) -> list[Feedback]:
    return [
        corrected(session, assistant, f"What about the lamp number {n}?", f"Lamp {n} costs {n}.")
        for n in range(count)
    ]


def checked(session: Session, word: Feedback, state: RecheckState, by: Adapter | None) -> Recheck:
    asked = rechecks.request(session, word, "mara")
    return rechecks.finish(session, asked, state, by, "Now.", 70.0, 20.0)


def live_promotion(session: Session, assistant: Assistant) -> Promotion:
    found = adapters.live(session, assistant)
    assert found is not None
    return found


def ask_round(session: Session, assistant: Assistant, at_most: int) -> int:
    """What the loop does: it looks what is due, and asks for it."""
    promotion = adapters.live(session, assistant)
    if promotion is None:
        return 0
    found = rechecks.due(session, assistant, promotion, at_most)
    return rechecks.request_round(session, assistant, promotion, found)


def work_off(session: Session, assistant: Assistant, state: RecheckState = FIXED) -> int:
    """What the loop does with one round."""
    live = adapters.live_adapter(session, assistant)
    pending = rechecks.requested(session, 1000)
    for row in pending:
        rechecks.finish(session, row, state, live, "Now.", 70.0, 20.0)
    return len(pending)


def test_before_anything_was_promoted_nothing_is_due(
    assistant: Assistant, session: Session
) -> None:
    taught(session, assistant, 2)
    assert ask_round(session, assistant, 10) == 0
    assert rechecks.progress(session, assistant) is None


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 7), at_most=st.integers(1, 5))
def test_rounds_are_bounded_and_together_ask_every_correction_once(
    assistant: Assistant, session: Session, tmp_path: Path, count: int, at_most: int
) -> None:
    place = session.begin_nested()
    words = taught(session, assistant, count)
    built = built_adapter(tmp_path / f"a-{count}-{at_most}-{now().timestamp()}")
    adapter = adapters.publish(session, assistant, built, [], {}, {})
    adapters.promote(session, assistant, adapter, "olga", "better")
    asked: list[int] = []
    while found := ask_round(session, assistant, at_most):
        assert ask_round(session, assistant, at_most) == 0  # while it is under way
        assert work_off(session, assistant) == found
        asked.append(found)
    assert sum(asked) == count and all(each <= at_most for each in asked)
    seen = rechecks.of_adapter(session, assistant, adapter)
    assert sorted(seen) == sorted(word.id for word in words)
    done = rechecks.progress(session, assistant)
    assert done is not None and (done.checked, done.total) == (count, count)
    place.rollback()


def test_a_round_that_was_looked_up_is_not_asked_for_once_things_have_changed(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    gone, kept = taught(session, assistant, 2)
    go_live("a")
    promotion = live_promotion(session, assistant)
    found = rechecks.due(session, assistant, promotion, 5)
    corrections.withdraw(session, gone.id, "mara")
    assert rechecks.request_round(session, assistant, promotion, found) == 1
    assert [row.feedback_id for row in rechecks.requested(session)] == [kept.id]
    assert rechecks.request_round(session, assistant, promotion, found) == 0  # one is under way
    work_off(session, assistant)
    go_live("b")
    assert rechecks.request_round(session, assistant, promotion, found) == 0  # b is live by now


def about(session: Session, word: Feedback, topic: str | None) -> Feedback:
    """The correction is in a conversation about this topic."""
    message = session.get_one(Message, word.message_id)
    session.get_one(Conversation, message.conversation_id).topic = topic
    session.flush()
    return word


def test_corrections_about_excepted_topics_are_not_due_and_count_by_who_answers_them(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    assistant.topics = ["lamps", "fees"]
    session.add(assistant)
    lamp, fee, unknown = (
        about(session, word, topic)
        for word, topic in zip(taught(session, assistant, 3), ("lamps", "fees", None), strict=True)
    )
    first = go_live("a")
    second = go_live("b")
    adapters.promote(session, assistant, first, "olga", "back")
    adapters.promote(session, assistant, second, "olga", "but fees", except_topics=["fees"])
    promotion = live_promotion(session, assistant)
    due = rechecks.due(session, assistant, promotion, 10)
    assert [word.id for word in due] == [lamp.id]
    progress = rechecks.progress(session, assistant)
    assert progress is not None and progress.total == 1
    for word in (lamp, fee, unknown):
        checked(session, word, FIXED, first)
        checked(session, word, LOST, second)
    counts = rechecks.that_count(session, assistant, [lamp.id, fee.id, unknown.id])
    assert counts[lamp.id].adapter_id == second.id
    assert counts[fee.id].adapter_id == counts[unknown.id].adapter_id == first.id
    assert learned.counts(session, assistant, None)["fixed"] == 2


def test_what_the_loop_looks_at_every_second_is_found_without_a_scan(
    assistant: Assistant, session: Session
) -> None:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    if not is_sqlite:  # which would rather read a whole small table
        session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")
    looks = (
        lambda: rechecks.is_pending(session, assistant),
        lambda: rechecks.requested(session, 1),
    )
    for look in looks:
        [(statement, parameters)] = statements_of(session, look)
        explain = f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{statement}"
        plan = session.connection().exec_driver_sql(explain, parameters).all()
        assert "ix_recheck_requested" in str(plan)


def test_progress_says_how_many_of_how_many_and_against_what(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    taught(session, assistant, 3)
    adapter = go_live("a")
    ask_round(session, assistant, 2)
    work_off(session, assistant)
    found = rechecks.progress(session, assistant)
    assert found is not None
    assert found.sentence == f"2 of 3 corrections checked against {adapter.name}"
    assert found.states == {"fixed": 2}


def test_the_oldest_check_comes_first_and_one_never_checked_before_all(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    old, newer, never = taught(session, assistant, 3)
    adapter = go_live("a")
    for word, days in ((old, 9), (newer, 1)):
        checked(session, word, FIXED, adapter).finished_at = now() - timedelta(days=days)
    session.flush()
    go_live("b")
    promotion = live_promotion(session, assistant)
    found = rechecks.due(session, assistant, promotion, 10)
    assert [word.id for word in found] == [never.id, old.id, newer.id]


def test_what_was_said_after_the_promotion_or_counts_no_more_is_not_due(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    gone, ruled, kept = taught(session, assistant, 3)
    _, answer = answered(session, assistant, "Nice?")
    corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    rule = policies.create(session, assistant, "lamps", "Lamps cost 1.", "olga")
    ruled.policy_id = rule.id
    corrections.withdraw(session, gone.id, "mara")
    policies.retire(session, rule, "olga")
    go_live("a")
    corrected(session, assistant, "And the moon?", "It is free.")
    due = rechecks.due(session, assistant, live_promotion(session, assistant), 10)
    assert [word.id for word in due] == [kept.id]


def test_an_adapter_that_comes_back_is_not_asked_again_and_its_own_checks_count(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    [word] = taught(session, assistant, 1)
    first = go_live("a")
    checked(session, word, FIXED, first)
    second = go_live("b")
    assert ask_round(session, assistant, 5) == 1
    work_off(session, assistant, LOST)
    counts = rechecks.that_count(session, assistant, [word.id])
    assert counts[word.id].adapter_id == second.id
    roll_back(session, assistant, "olga", "worse")
    assert ask_round(session, assistant, 5) == 0
    counts = rechecks.that_count(session, assistant, [word.id])
    assert (counts[word.id].adapter_id, counts[word.id].state) == (first.id, FIXED)
    assert learned.counts(session, assistant, None)["fixed"] == 1


def test_what_fails_is_tried_again_but_not_for_ever(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    taught(session, assistant, 1)
    go_live("a")
    for _ in range(rechecks.TRIES):
        assert ask_round(session, assistant, 5) == 1
        work_off(session, assistant, RecheckState.FAILED)
    assert ask_round(session, assistant, 5) == 0


def test_what_a_person_asks_for_comes_before_the_round(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    taught(session, assistant, 3)
    go_live("a")
    assert ask_round(session, assistant, 5) == 3
    late = corrected(session, assistant, "And the moon?", "It is free.")
    rechecks.request(session, late, "mara@example.com")
    first, *rest = rechecks.requested(session)
    assert first.feedback_id == late.id and not rechecks.is_of_a_round(first)
    assert len(rest) == 3 and all(rechecks.is_of_a_round(row) for row in rest)


@given(
    before=st.sampled_from([None, FIXED, NOT_YET, LOST]),
    after=st.lists(st.sampled_from([FIXED, NOT_YET, LOST]), max_size=3),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_news_is_what_is_different_from_the_last_look(
    assistant: Assistant,
    session: Session,
    before: RecheckState | None,
    after: list[RecheckState],
) -> None:
    place = session.begin_nested()
    [word] = taught(session, assistant, 1)
    if before:
        checked(session, word, before, None)
    looked = now()
    for state in after:
        checked(session, word, state, None)
    told = news.since(session, assistant, "mara", looked)
    last = after[-1] if after else before
    assert [one.feedback.id for one in told.learned] == [word.id] * (
        last == FIXED and before != FIXED
    )
    assert [one.feedback.id for one in told.lost] == [word.id] * (last == LOST and before != LOST)
    assert news.count(session, assistant, "mara", looked) == told.count
    assert news.count(session, assistant, "nils", looked) == 0
    place.rollback()


def test_news_is_told_in_a_sentence(assistant: Assistant, session: Session) -> None:
    words = taught(session, assistant, 4)
    looked = now()
    assert news.since(session, assistant, None, looked).sentence.startswith("None of your")
    checked(session, words[0], LOST, None)
    found = news.since(session, assistant, None, looked)
    assert found.sentence == "1 of your corrections was lost again."
    for word in words[1:]:
        checked(session, word, FIXED, None)
    found = news.since(session, assistant, None, looked)
    assert found.sentence == "3 of your corrections were learned, 1 was lost again."


def test_news_ask_as_few_questions_for_many_corrections_as_for_one(
    assistant: Assistant, session: Session, go_live: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "SHOWN", 3)
    looked = now()
    numbers = []
    for seed, count in (("a", 1), ("b", 8)):
        by = go_live(seed)
        for word in taught(session, assistant, count):
            checked(session, word, FIXED, by)
        numbers.append(
            [
                len(statements_of(session, lambda: news.count(session, assistant, "mara", looked))),
                len(statements_of(session, lambda: news.since(session, assistant, "mara", looked))),
            ]
        )
    assert numbers[0] == numbers[1]
    told = news.since(session, assistant, "mara", looked)
    assert (len(told.learned), told.learned_count, told.count) == (3, 9, 9)
    assert told.sentence == "9 of your corrections were learned."
    assert told.learned[0].feedback.id > told.learned[-1].feedback.id


def test_one_correction_shows_everything_the_bot_said_to_it(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    [word] = taught(session, assistant, 1)
    first, second = go_live("a"), go_live("b")
    checked(session, word, FIXED, first)
    checked(session, word, LOST, second)
    found = rechecks.of_correction(session, word)
    assert [(row.state, who and who.id) for row, who in found] == [
        (LOST, second.id), (FIXED, first.id)
    ]  # fmt: skip
    regressed = learned.by_author(session, assistant, "mara", state=LOST)
    assert [one.feedback.id for one in regressed] == [word.id]
    assert learned.by_author(session, assistant, "mara", state=FIXED) == []
