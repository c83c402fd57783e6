"""Training goes on from the live adapter only where that is set and it knows nobody who was erased."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from feedback import adapters, erasing, whose_words
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.tables import Assistant
from tests.feedback.erased import WREN, Shop, fill
from training import starting
from training.settings import TrainingSettings

LIVE = TrainingSettings(start="live")


@pytest.fixture
def shop(database_engine: Engine, assistant: Assistant, tmp_path: Path) -> Shop:
    with writing(database_engine) as session:
        return fill(session, assistant, tmp_path)


def test_only_where_the_settings_say_so_and_something_is_live(
    database_engine: Engine, shop: Shop
) -> None:
    assert starting.name_of_start(shop.assistant, LIVE) is None, "nothing is live"
    with writing(database_engine) as session:
        adapters.promote(session, shop.assistant, shop.adapter, "olga", "Better.")
    assert starting.name_of_start(shop.assistant, TrainingSettings()) is None
    assert starting.name_of_start(shop.assistant, LIVE) == shop.adapter.name


def test_weights_that_know_somebody_who_was_erased_are_not_gone_on_from(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        adapters.promote(session, shop.assistant, shop.adapter, "olga", "Better.")
    with reading(database_engine) as session:
        subject = whose_words.of_customer(session, shop.assistant, WREN)
    erasing.erase(
        database_engine, shop.assistant, subject, Actor("olga", "operator"), "They asked."
    )
    assert starting.name_of_start(shop.assistant, LIVE) is None
