"""Conversations that were judged get a topic from the live adapter; what people say stands."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Engine

from feedback import assistants, conversations, naming
from feedback.database import reading, writing
from feedback.errors import Invalid, Unavailable
from feedback.tables import Assistant, Conversation, Message
from feedback.topics import BOT
from service.fleet import Fleet
from service.hot_swap import HotSwap
from service.member import Member
from service.settings import ServiceSettings
from tests.evals.fake_engine import FakeEngine
from tests.feedback.said import answered, corrected
from training.naming import BATCH, name_topics


@pytest.fixture
def shop(database_engine: Engine, make_assistant: Callable[..., Assistant]) -> Assistant:
    made = make_assistant()
    with writing(database_engine) as session:
        assistants.change(session, made, topics=["returns", "opening_hours"])
    with reading(database_engine) as session:
        return session.get_one(Assistant, made.id)


def judged(database: Engine, shop: Assistant, question: str) -> str:
    with writing(database) as session:
        word = corrected(session, shop, question, "As the house says.")
        return session.get_one(Message, word.message_id).conversation_id


def topic_of(database: Engine, conversation: str) -> tuple[str | None, str | None]:
    with reading(database) as session:
        found = session.get_one(Conversation, conversation)
        return found.topic, found.topic_by


def run(
    database: Engine, shop: Assistant, engine: FakeEngine, most: int = 100
) -> tuple[int, str, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []

    async def work() -> tuple[int, str]:
        settings = ServiceSettings()
        fleet = Fleet(database, settings, "a key")
        fleet.members = [Member(engine, database, settings)]
        swaps = HotSwap(fleet, database, settings)
        return await name_topics(
            swaps, database, shop, most, lambda done, total: told.append((done, total))
        )

    named, left = asyncio.run(work())
    return named, left, told


def by_word(question: str, choices: Sequence[str]) -> str:
    return choices["open" in question]


def test_what_was_judged_and_has_no_topic_is_named_by_the_bot(
    database_engine: Engine, shop: Assistant
) -> None:
    engine = FakeEngine()
    engine.chooses = by_word
    sunday = judged(database_engine, shop, "Are you open on Sundays?")
    back = judged(database_engine, shop, "May I send it back?")
    with writing(database_engine) as session:
        asked, _ = answered(session, shop, "Nobody has judged this.")
        theirs = asked.conversation_id
        silent = conversations.begin(session, shop, None).id
    named, left, told = run(database_engine, shop, engine)
    assert (named, left, told) == (2, "", [(2, 2)])
    assert topic_of(database_engine, sunday) == ("opening_hours", BOT)
    assert topic_of(database_engine, back) == ("returns", BOT)
    assert topic_of(database_engine, theirs) == topic_of(database_engine, silent) == (None, None)
    assert run(database_engine, shop, engine)[0] == 0


def test_no_more_are_named_than_the_setting_says_and_the_rest_is_told(
    database_engine: Engine, shop: Assistant
) -> None:
    ids = [judged(database_engine, shop, f"Question {n}?") for n in range(BATCH + 3)]
    named, left, told = run(database_engine, shop, FakeEngine(), most=BATCH + 1)
    assert (named, left) == (BATCH + 1, "2 wait for the next cycle.")
    assert told == [(BATCH, BATCH + 1), (BATCH + 1, BATCH + 1)]
    without = [each for each in ids if topic_of(database_engine, each)[0] is None]
    assert without == ids[:2]  # the oldest


def test_an_engine_that_is_down_costs_the_names_and_not_the_cycle(
    database_engine: Engine, shop: Assistant
) -> None:
    talk = judged(database_engine, shop, "May I send it back?")

    def refuses(question: str, choices: object) -> str:
        raise Unavailable("The engine is down.", 1)

    engine = FakeEngine()
    engine.chooses = refuses
    named, left, _ = run(database_engine, shop, engine)
    assert named == 0 and "down" in left
    assert topic_of(database_engine, talk) == (None, None)


def test_what_a_person_says_meanwhile_stands(database_engine: Engine, shop: Assistant) -> None:
    talk = judged(database_engine, shop, "May I send it back?")
    with writing(database_engine) as session:
        naming.name(session, session.get_one(Conversation, talk), "opening_hours", "mara")
        assert not naming.name_by_bot(session, talk, "returns")
        assert not naming.name_by_bot(session, "0" * 26, "returns")
    assert topic_of(database_engine, talk) == ("opening_hours", "mara")


def test_only_the_assistants_topics_may_be_said_and_a_word_can_be_taken_back(
    database_engine: Engine, shop: Assistant
) -> None:
    talk = judged(database_engine, shop, "May I send it back?")
    with writing(database_engine) as session:
        found = session.get_one(Conversation, talk)
        with pytest.raises(Invalid, match="'returns', 'opening_hours'"):
            naming.name(session, found, "weather", "mara")
        assert naming.name(session, found, "returns", "mara") == (None, "returns")
        assert naming.name(session, found, " ", "mara") == ("returns", None)
    assert topic_of(database_engine, talk) == (None, None)


@pytest.mark.parametrize("topics", [["a_b", "a b"], [""], ["x" * 121]])
def test_topics_that_cannot_be_told_apart_or_kept_are_refused(
    database_engine: Engine, shop: Assistant, topics: list[str]
) -> None:
    with writing(database_engine) as session, pytest.raises(Invalid):
        assistants.change(session, shop, topics=topics)


def test_a_talk_that_the_engine_refuses_keeps_no_other_from_its_name(
    database_engine: Engine, shop: Assistant
) -> None:
    long = judged(database_engine, shop, "A very long talk.")
    back = judged(database_engine, shop, "May I send it back?")

    def refuses_one(question: str, choices: Sequence[str]) -> str:
        if "very long" in question:
            raise Invalid("The engine says: too long.")
        return choices[0]

    engine = FakeEngine()
    engine.chooses = refuses_one
    named, left, _ = run(database_engine, shop, engine)
    assert (named, left) == (1, "1 could not be asked about; the engine refused them.")
    assert topic_of(database_engine, back) == ("returns", BOT)
    assert topic_of(database_engine, long) == (None, None)


def test_a_topic_that_is_gone_by_then_is_not_kept(database_engine: Engine, shop: Assistant) -> None:
    talk = judged(database_engine, shop, "May I send it back?")
    with writing(database_engine) as session:
        assert not naming.name_by_bot(session, talk, "weather")
    assert topic_of(database_engine, talk) == (None, None)
