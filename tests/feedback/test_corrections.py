"""Feedback: superseded or withdrawn, never edited, and only about what it can be about."""

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import corrections
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import (
    Assistant,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    Message,
    MessageState,
    Role,
)
from tests.feedback.said import NIGHT, answered, at_the_same_time

KINDS = FeedbackKind


def correct(session: Session, answer: Message, text: str, author: str = "mara") -> Feedback:
    return corrections.give(session, answer.id, KINDS.CORRECTION, author, Role.AGENT, text=text)


def test_an_authors_newer_word_supersedes_their_older_one_which_stays_on_record(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, NIGHT)
    words = [correct(session, answer, text) for text in ("Air it.", "Wash it.", "Dry it.")]
    kept = corrections.about_message(session, answer.id)
    assert [word.text for word in kept] == ["Air it.", "Wash it.", "Dry it."]
    assert [word.state for word in kept] == ["superseded", "superseded", "active"]
    assert [word.supersedes_id for word in kept] == [None, words[0].id, words[1].id]


def test_another_person_or_another_kind_supersedes_nothing(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, NIGHT)
    correct(session, answer, "Air it.", "mara")
    correct(session, answer, "Wash it.", "jonas")
    corrections.give(session, answer.id, KINDS.RATING, "mara", Role.AGENT, value=-1)
    kept = corrections.about_message(session, answer.id)
    assert {word.state for word in kept} == {FeedbackState.ACTIVE}


def test_a_person_who_speaks_twice_at_once_has_one_active_word(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        _, answer = answered(session, assistant, NIGHT)

    def speak() -> None:
        with writing(database_engine) as session:
            correct(session, answer, "Air it.")

    assert at_the_same_time(*[speak] * 4) == []
    with reading(database_engine) as session:
        states = [word.state for word in corrections.about_message(session, answer.id)]
    assert sorted(states) == ["active", "superseded", "superseded", "superseded"]


def test_a_withdrawn_word_no_longer_counts_and_is_not_withdrawn_twice(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, NIGHT)
    word = correct(session, answer, "Air it.")
    corrections.withdraw(session, word.id, "mara")
    assert corrections.that_teach(session, assistant.id) == []
    assert [w.state for w in corrections.about_message(session, answer.id)] == ["withdrawn"]
    with pytest.raises(Conflict, match="withdrawn"):
        corrections.withdraw(session, word.id, "mara")


def test_nobody_withdraws_the_word_of_another(assistant: Assistant, session: Session) -> None:
    _, answer = answered(session, assistant, NIGHT)
    word = correct(session, answer, "Air it.", "mara")
    with pytest.raises(NotFound):
        corrections.withdraw(session, word.id, "jonas")


@pytest.mark.parametrize("kind", [KINDS.RATING, KINDS.FLAG, KINDS.CORRECTION, KINDS.APPROVAL])
def test_only_an_answer_is_rated_flagged_corrected_or_approved(
    assistant: Assistant, session: Session, kind: FeedbackKind
) -> None:
    question, _ = answered(session, assistant, NIGHT)
    with pytest.raises(Invalid, match="is about an answer"):
        corrections.give(session, question.id, kind, "mara", Role.AGENT, 1, FlagReason.TONE, "x")


def test_only_a_customers_message_is_demonstrated(assistant: Assistant, session: Session) -> None:
    question, answer = answered(session, assistant, NIGHT)
    with pytest.raises(Invalid, match="answers a customer's message"):
        corrections.give(session, answer.id, KINDS.DEMONSTRATION, "m", Role.AGENT, text="x")
    corrections.give(session, question.id, KINDS.DEMONSTRATION, "m", Role.AGENT, text="Air it.")


@pytest.mark.parametrize(
    ("kind", "value", "reason", "text", "sentence"),
    [
        (KINDS.RATING, 5, None, None, "rating 5, expected 1"),
        (KINDS.FLAG, None, None, None, "needs a reason: one of wrong_fact"),
        (KINDS.CORRECTION, None, None, "  ", "correction is empty"),
        (KINDS.CORRECTION, None, None, "a\x00", "NUL"),
    ],
)
def test_a_word_without_what_its_kind_needs_is_refused(
    assistant: Assistant,
    session: Session,
    kind: FeedbackKind,
    value: int | None,
    reason: FlagReason | None,
    text: str | None,
    sentence: str,
) -> None:
    _, answer = answered(session, assistant, NIGHT)
    with pytest.raises(Invalid, match=sentence):
        corrections.give(session, answer.id, kind, "mara", Role.AGENT, value, reason, text)
    assert corrections.about_message(session, answer.id) == []


def test_an_answer_still_being_written_cannot_be_judged(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, NIGHT, "Al", state=MessageState.WRITING)
    with pytest.raises(Conflict, match="still being written"):
        correct(session, answer, "Air it.")


def test_a_message_that_is_not_there_is_named(assistant: Assistant, session: Session) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        corrections.give(session, "nowhere", KINDS.APPROVAL, "mara", Role.AGENT)


def test_what_was_said_is_listed_by_kind_state_and_time(
    assistant: Assistant, session: Session
) -> None:
    _, answer = answered(session, assistant, NIGHT)
    first = correct(session, answer, "Air it.")
    second = correct(session, answer, "Wash it.")
    corrections.give(session, answer.id, KINDS.RATING, "mara", Role.AGENT, value=1)

    def ids(**only: object) -> list[str]:
        rows = corrections.every(session, assistant, **only)  # type: ignore[arg-type]
        return [word.id for word, _, _ in rows]

    assert ids(kind=KINDS.CORRECTION) == [second.id, first.id]
    assert ids(kind=KINDS.CORRECTION, state=FeedbackState.ACTIVE) == [second.id]
    assert first.id not in ids(since=second.created_at)
    assert len(ids(limit=1)) == 1
    assert len(ids()) == 3
