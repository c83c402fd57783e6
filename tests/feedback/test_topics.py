"""The question for a topic, and how topics read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import Invalid
from feedback.topics import QUESTION, by_reading, readable, render_topic_question


def test_the_question_holds_what_the_customer_said_and_nothing_the_bot_said() -> None:
    turns = [
        {"role": "user", "content": "My raincoat leaks."},
        {"role": "assistant", "content": "Which one is it?"},
        {"role": "user", "content": "The yellow one."},
    ]
    system, asked = render_topic_question(turns, 1000)
    assert system == {"role": "system", "content": QUESTION}
    assert asked == {"role": "user", "content": "My raincoat leaks.\n\nThe yellow one."}


def test_of_a_long_talk_the_newest_words_are_kept() -> None:
    turns = [{"role": "user", "content": "word " * 500}, {"role": "user", "content": "and tents?"}]
    [_, asked] = render_topic_question(turns, 100)
    assert len(asked["content"]) == 100 and asked["content"].endswith("and tents?")


def test_nobody_can_say_what_silence_is_about() -> None:
    with pytest.raises(Invalid, match="said nothing"):
        render_topic_question([{"role": "assistant", "content": "Hello!"}], 100)


@given(st.lists(st.text(min_size=1).filter(lambda topic: readable(topic)), unique_by=readable))
def test_every_topic_is_found_again_by_how_it_reads(topics: list[str]) -> None:
    assert list(by_reading(topics).values()) == topics


@pytest.mark.parametrize("topics", [["a_b", "a b"], ["a", ""], ["_"]])
def test_topics_that_cannot_be_told_apart_are_refused(topics: list[str]) -> None:
    with pytest.raises(Invalid, match="topic"):
        by_reading(topics)
