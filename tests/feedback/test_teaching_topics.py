"""Each word teaches the topic of its question, too, where somebody who should know has named it."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, datasets, freezing, tickets
from feedback.database import writing
from feedback.datasets import left_out
from feedback.freezing import Frozen
from feedback.learning import learning_of
from feedback.settings import feedback_settings
from feedback.tables import Assistant, Conversation, DatasetItem, DatasetKind, Feedback, Message
from feedback.topics import BOT, TOPIC, render_topic_question
from tests.feedback.said import corrected

QUESTION = "The zip of my yellow coat broke, can I send it back?"
MORE = ["Do you ship to Norway?", "When do you open on Sundays?", "Is the tent fit for snow?"]


def named(
    session: Session, assistant: Assistant, topic: str | None, by: str | None = None,
    question: str = QUESTION, customer: str | None = None,
) -> Feedback:  # fmt: skip
    word = corrected(session, assistant, question, f"As the house says of {question}", customer)
    message = session.get_one(Message, word.message_id)
    talk = session.get_one(Conversation, message.conversation_id)
    talk.topic, talk.topic_by = topic, by
    session.add(talk)
    session.flush()
    return word


@pytest.fixture
def shop(assistant: Assistant, session: Session) -> Assistant:
    row = session.get_one(Assistant, assistant.id)
    row.topics = ["returns_window", "shipping"]
    session.add(row)
    session.flush()
    return row


def topic_rows(session: Session, frozen: Frozen) -> list[DatasetItem]:
    every = [row for dataset in frozen for row in datasets.items(session, dataset)]
    return [row for row in every if row.edit == TOPIC]


def test_a_topic_that_came_with_an_import_or_from_a_person_teaches_as_it_will_be_asked(
    shop: Assistant, session: Session
) -> None:
    word = named(session, shop, "returns_window")
    other = named(session, shop, "shipping", "mara", MORE[0])
    frozen = freezing.freeze(session, shop)
    rows = {row.chosen: row for row in topic_rows(session, frozen)}
    assert set(rows) == {"returns window", "shipping"}
    asked = [{"role": "user", "content": QUESTION}]
    limit = feedback_settings().transcript_max_chars
    assert rows["returns window"].prompt == render_topic_question(asked, limit)
    sources = datasets.sources(session, list(rows.values()))
    assert [each.id for each, _ in sources[rows["returns window"].id]] == [word.id]
    assert [each.id for each, _ in sources[rows["shipping"].id]] == [other.id]
    assert all(row.dataset_id == frozen.sft.id for row in rows.values())


@pytest.mark.parametrize(
    ("topic", "by"), [("returns_window", BOT), ("no_topic_of_ours", "mara"), (None, None)]
)
def test_what_the_bot_named_or_is_no_topic_of_ours_teaches_nothing(
    shop: Assistant, session: Session, topic: str | None, by: str | None
) -> None:
    named(session, shop, topic, by)
    frozen = freezing.freeze(session, shop)
    assert frozen.sft.counts["rows"] == 1 and not topic_rows(session, frozen)


def test_the_counts_still_add_up(shop: Assistant, session: Session) -> None:
    for question in MORE:
        named(session, shop, "shipping", question=question, customer="one")
    assistants.change(session, shop, learning={"rows_per_customer": 2})
    session.refresh(shop)
    sft = freezing.freeze(session, shop).sft
    lost = sum(sft.counts[key] for key in left_out(DatasetKind.SFT))
    assert sft.counts["topic_rows"] == 3
    assert sft.counts["feedback"] + sft.counts["topic_rows"] - lost == sft.counts["rows"] == 4


def test_topics_crowd_no_answer_out_of_a_limit(shop: Assistant, session: Session) -> None:
    for question in MORE:
        named(session, shop, "shipping", question=question, customer="one")
    answers: list[set[str]] = []
    for teach in (True, False):
        rules = {"rows_per_customer": 2, "teach_topics": teach}
        assistants.change(session, shop, learning=rules)
        session.refresh(shop)
        assert learning_of(shop).teach_topics is teach
        rows = datasets.items(session, freezing.freeze(session, shop).sft)
        answers.append({row.chosen for row in rows if row.edit != TOPIC})
    assert answers[0] == answers[1] and len(answers[0]) == 2


def test_what_is_close_to_a_ticket_teaches_no_topic_either(
    shop: Assistant, session: Session
) -> None:
    tickets.create(session, shop, "t", [{"role": "user", "content": QUESTION}], "Forty days.")
    named(session, shop, "returns_window")
    assert freezing.freeze(session, shop).sft.counts["rows"] == 0


def test_the_same_topics_give_the_same_hash_in_any_order(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    hashes = []
    for name, questions in (("first", MORE), ("second", MORE[::-1])):
        assistant = make_assistant(name)
        with writing(database_engine) as session:
            row = session.get_one(Assistant, assistant.id)
            row.topics = ["shipping"]
            session.add(row)
            for question in questions:
                named(session, row, "shipping", question=question)
            hashes.append([each.sha256 for each in freezing.freeze(session, row)])
    assert hashes[0] == hashes[1]


def test_without_topics_an_assistants_datasets_are_as_they_were(
    assistant: Assistant, session: Session
) -> None:
    named(session, assistant, "returns_window")
    before = freezing.freeze(session, assistant)
    assistants.change(session, assistant, learning={"teach_topics": False})
    session.refresh(session.get_one(Assistant, assistant.id))
    after = freezing.freeze(session, assistant)
    assert [each.sha256 for each in before] == [each.sha256 for each in after]
