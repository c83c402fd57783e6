"""The loop asks every correction again of what went live: in rounds, resumed, and behind the customers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Engine, event
from sqlmodel import select

from feedback import adapters, rechecks
from feedback.database import database, reading, writing
from feedback.desk_tables import Recheck
from feedback.tables import Adapter, Assistant
from service.fleet import Fleet
from service.settings import service_settings
from tests.feedback.said import corrected, statements_of
from tests.stand_in_engine import StandInEngine, build_adapter, stand_in_engine
from training import rechecking
from training.settings import TrainingSettings

ON_SQLITE = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
QUICK = TrainingSettings(recheck_patience_seconds=0.0)
STAYS = threading.Event()


@pytest.fixture
def engine(database_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInEngine]:
    """The settings lead to this engine."""
    with stand_in_engine() as running:
        monkeypatch.setenv("SERVICE_ENGINE_URL", running.url)
        monkeypatch.setenv("SERVICE_ENGINE_API_KEY", running.api_key)
        service_settings.cache_clear()
        yield running
        service_settings.cache_clear()


@pytest.fixture
def live(assistant: Assistant, tmp_path: Path) -> Adapter:
    """An adapter that went live after five corrections."""
    with writing() as session:
        for number in range(5):
            corrected(session, assistant, f"Where is lamp {number}?", f"On shelf {number}.")
        built = build_adapter(tmp_path / "a", "a")
        adapter = adapters.publish(session, assistant, built, [], {}, {})
        adapters.promote(session, assistant, adapter, "olga", "better")
        return adapter


@ON_SQLITE
def test_every_correction_is_asked_round_by_round_of_what_is_live(
    assistant: Assistant, engine: StandInEngine, live: Adapter
) -> None:
    done: set[str] = set()
    rounds = []
    while asked := rechecking.request_rounds(2, done):
        assert rechecking.do_requested(QUICK, STAYS) == asked
        rounds.append(asked)
    assert rounds == [2, 2, 1] and len(done) == 1
    with reading() as session:
        found = rechecks.progress(session, assistant)
        assert found and found.sentence == f"5 of 5 corrections checked against {live.name}"
        said = session.exec(select(Recheck.text).where(Recheck.adapter_id == live.id)).all()
        assert len(said) == 5 and all(text and "You said: Where is lamp" in text for text in said)


@ON_SQLITE
def test_a_round_goes_on_where_a_killed_loop_or_an_engine_that_was_down_left_it(
    assistant: Assistant, engine: StandInEngine, live: Adapter
) -> None:
    assert rechecking.request_rounds(5, set()) == 5
    engine.down = True
    assert rechecking.do_requested(QUICK, STAYS) == 0
    engine.down = False
    leaving = threading.Event()
    leaving.set()
    assert rechecking.do_requested(QUICK, leaving) == 0
    assert rechecking.request_rounds(5, set()) == 0  # the next loop finds the round under way
    assert rechecking.do_requested(QUICK, STAYS) == 5
    assert rechecking.request_rounds(5, set()) == 0


@ON_SQLITE
def test_a_round_under_way_is_left_alone_and_one_is_looked_up_before_the_writers_turn(
    assistant: Assistant, engine: StandInEngine, live: Adapter
) -> None:
    written: list[str] = []

    def note(connection: Any, _u: Any, statement: str, *_: Any) -> None:
        if connection.get_execution_options().get("writing"):
            written.append(statement)

    event.listen(database(), "before_cursor_execute", note)
    try:
        assert rechecking.request_rounds(2, set()) == 2
        assert written and not any("max(" in statement for statement in written)
        written.clear()
        with reading() as session:
            looks = statements_of(session, lambda: rechecking.request_rounds(2, set()))
        assert not written
        assert not any("max(" in statement for statement, _ in looks)
    finally:
        event.remove(database(), "before_cursor_execute", note)


@ON_SQLITE
def test_without_rounds_only_what_people_ask_for_is_asked(
    assistant: Assistant, engine: StandInEngine, live: Adapter
) -> None:
    assert rechecking.request_rounds(0, set()) == 0
    assert rechecking.do_requested(QUICK, STAYS) == 0


@pytest.mark.parametrize(("elsewhere", "waits"), [([0], False), ([3], True), ([3, 0], False)])
def test_a_rounds_question_waits_for_customers_but_not_for_ever(
    elsewhere: list[int], waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rechecking, "LOOK_SECONDS", 0.02)

    async def look() -> None: ...

    members = [SimpleNamespace(elsewhere=number, look=look) for number in elsewhere]
    fleet = cast(Fleet, SimpleNamespace(members=members, up=members))
    settings = TrainingSettings(recheck_patience_seconds=0.2)
    started = time.monotonic()
    asyncio.run(rechecking._let_customers_first(fleet, settings, STAYS))
    assert (time.monotonic() - started >= 0.2) == waits
