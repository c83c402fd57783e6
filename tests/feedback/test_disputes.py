"""Two people judge one answer beside the queue and do not agree: neither teaches until a third decides."""

from collections.abc import Iterator

import pytest
from sqlmodel import Session

from feedback import corrections, freezing, learned, reviews, staff
from feedback.desk_tables import Review, ReviewSource, ReviewState, Staff, Verdict
from feedback.errors import Conflict
from feedback.tables import Assistant, Feedback, FeedbackKind, FlagReason, Message, Role
from tests.feedback.said import NIGHT, SHOES, answered
from tests.feedback.test_reviews import judged, person, taught

YES, NO, MAYBE = (
    "Yes, in duck yellow.",
    "We have never sold any clogs whatever.",
    "Ask again in spring, please: the shop is closed.",
)
CORRECTION, APPROVAL, FLAG = FeedbackKind.CORRECTION, FeedbackKind.APPROVAL, FeedbackKind.FLAG


@pytest.fixture
def answer(assistant: Assistant, session: Session) -> Message:
    return answered(session, assistant, SHOES)[1]


@pytest.fixture
def people(assistant: Assistant, session: Session) -> Iterator[list[Staff]]:
    yield [person(session, assistant, name) for name in ("mara", "nils", "olga", "dan")]


def said(
    session: Session, answer: Message, who: Staff | str, kind: FeedbackKind, text: str | None = None
) -> tuple[Feedback, Review | None]:
    """A word beside the queue, as every door keeps it."""
    name = who if isinstance(who, str) else who.email
    reason = FlagReason.TONE if kind == FLAG else None
    word = corrections.give(session, answer.id, kind, name, Role.AGENT, reason=reason, text=text)
    return word, reviews.heard(session, word)


def waiting(session: Session, assistant: Assistant, people: list[Staff]) -> list[str]:
    return [one.name for one in people if reviews.waiting(session, assistant, one)]


def test_two_corrections_that_differ_wait_for_a_third_person(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, olga, _ = people
    assert said(session, answer, mara, CORRECTION, YES)[1] is None
    review = said(session, answer, nils, CORRECTION, NO)[1]
    assert review is not None and review.source == ReviewSource.DISAGREEMENT
    assert taught(session, assistant)[0] == []
    assert taught(session, assistant)[1]["disputed"] == 2
    assert waiting(session, assistant, people) == ["Olga", "Dan"]
    assert [one.text for one in reviews.in_dispute(session, review)] == [YES, NO]
    [mine] = learned.by_author(session, assistant, mara.email)
    assert mine.withheld == "disputed"
    with pytest.raises(Conflict, match="judged this answer already"):
        judged(session, review, nils, Verdict.APPROVED)
    assert judged(session, review, olga, Verdict.CORRECTED, YES).state == ReviewState.DONE
    assert set(taught(session, assistant)[0]) == {YES}
    assert reviews.disputed(session, assistant) == []


@pytest.mark.parametrize(
    ("first", "second", "is_disputed"),
    [
        ((CORRECTION, YES), (CORRECTION, YES + "!"), False),
        ((APPROVAL, None), (CORRECTION, YES), True),
        ((APPROVAL, None), (APPROVAL, None), False),
        ((FLAG, None), (CORRECTION, YES), False),
        ((FLAG, None), (APPROVAL, None), True),
    ],
    ids=[
        "same words",
        "approved and corrected",
        "both approve",
        "flag asks for it",
        "flag against",
    ],
)
def test_what_disagrees(
    assistant: Assistant,
    session: Session,
    answer: Message,
    people: list[Staff],
    first: tuple[FeedbackKind, str | None],
    second: tuple[FeedbackKind, str | None],
    is_disputed: bool,
) -> None:
    mara, nils, *_ = people
    said(session, answer, mara, *first)
    said(session, answer, nils, *second)
    assert bool(reviews.disputed(session, assistant)) == is_disputed
    assert (taught(session, assistant)[0] == []) == is_disputed


def test_ones_own_newer_word_replaces_the_older_and_ends_the_dispute_when_it_agrees(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, *_ = people
    said(session, answer, mara, CORRECTION, NO)
    assert said(session, answer, mara, CORRECTION, YES)[1] is None
    _, review = said(session, answer, nils, CORRECTION, NO)
    assert review is not None and waiting(session, assistant, people) == ["Olga", "Dan"]
    said(session, answer, nils, CORRECTION, YES)
    assert review.state == ReviewState.DONE
    assert taught(session, assistant)[0] == [YES]


def test_a_word_taken_back_ends_the_dispute(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, *_ = people
    said(session, answer, mara, CORRECTION, YES)
    word, review = said(session, answer, nils, CORRECTION, NO)
    reviews.withdraw(session, word.id, nils.email)
    assert review is not None and review.state == ReviewState.DONE
    assert taught(session, assistant)[0] == [YES]
    assert waiting(session, assistant, people) == []


def test_a_third_person_may_decide_beside_the_queue_too(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, olga, _ = people
    said(session, answer, mara, CORRECTION, YES)
    said(session, answer, nils, CORRECTION, NO)
    _, review = said(session, answer, olga, CORRECTION, MAYBE)
    assert review is not None and review.state == ReviewState.DONE
    assert taught(session, assistant)[0] == [MAYBE]
    assert taught(session, assistant)[1]["outvoted"] == 2


def test_whoever_contradicts_a_decision_opens_it_again_for_a_fourth(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, olga, dan = people
    said(session, answer, mara, CORRECTION, YES)
    _, review = said(session, answer, nils, CORRECTION, NO)
    assert review is not None
    judged(session, review, olga, Verdict.CORRECTED, YES)
    said(session, answer, nils, CORRECTION, MAYBE)
    assert review.state == ReviewState.OPEN
    assert taught(session, assistant)[0] == []
    assert waiting(session, assistant, people) == ["Dan"]
    judged(session, review, dan, Verdict.CORRECTED, YES)
    assert set(taught(session, assistant)[0]) == {YES}


def test_a_word_against_an_answer_reviewed_before_is_a_dispute(
    assistant: Assistant, session: Session, people: list[Staff]
) -> None:
    mara, nils, olga, _ = people
    _, answer = answered(session, assistant, NIGHT)
    review = Review(assistant_id=assistant.id, message_id=answer.id, source=ReviewSource.RANDOM)
    session.add(review)
    session.flush()
    assert judged(session, review, mara, Verdict.APPROVED).state == ReviewState.DONE
    said(session, answer, nils, CORRECTION, NO)
    assert review.state == ReviewState.OPEN
    assert taught(session, assistant)[0] == []
    judged(session, review, olga, Verdict.APPROVED)
    assert set(taught(session, assistant)[0]) == {"I do not know."}


def test_a_script_with_a_key_is_a_side_as_well_and_cannot_decide(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, _, olga, _ = people
    said(session, answer, "crm-import", CORRECTION, YES)
    _, review = said(session, answer, mara, CORRECTION, NO)
    said(session, answer, "another-script", CORRECTION, NO)
    assert review is not None and review.state == ReviewState.OPEN
    assert taught(session, assistant)[0] == []
    judged(session, review, olga, Verdict.CORRECTED, YES)
    assert set(taught(session, assistant)[0]) == {YES}
    assert reviews.disputed(session, assistant) == []


def test_customers_take_no_side(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    word = corrections.give(
        session, answer.id, FLAG, "a customer", Role.CUSTOMER, reason=FlagReason.TONE
    )
    assert reviews.heard(session, word) is None
    assert said(session, answer, people[0], APPROVAL)[1] is None
    assert taught(session, assistant)[0] == ["I do not know."]


def test_somebody_shut_out_still_has_a_side(
    assistant: Assistant, session: Session, answer: Message, people: list[Staff]
) -> None:
    mara, nils, *_ = people
    said(session, answer, mara, CORRECTION, YES)
    staff.disable(session, mara)
    said(session, answer, nils, CORRECTION, NO)
    assert freezing.freeze(session, assistant)[0].train_rows == 0
    assert reviews.disputed(session, assistant)
