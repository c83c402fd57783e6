"""Search over everything that was said, on both databases."""

from collections.abc import Callable

import pytest
from sqlmodel import Session

from feedback import conversations, handovers, search
from feedback.database import writing
from feedback.tables import Assistant
from tests.feedback.said import answered


def found(session: Session, assistant: Assistant, words: str) -> list[str]:
    return [row.conversation.id for row in search.find(session, assistant, words)]


def test_all_words_must_be_in_one_message_and_the_last_may_be_a_beginning(
    assistant: Assistant, session: Session
) -> None:
    tent, _ = answered(session, assistant, "My red tent leaks", "Seal the seams.")
    answered(session, assistant, "My red shoes squeak", "Dry them.")
    assert found(session, assistant, "red tent") == [tent.conversation_id]
    assert found(session, assistant, "RED te") == [tent.conversation_id]
    assert found(session, assistant, "re tent") == []
    assert found(session, assistant, "tent seams") == []
    assert found(session, assistant, "seams") == [tent.conversation_id]


def test_the_newest_comes_first_and_each_conversation_once(
    assistant: Assistant, session: Session
) -> None:
    one, _ = answered(session, assistant, "A tent", "This tent?")
    two, _ = answered(session, assistant, "A tent", "That tent?")
    assert found(session, assistant, "tent") == [two.conversation_id, one.conversation_id]


def test_a_customer_or_a_conversation_is_found_by_name(
    assistant: Assistant, session: Session
) -> None:
    asked, _ = answered(session, assistant, "Hello", customer="ann@example.com")
    assert found(session, assistant, "ann@example.com") == [asked.conversation_id]
    assert found(session, assistant, f" {asked.conversation_id} ") == [asked.conversation_id]


def test_a_draft_is_not_found(assistant: Assistant, session: Session) -> None:
    asked, _ = answered(session, assistant, "Hello")
    conversation = conversations.get(session, asked.conversation_id)
    handovers.keep_draft(session, conversation, "A secret marmalade")
    assert found(session, assistant, "marmalade") == []


@pytest.mark.parametrize(
    "words", ["", "  ", "'", '"', "tent'); drop", "a & | ! b", "*", "(", ":*", "NEAR OR AND", "é"]
)
def test_whatever_is_typed_is_only_words(
    assistant: Assistant, session: Session, words: str
) -> None:
    answered(session, assistant, "Plain", "Text")
    assert found(session, assistant, words) == []


def test_another_assistants_words_are_not_found(
    make_assistant: Callable[..., Assistant], assistant: Assistant
) -> None:
    bakery = make_assistant("bakery")
    with writing() as session:
        answered(session, bakery, "A tent of dough", customer="ann")
        assert found(session, assistant, "tent") == []
        assert found(session, assistant, "ann") == []
