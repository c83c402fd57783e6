"""The log: order, idempotency, and what is not text."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, conversations
from feedback.database import reading, writing
from feedback.errors import Invalid, NotFound
from feedback.tables import Assistant, MessageState, Speaker
from tests.feedback.said import NIGHT, SHOES, answered, at_the_same_time


def test_messages_come_back_in_the_order_they_were_said(
    assistant: Assistant, session: Session
) -> None:
    conversation = conversations.begin(session, assistant, None, "wren")
    for number in range(12):
        conversations.say(session, conversation, Speaker.CUSTOMER, f"line {number}")
    said = conversations.messages_of(session, conversation.id)
    assert [message.text for message in said] == [f"line {number}" for number in range(12)]
    assert [message.position for message in said] == list(range(12))


def test_a_question_and_the_row_of_its_answer_are_found_again_by_their_key(
    assistant: Assistant, session: Session
) -> None:
    conversation = conversations.begin(session, assistant, None)
    prompt = assistants.prompt_in_force(session, assistant)
    asked = conversations.ask(
        session, conversation, NIGHT, prompt, None, "embedded", {}, idempotency_key="k1"
    )
    found = conversations.asked_before(session, conversation, "k1")
    assert found is not None and found[1] is not None
    assert [found[0].id, found[1].id] == [row.id for row in asked]
    assert found[1].state == MessageState.WRITING
    assert conversations.asked_before(session, conversation, "k2") is None


def test_two_writers_to_one_conversation_take_turns(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        talk = conversations.begin(session, assistant, None)

    def speak() -> None:
        for _ in range(5):
            with writing(database_engine) as session:
                locked = conversations.get(session, talk.id, lock=True)
                conversations.say(session, locked, Speaker.CUSTOMER, "me too")

    assert at_the_same_time(speak, speak) == []
    with reading(database_engine) as session:
        said = conversations.messages_of(session, talk.id)
    assert [message.position for message in said] == list(range(10))


def test_two_requests_that_meet_a_customer_at_once_see_the_same_person(
    database_engine: Engine, assistant: Assistant
) -> None:
    seen = []

    def meet() -> None:
        with writing(database_engine) as session:
            seen.append(conversations.customer_named(session, assistant, "wren").id)

    assert at_the_same_time(*[meet] * 4) == []
    assert len(set(seen)) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("x" * 8001, "8001 characters; expected at most 8000"),
        ("a\x00b", "NUL"),
        ("a\ud800b", "surrogate"),
    ],
)
def test_what_is_not_text_is_refused_with_the_reason(text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        conversations.check_text(text)


def test_the_longest_text_allowed_is_stored_whole(assistant: Assistant, session: Session) -> None:
    text = "🌧" * 8000
    asked, _ = answered(session, assistant, text)
    session.expire_all()
    assert conversations.message(session, asked.id).text == text


def test_a_customers_name_that_would_not_fit_is_refused(
    assistant: Assistant, session: Session
) -> None:
    with pytest.raises(Invalid, match="201 characters; expected 1 to 200"):
        conversations.customer_named(session, assistant, "x" * 201)


def test_one_name_at_two_assistants_is_two_customers(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        first = conversations.customer_named(session, shop, "wren")
        assert conversations.customer_named(session, bakery, "wren").id != first.id
        assert conversations.customer_named(session, shop, "wren").id == first.id


def test_a_block_that_raises_leaves_nothing_behind(
    database_engine: Engine, assistant: Assistant
) -> None:
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        asked, _ = answered(session, assistant, SHOES)
        raise RuntimeError
    with reading(database_engine) as session, pytest.raises(NotFound):
        conversations.message(session, asked.id)


def test_answers_whose_writer_died_are_closed_and_others_are_not(
    assistant: Assistant, session: Session
) -> None:
    prompt = assistants.prompt_in_force(session, assistant)
    rows = {}
    for writer in ("a", "b"):
        talk = conversations.begin(session, assistant, None)
        rows[writer] = conversations.ask(
            session, talk, NIGHT, prompt, None, "embedded", {}, writer=writer
        )[1]
    assert conversations.close_abandoned(session, "a", older_than_seconds=3600) == 1
    assert rows["a"].state == MessageState.INTERRUPTED
    assert rows["b"].state == MessageState.WRITING


def test_times_come_back_in_utc_on_every_database(
    database_engine: Engine, assistant: Assistant
) -> None:
    with reading(database_engine) as session:
        again = assistants.get(session, "shop")
    assert again.created_at.utcoffset() is not None
    assert again.created_at == assistant.created_at
