"""The review queue: who is shown what, and when an item is done."""

from datetime import timedelta

import pytest
from sqlmodel import Session

from feedback import assistants, corrections, datasets, freezing, learned, reviews, staff
from feedback.desk_tables import Review, ReviewSource, ReviewState, Staff, Verdict
from feedback.errors import Conflict
from feedback.tables import Assistant, FeedbackKind, FlagReason, Role, now
from tests.feedback.said import NIGHT, SHOES, answered, corrected


def person(session: Session, assistant: Assistant | None, name: str) -> Staff:
    someone, _ = staff.invite(session, f"{name}@example.com", name.title(), "test")
    staff.grant(session, someone, Role.AGENT, assistant, "test")
    return someone


def queued(session: Session, assistant: Assistant, **desk: int) -> Review:
    """One answer in the queue; all of them are drawn."""
    session.get_one(Assistant, assistant.id).desk = {
        "review_percent": 100, "second_review_percent": 0, **desk
    }  # fmt: skip
    session.flush()
    answered(session, assistant, SHOES)
    reviews.fill(session, assistants.get(session, assistant.name))
    return reviews.open_items(session, assistant)[0].review


def test_an_answer_is_queued_once_and_says_why(assistant: Assistant, session: Session) -> None:
    review = queued(session, assistant)
    assert review.source == ReviewSource.RANDOM
    assert sum(reviews.fill(session, assistants.get(session, "shop")).values()) == 0
    corrected(session, assistant, NIGHT, "Wash it.")
    answered(session, assistant, "Quantum zebra xylophones?")
    added = reviews.fill(session, assistants.get(session, "shop"))
    assert added[ReviewSource.NEW_TOPIC] == 1


def test_two_people_get_different_items_until_the_lock_ends(
    assistant: Assistant, session: Session
) -> None:
    mara, nils = (person(session, assistant, name) for name in ("mara", "nils"))
    review = queued(session, assistant)
    assert reviews.take_next(session, assistant, mara)
    assert reviews.take_next(session, assistant, nils) is None
    with pytest.raises(Conflict, match="Mara is looking"):
        reviews.judge(session, review, nils, Verdict.APPROVED)
    review.locked_until = now() - timedelta(seconds=1)
    session.flush()
    assert reviews.take_next(session, assistant, nils)


def test_an_assigned_item_is_shown_to_that_person_only(
    assistant: Assistant, session: Session
) -> None:
    mara, nils = (person(session, assistant, name) for name in ("mara", "nils"))
    reviews.assign(session, queued(session, assistant), nils)
    session.flush()
    assert (
        reviews.waiting(session, assistant, mara),
        reviews.waiting(session, assistant, nils),
    ) == (
        0,
        1,
    )


def test_what_was_kept_for_somebody_who_is_shut_out_is_shown_to_others(
    assistant: Assistant, session: Session
) -> None:
    mara, nils = (person(session, assistant, name) for name in ("mara", "nils"))
    reviews.assign(session, queued(session, assistant), nils)
    session.flush()
    assert reviews.take_next(session, assistant, nils)
    staff.disable(session, nils)
    assert reviews.take_next(session, assistant, mara)


def test_a_dispute_needs_a_third_person(assistant: Assistant, session: Session) -> None:
    mara, nils, olga = (person(session, assistant, name) for name in ("mara", "nils", "olga"))
    review = queued(session, assistant, second_review_percent=100)
    assert reviews.judge(session, review, mara, Verdict.APPROVED).state == ReviewState.OPEN
    word = corrections.give(
        session,
        review.message_id,
        FeedbackKind.FLAG,
        nils.email,
        Role.AGENT,
        reason=FlagReason.TONE,
    )
    assert reviews.judge(session, review, nils, Verdict.FLAGGED, word).state == ReviewState.OPEN
    assert reviews.judge(session, review, olga, Verdict.APPROVED).state == ReviewState.DONE
    assert reviews.agreement(session, assistant) == (0, 1)


def test_an_item_everybody_here_skipped_is_done_whoever_works_elsewhere(
    assistant: Assistant, session: Session
) -> None:
    bakery = assistants.create(session, "bakery", "Bakery", "embedded", "Bake.", "test")
    mara, nils = (person(session, assistant, name) for name in ("mara", "nils"))
    person(session, bakery, "bea")
    review = queued(session, assistant)
    assert reviews.judge(session, review, mara, Verdict.SKIPPED).state == ReviewState.OPEN
    assert reviews.judge(session, review, nils, Verdict.SKIPPED).state == ReviewState.DONE


def test_reviewers_have_a_role_here_or_everywhere_and_can_sign_in(
    assistant: Assistant, session: Session
) -> None:
    bakery = assistants.create(session, "bakery", "Bakery", "embedded", "Bake.", "test")
    person(session, assistant, "mara")
    person(session, None, "ada")
    person(session, bakery, "bea")
    staff.disable(session, person(session, assistant, "gone"))
    assert [each.name for each in reviews.reviewers(session, assistant)] == ["Ada", "Mara"]


def test_a_verdict_taken_back_opens_the_item_for_everybody_again(
    assistant: Assistant, session: Session
) -> None:
    mara = person(session, assistant, "mara")
    review = queued(session, assistant)
    kind, role = FeedbackKind.APPROVAL, Role.AGENT
    word = corrections.give(session, review.message_id, kind, mara.email, role)
    assert reviews.judge(session, review, mara, Verdict.APPROVED, word).state == ReviewState.DONE
    reviews.withdraw(session, word.id, mara.email)
    assert review.state == ReviewState.OPEN
    assert reviews.waiting(session, assistant, mara) == 1
    word = corrections.give(session, review.message_id, kind, mara.email, role)
    assert reviews.judge(session, review, mara, Verdict.APPROVED, word).state == ReviewState.DONE


def test_nobody_judges_twice(assistant: Assistant, session: Session) -> None:
    mara = person(session, assistant, "mara")
    person(session, assistant, "nils")
    review = queued(session, assistant, second_review_percent=100)
    reviews.judge(session, review, mara, Verdict.APPROVED)
    with pytest.raises(Conflict, match="judged this answer already"):
        reviews.judge(session, review, mara, Verdict.APPROVED)


def judged(
    session: Session, review: Review, who: Staff, verdict: Verdict, text: str | None = None
) -> Review:
    """A verdict with the word it gives, as the consoles keep it."""
    kinds = {
        Verdict.APPROVED: FeedbackKind.APPROVAL,
        Verdict.CORRECTED: FeedbackKind.CORRECTION,
        Verdict.FLAGGED: FeedbackKind.FLAG,
    }
    reason = FlagReason.TONE if verdict == Verdict.FLAGGED else None
    word = corrections.give(
        session, review.message_id, kinds[verdict], who.email, Role.AGENT, reason=reason, text=text
    )
    return reviews.judge(session, review, who, verdict, word)


def taught(session: Session, assistant: Assistant) -> tuple[list[str], dict[str, int]]:
    """The answers a cycle would learn now, and the counts of what was left out."""
    sft, *_ = freezing.freeze(session, assistant)
    return [item.chosen for item in datasets.items(session, sft)], sft.counts


YES, NO = "Yes, in duck yellow.", "We have never sold any clogs whatever."
APPROVED, CORRECTED, FLAGGED = Verdict.APPROVED, Verdict.CORRECTED, Verdict.FLAGGED


@pytest.mark.parametrize(
    ("first", "second", "third", "stands"),
    [
        ((APPROVED, None), (CORRECTED, YES), (FLAGGED, None), []),
        ((CORRECTED, YES), (CORRECTED, NO), (FLAGGED, None), []),
        ((APPROVED, None), (CORRECTED, YES), (APPROVED, None), ["I do not know."]),
        ((CORRECTED, YES), (CORRECTED, NO), (CORRECTED, YES + "!"), [YES + "!"]),
        ((CORRECTED, YES), (APPROVED, None), (CORRECTED, NO), [NO]),
        ((CORRECTED, YES), (FLAGGED, None), (FLAGGED, None), []),
    ],
)
def test_while_reviewers_disagree_neither_teaches_and_then_only_what_stands(
    assistant: Assistant,
    session: Session,
    first: tuple[Verdict, str | None],
    second: tuple[Verdict, str | None],
    third: tuple[Verdict, str | None],
    stands: list[str],
) -> None:
    mara, nils, olga = (person(session, assistant, name) for name in ("mara", "nils", "olga"))
    review = queued(session, assistant, second_review_percent=100)
    judged(session, review, mara, *first)
    assert len(taught(session, assistant)[0]) == 1
    judged(session, review, nils, *second)
    assert review.verdicts_needed == 3
    assert taught(session, assistant)[0] == []
    assert judged(session, review, olga, *third).state == ReviewState.DONE
    assert taught(session, assistant)[0] == stands


def test_what_was_left_out_for_a_dispute_is_counted_and_told_to_its_author(
    assistant: Assistant, session: Session
) -> None:
    mara, nils, olga = (person(session, assistant, name) for name in ("mara", "nils", "olga"))
    review = queued(session, assistant, second_review_percent=100)
    judged(session, review, mara, APPROVED)
    judged(session, review, nils, CORRECTED, YES)
    assert taught(session, assistant)[1]["disputed"] == 2
    [mine] = learned.by_author(session, assistant, nils.email)
    assert mine.withheld == "disputed"
    judged(session, review, olga, CORRECTED, NO)
    assert taught(session, assistant)[1]["outvoted"] == 2
    [mine] = learned.by_author(session, assistant, nils.email)
    assert mine.withheld == "outvoted"
    # A word that is given after the decision is a new one, and contradicts what was decided.
    kind, role = FeedbackKind.CORRECTION, Role.AGENT
    corrections.give(session, review.message_id, kind, nils.email, role, text=YES)
    assert taught(session, assistant)[0] == []
    assert taught(session, assistant)[1]["disputed"] == 2


def test_a_dispute_that_nobody_is_left_to_decide_stays_out(
    assistant: Assistant, session: Session
) -> None:
    mara, nils, olga = (person(session, assistant, name) for name in ("mara", "nils", "olga"))
    review = queued(session, assistant, second_review_percent=100)
    judged(session, review, mara, APPROVED)
    judged(session, review, nils, CORRECTED, YES)
    assert reviews.judge(session, review, olga, Verdict.SKIPPED).state == ReviewState.DONE
    assert taught(session, assistant)[0] == []


def test_when_one_side_takes_its_word_back_the_other_stands_and_no_third_is_needed(
    assistant: Assistant, session: Session
) -> None:
    mara, nils, olga = (person(session, assistant, name) for name in ("mara", "nils", "olga"))
    review = queued(session, assistant, second_review_percent=100)
    judged(session, review, mara, APPROVED)
    judged(session, review, nils, CORRECTED, YES)
    [word] = [f for f in corrections.about_message(session, review.message_id) if f.text == YES]
    reviews.withdraw(session, word.id, nils.email)
    assert taught(session, assistant)[0] == ["I do not know."]
    assert judged(session, review, olga, APPROVED).state == ReviewState.DONE
    assert reviews.agreement(session, assistant) == (1, 1)


def test_taking_back_another_word_on_the_answer_leaves_the_verdict(
    assistant: Assistant, session: Session
) -> None:
    mara = person(session, assistant, "mara")
    review = queued(session, assistant)
    judged(session, review, mara, APPROVED)
    kind, role = FeedbackKind.FLAG, Role.AGENT
    flag = corrections.give(
        session, review.message_id, kind, mara.email, role, reason=FlagReason.TONE
    )
    reviews.withdraw(session, flag.id, mara.email)
    assert review.state == ReviewState.DONE
    assert len(reviews.verdicts(session, review)) == 1


def test_taking_back_the_newer_of_two_corrections_takes_back_the_verdict_it_replaced_the_word_of(
    assistant: Assistant, session: Session
) -> None:
    mara = person(session, assistant, "mara")
    review = queued(session, assistant)
    judged(session, review, mara, CORRECTED, YES)
    kind, role = FeedbackKind.CORRECTION, Role.AGENT
    newer = corrections.give(session, review.message_id, kind, mara.email, role, text=NO)
    reviews.withdraw(session, newer.id, mara.email)
    assert review.state == ReviewState.OPEN
    assert reviews.verdicts(session, review) == []
