"""What counts as a copy of an exam question: typos and order do not hide one, a subject does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.near_copies import Method, Near, Sealed, similarity, trigrams
from feedback.settings import FeedbackSettings

TICKET = "Bought an anorak for my dad and he hates the colour. Until when can we bring it back?"
THRESHOLD = FeedbackSettings().near_copy_similarity


def near(question: str, ticket: str = TICKET) -> bool:
    sealed = Sealed([("t1", [{"role": "user", "content": ticket}])], THRESHOLD)
    return sealed.near([{"role": "user", "content": question}]) is not None


@pytest.mark.parametrize(
    "copy",
    [
        TICKET,
        TICKET.upper() + " !!!",
        "Bougth an anorak for my dad and he hates the color. Until when can we bring it back",
        "Until when can we bring it back? Bought an anorak for my dad and he hates the colour.",
        "Bóught an anorak for my dad, and he hates the colour: until when can we bring it back?",
        f"Hi! {TICKET} Thanks",
    ],
)
def test_a_copy_is_caught_through_typos_word_order_and_dress(copy: str) -> None:
    assert near(copy)


@pytest.mark.parametrize(
    "other",
    [
        "How long do I have to return a raincoat that doesn't suit me?",
        "Bought a tent for my dad. How do I pitch it in the rain?",
        "When does the shop in the harbour open on Saturdays?",
        "yes, please",
    ],
)
def test_another_question_on_the_same_subject_is_free(other: str) -> None:
    assert not near(other)


def test_a_short_last_turn_says_nothing_by_itself() -> None:
    sealed = Sealed(
        [
            (
                "t1",
                [
                    {"role": "user", "content": "May I return the stove I lit once in the garden?"},
                    {"role": "assistant", "content": "Was it lit indoors?"},
                    {"role": "user", "content": "no"},
                ],
            )
        ],
        THRESHOLD,
    )
    talk = [
        {"role": "user", "content": "Can I change the address of my parcel to Heron Lane 4?"},
        {"role": "assistant", "content": "Has it left the shed?"},
        {"role": "user", "content": "no"},
    ]
    assert sealed.near(talk) is None


def test_the_question_of_a_ticket_is_caught_behind_another_beginning() -> None:
    sealed = Sealed([("t1", [{"role": "user", "content": TICKET}])], THRESHOLD)
    talk = [
        {"role": "user", "content": "Hello, is anybody there this morning, or only ducks?"},
        {"role": "assistant", "content": "Only ducks, but they type well. How can they help?"},
        {"role": "user", "content": TICKET},
    ]
    assert sealed.near(talk) == Near("t1", 1.0, Method.TRIGRAMS)


@given(st.text(min_size=1, max_size=60))
def test_a_text_is_a_copy_of_itself(text: str) -> None:
    assert similarity(trigrams(text), trigrams(text)) == 1.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_similarity_is_a_share_and_has_no_direction(a: str, b: str) -> None:
    found = similarity(trigrams(a), trigrams(b))
    assert 0 <= found <= 1
    assert found == similarity(trigrams(b), trigrams(a))


@given(st.text(max_size=60), st.text(max_size=60), st.floats(0.05, 1))
def test_the_shortcut_by_size_never_changes_the_verdict(a: str, b: str, threshold: float) -> None:
    sealed = Sealed([("t", [{"role": "user", "content": a}])], threshold)
    slow = similarity(trigrams(a), trigrams(b)) >= threshold
    assert (sealed.near([{"role": "user", "content": b}]) is not None) == slow
