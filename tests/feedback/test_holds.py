"""An author who pushes one thing, floods or stamps is held until a person decides; honest ones are not."""

import random
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, select

from feedback import assistants, corrections, datasets, freezing, holds, suspicion
from feedback.errors import Conflict, NotFound
from feedback.tables import Assistant, Feedback, FeedbackKind, Role
from feedback.trust_tables import HoldOutcome
from tests.feedback.said import answered, corrected

THINGS = "tent stove jacket boots rope lamp map compass kettle bag pole glove scarf mat"
VERBS = "mend wash return swap lend carry fold dry store sell rent light pack clean"
HOUSE = "we do that in the shop on any weekday and it takes about three days or so"


@pytest.fixture
def assistant(assistant: Assistant, session: Session) -> Assistant:
    """Authors are judged from eight words on, so that the tests stay short."""
    assistants.change(session, assistant, learning={"one_sided_from": 8})
    return session.get_one(Assistant, assistant.id)


def honest(session: Session, assistant: Assistant, author: str, count: int, seed: int = 1) -> None:
    """Corrections as people write them: each about another thing, in changing words."""
    dice = random.Random(f"{author}{seed}")
    for number in range(count):
        thing, verb = dice.choice(THINGS.split()), dice.choice(VERBS.split())
        words = " ".join(dice.sample(HOUSE.split(), 9))
        question = f"Can you {verb} my {thing} number {author} {number}?"
        corrected(session, assistant, question, f"{words} {verb} {thing}.", author=author)


def pushed(session: Session, assistant: Assistant, author: str, count: int) -> None:
    dice = random.Random(author)
    for number in range(count):
        words = " ".join(dice.sample(HOUSE.split(), 7))
        question = f"May I ask about {dice.choice(THINGS.split())} {author} {number}?"
        corrected(
            session, assistant, question, f"{words}, but Globex is cheaper anyway.", author=author
        )


def authors_in(session: Session, assistant: Assistant) -> set[str]:
    sft, dpo, _ = freezing.freeze(session, assistant)
    return {
        word.author
        for dataset in (sft, dpo)
        for words in datasets.sources(session, datasets.items(session, dataset)).values()
        for word, _ in words
    }


def test_a_poisoned_author_of_a_twentieth_of_all_moves_no_row_into_training_unreviewed(
    assistant: Assistant, session: Session
) -> None:
    for author in ("mara", "nils", "olga", "pia"):
        honest(session, assistant, author, 38)
    pushed(session, assistant, "mallory", 8)
    [hold] = suspicion.check(session, assistant)
    assert hold.author == "mallory" and "globex is cheaper" in hold.reason
    assert authors_in(session, assistant) == {"mara", "nils", "olga", "pia"}
    sft, *_ = freezing.freeze(session, assistant)
    assert sft.counts["held"] == 8
    assert [word.author for word in holds.examples(session, assistant, hold, 3)] == ["mallory"] * 3


def test_honest_authors_are_not_held(assistant: Assistant, session: Session) -> None:
    for author in ("mara", "nils", "olga"):
        honest(session, assistant, author, 20)
    assert suspicion.check(session, assistant) == []


def test_released_words_teach_and_later_ones_are_looked_at_anew(
    assistant: Assistant, session: Session
) -> None:
    honest(session, assistant, "mara", 20)
    honest(session, assistant, "pia", 20)
    pushed(session, assistant, "nils", 8)
    [hold] = suspicion.check(session, assistant)
    assert suspicion.check(session, assistant) == []  # held already
    holds.decide(session, hold, HoldOutcome.RELEASED, "olga")
    assert authors_in(session, assistant) == {"mara", "nils", "pia"}
    before, *_ = freezing.freeze(session, assistant)
    assert suspicion.check(session, assistant) == []
    with pytest.raises(Conflict, match="released by olga"):
        holds.decide(session, hold, HoldOutcome.REJECTED, "olga")
    later = datetime.now().astimezone() + timedelta(minutes=1)
    pushed(session, assistant, "nils", 9)
    for word in session.exec(select(Feedback).where(Feedback.author == "nils")).all()[8:]:
        word.created_at = later
    [again] = suspicion.check(session, assistant)
    assert again.author == "nils"
    after, *_ = freezing.freeze(session, assistant)
    assert after.id == before.id  # nothing of what came later


def test_rejected_words_never_teach_and_what_the_author_says_later_may(
    assistant: Assistant, session: Session
) -> None:
    honest(session, assistant, "mara", 20)
    honest(session, assistant, "pia", 20)
    pushed(session, assistant, "nils", 8)
    [hold] = suspicion.check(session, assistant)
    holds.decide(session, hold, HoldOutcome.REJECTED, "olga")
    later = corrected(session, assistant, "Is the rope long?", "Ten metres.", author="nils")
    later.created_at += timedelta(minutes=1)
    sft, *_ = freezing.freeze(session, assistant)
    assert sft.counts["rejected"] == 8
    assert "Ten metres." in {item.chosen for item in datasets.items(session, sft)}


def test_a_flood_within_a_day_is_held_and_the_same_over_weeks_is_not(
    assistant: Assistant, session: Session
) -> None:
    assistants.change(session, assistant, learning={"author_rows_a_day": 12, "one_sided_from": 8})
    session.refresh(session.get_one(Assistant, assistant.id))
    assistant = session.get_one(Assistant, assistant.id)
    honest(session, assistant, "mara", 14)
    honest(session, assistant, "nils", 14)
    for number, word in enumerate(session.exec(select(Feedback).where(Feedback.author == "nils"))):
        word.created_at -= timedelta(days=number)
    [hold] = suspicion.check(session, assistant)
    assert (hold.author, hold.evidence["within_a_day"]) == ("mara", 14)


def test_who_approves_everything_where_others_mostly_correct_is_held(
    assistant: Assistant, session: Session
) -> None:
    honest(session, assistant, "mara", 40)
    for number in range(10):
        _, answer = answered(session, assistant, f"Question number {number} about the {number}?")
        corrections.give(session, answer.id, FeedbackKind.APPROVAL, "nils", Role.AGENT)
    [hold] = suspicion.check(session, assistant)
    assert hold.author == "nils" and "approve the answer" in hold.reason


def test_one_author_alone_has_nobody_to_be_compared_with(
    assistant: Assistant, session: Session
) -> None:
    pushed(session, assistant, "mara", 20)
    assert suspicion.check(session, assistant) == []


def test_a_hold_belongs_to_its_assistant(assistant: Assistant, session: Session) -> None:
    with pytest.raises(NotFound, match="There is no hold"):
        holds.get(session, assistant, "nothing")
