"""The command line: what it prints and what it keeps, over a stand-in engine on a real socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from evals import commands
from evals.settings import evals_settings
from feedback import adapters
from feedback.database import reading
from feedback.errors import Invalid, NotFound, Unavailable
from feedback.measures import MEASURES
from service.settings import service_settings
from tests.evals.conftest import ON_SQLITE, Room
from tests.stand_in_engine import StandInEngine, stand_in_engine


@pytest.fixture
def engine(room: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInEngine]:
    """The settings lead to the room's database and to this engine."""
    caches = (service_settings, evals_settings)
    with stand_in_engine() as running:
        monkeypatch.setenv("SERVICE_ENGINE_URL", running.url)
        monkeypatch.setenv("SERVICE_ENGINE_API_KEY", running.api_key)
        monkeypatch.setenv("EVALS_BOOTSTRAP_SAMPLES", "1000")
        monkeypatch.setenv("COLUMNS", "200")
        for cache in caches:
            cache.cache_clear()
        yield running
        for cache in caches:
            cache.cache_clear()


def command(*words: str) -> str:
    result = CliRunner().invoke(commands.app, words)
    if result.exception:
        raise result.exception
    return str(result.stdout)


def as_json(*words: str) -> Any:
    return json.loads(command(*words, "--json"))


@ON_SQLITE
def test_run_list_and_show(room: Room, engine: StandInEngine) -> None:
    room.add_tickets(3)
    adapter = room.publish("one")
    printed = command("run", "--adapter", adapter.name)
    assert adapter.name in printed and "Every answer: understudy evals show" in printed
    [listed] = as_json("list")
    assert listed["adapter"] == adapter.name
    assert listed["answered"] == listed["ticket_count"] == 3
    assert set(listed["means"]) == set(MEASURES)
    shown = as_json("show", listed["run"])
    assert [one["ticket"] for one in shown["answers"]] == ["t01", "t02", "t03"]
    assert shown["answers"][0]["text"].endswith("You said: Question 1: how long have I?")
    assert shown["answers"][0]["scores"]["must_say_broken"] == {
        "value": 1.0, "reason": "It does not say '11 days'."
    }  # fmt: skip
    assert "Question 2: how long have I?" in command("show", listed["run"])
    assert listed["run"] in command("list")


@ON_SQLITE
def test_a_second_run_is_known_from_the_first_unless_told_otherwise(
    room: Room, engine: StandInEngine
) -> None:
    room.add_tickets(3)
    command("run", "--adapter", "base")
    asked = len(engine.asked)
    assert "3 of 3 answers were known from earlier exams." in command("run", "--adapter", "base")
    assert len(engine.asked) == asked
    assert "were known" not in command("run", "--adapter", "base", "--no-cache")
    assert len(engine.asked) == asked + 3
    assert [one["cached"] for one in as_json("list")] == [0, 3, 0]


@ON_SQLITE
def test_steadiness_asks_twice_and_compares(room: Room, engine: StandInEngine) -> None:
    room.add_tickets(3)
    found = as_json("steadiness", "--adapter", "base", "--tickets", "2")
    assert (found["tickets"], found["differ"], found["mean_logprob_difference"]) == (2, 0, 0.0)
    assert len(engine.asked) == 4
    assert "0 of 2 answers change" in command("steadiness", "--adapter", "base", "--tickets", "2")


@ON_SQLITE
def test_compare_keeps_a_decision_and_promotes_nothing(room: Room, engine: StandInEngine) -> None:
    room.add_tickets(8)
    candidate = room.publish("one")
    printed = command("compare", "--candidate", candidate.name)
    sentence = (
        f"{candidate.name} may not go live; base stays: no gain in chrF could be measured on "
        "8 tickets."
    )
    assert sentence in printed
    assert "There are 8 held-out tickets; the gate demands 20." in printed
    [listed] = as_json("decisions", "list")
    assert listed["promote"] is False and listed["sentence"] == sentence
    shown = as_json("decisions", "show", listed["decision"])
    assert (shown["candidate"]["adapter"], shown["live"]["adapter"]) == (candidate.name, "base")
    assert len(shown["tickets"]) == 8 and {one["topic"] for one in shown["topics"]} == {
        "returns", "fees"
    }  # fmt: skip
    assert "Worst losses" in printed or "Best wins" in printed
    assert sentence in command("decisions", "list")
    with reading() as session:
        assert adapters.history(session, room.assistant) == []


@ON_SQLITE
def test_what_cannot_be_done_is_said_at_once(room: Room, engine: StandInEngine) -> None:
    with pytest.raises(Invalid, match="has no held-out tickets"):
        command("run", "--adapter", "base")
    room.add_tickets(1)
    with pytest.raises(NotFound, match="There is no adapter 'shop-v9'"):
        command("run", "--adapter", "shop-v9")
    with pytest.raises(NotFound, match="There is no eval run 'nothing'"):
        command("show", "nothing")
    engine.down = True
    with pytest.raises(Unavailable, match="Start one with `understudy engine`"):
        command("run", "--adapter", "base")


@ON_SQLITE
def test_nothing_yet(room: Room, engine: StandInEngine) -> None:
    assert "sits the first exam" in command("list")
    assert as_json("decisions", "list") == []


def test_score_by_hand() -> None:
    printed = command(
        "score", "--answer", "You have 30 days.", "--reference", "You have 40 days.",
        "--must-say", "40 days", "--must-not-say", "30 days",
    )  # fmt: skip
    assert "must_say_broken: It does not say '40 days'." in printed
    assert "must_not_say_broken: It says '30 days'." in printed
    assert "chrf: " in printed


def test_help_teaches() -> None:
    for words in ([], ["run"], ["compare"], ["list"], ["show"], ["score"], ["decisions", "show"]):
        assert "understudy evals" in command(*words, "--help"), words
