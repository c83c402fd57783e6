"""A replay is done: both sides asked as serving asks, pair by pair, and it goes on where it stopped."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlmodel import Session

from evals import courtesy
from evals.replay import likeness, replay
from feedback import adapters, assistants, conversations, replays
from feedback.database import reading, writing
from feedback.errors import Unavailable
from feedback.exam_tables import Replay, ReplayState
from feedback.replays import Turn
from feedback.tables import Adapter
from feedback.transcript import render
from tests.evals.conftest import Room


def talk(session: Session, room: Room, *questions: str) -> None:
    """A conversation in which the bot answered each question."""
    talk = conversations.begin(session, room.assistant, None, "wren")
    prompt = assistants.prompt_in_force(session, room.assistant)
    for question in questions:
        _, row = conversations.ask(session, talk, question, prompt, None, "embedded", {})
        conversations.finish(session, row.id, "complete", text=f"Then: {question}")  # type: ignore[arg-type]


def claimed(room: Room, adapter: Adapter | None = None) -> Replay:
    with writing(room.database) as session:
        asked = replays.request(session, room.assistant, "olga", adapter)
        found = replays.claim(session, "here", asked.id)
        assert found is not None
        return found


def done(room: Room, one: Replay, **more: object) -> Replay:
    return asyncio.run(replay(room.swaps, room.database, one, settings=room.settings, **more))  # type: ignore[arg-type]


def turns_of(room: Room, one: Replay) -> list[Turn]:
    with reading(room.database) as session:
        return replays.turns_of(session, one)


def test_both_sides_are_asked_greedily_exactly_what_serving_would_ask(room: Room) -> None:
    candidate = room.publish("one")
    with writing(room.database) as session:
        talk(session, room, "May I return it?", "And shoes?")
    room.engine.says[candidate.name] = lambda question: f"Yes, {question}"
    ended = done(room, claimed(room))
    assert (ended.state, ended.done, ended.total) == (ReplayState.FINISHED, 2, 2)
    assert ended.finished_at is not None and ended.eta_seconds is None
    found = {turn.question: turn for turn in turns_of(room, ended)}
    shoes = found["And shoes?"]
    assert shoes.said_then == "Then: And shoes?" and shoes.spoke_then == "base"
    assert shoes.row.candidate_text == "Yes, And shoes?"
    assert shoes.row.live_text == "You said: And shoes?"
    said = [
        {"role": "user", "content": "May I return it?"},
        {"role": "assistant", "content": "Then: May I return it?"},
        {"role": "user", "content": "And shoes?"},
    ]
    expected = render("You are the shop.", said, 10_000)
    asked = [body for body in room.engine.asked if body["messages"] == expected]
    assert sorted(body["model"] for body in asked) == sorted(["base", candidate.name])
    assert all(body["temperature"] == 0.0 and "seed" not in body for body in asked)


def test_a_pair_without_an_answer_keeps_why_and_the_others_go_on(room: Room) -> None:
    candidate = room.publish("one")
    with writing(room.database) as session:
        for number in range(3):
            talk(session, room, f"Question {number}?")

    def stumbles(question: str) -> str:
        if "1" in question:
            raise RuntimeError("with words of a customer")
        return "Yes."

    room.engine.says[candidate.name] = stumbles
    ended = done(room, claimed(room))
    assert (ended.state, ended.done) == (ReplayState.FINISHED, 3)
    *answered, failed = turns_of(room, ended)
    assert [turn.is_answered for turn in answered] == [True, True]
    assert failed.row.error == "RuntimeError" and failed.row.candidate_text is None


def test_a_replay_cut_off_goes_on_and_asks_nothing_twice(room: Room) -> None:
    room.publish("one")
    with writing(room.database) as session:
        for number in range(6):
            talk(session, room, f"Question {number}?")
    one = claimed(room)
    told: list[int] = []

    class Killed(Exception):
        pass

    def progress(row: Replay) -> None:
        told.append(row.done)
        if row.done == 3:
            raise Killed

    with pytest.raises(Killed):
        done(room, one, progress=progress)
    before = len(room.engine.asked)
    with reading(room.database) as session:
        left = len(replays.left(session, one))
    assert 0 < left <= 3 and told[:4] == [0, 1, 2, 3]
    ended = done(room, one)
    assert (ended.state, ended.done, ended.total) == (ReplayState.FINISHED, 6, 6)
    assert len(room.engine.asked) - before == 2 * left


def test_an_engine_that_is_away_leaves_the_replay_for_later(room: Room) -> None:
    room.publish("one")
    with writing(room.database) as session:
        talk(session, room, "Question?")
    one = claimed(room)
    room.engine.down = True
    with pytest.raises(Unavailable):
        done(room, one)
    room.engine.down = False
    with writing(room.database) as session:
        again = replays.claim(session, "there")
    assert again is not None and again.id == one.id
    assert done(room, again).state == ReplayState.FINISHED


def test_an_engine_that_goes_away_midway_costs_no_pair(room: Room) -> None:
    room.publish("one")
    with writing(room.database) as session:
        for number in range(6):
            talk(session, room, f"Question {number}?")
    one = claimed(room)

    def dies(number: int) -> None:
        room.engine.down = number >= 5

    room.engine.on_chat = dies
    with pytest.raises(Unavailable):
        done(room, one)
    assert all(turn.row.error is None for turn in turns_of(room, one))
    room.engine.down, room.engine.on_chat = False, lambda number: None
    with writing(room.database) as session:
        again = replays.claim(session, "there")
        assert again is not None
        left = len(replays.left(session, again))
    assert left > 0
    ended = done(room, again)
    assert (ended.state, ended.done) == (ReplayState.FINISHED, 6)
    assert all(turn.is_answered for turn in turns_of(room, ended))


def test_letting_go_takes_nothing_from_who_has_taken_it_over(room: Room) -> None:
    room.publish("one")
    one = claimed(room)
    with writing(room.database) as session:
        row = replays.get(session, one.id)
        row.lease_until = row.created_at
        session.add(row)
    with writing(room.database) as session:
        assert replays.claim(session, "there") is not None
    with writing(room.database) as session:
        replays.release(session, one)
        assert replays.get(session, one.id).lease_owner == "there"


def test_pairs_keep_back_while_the_engine_answers_customers(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courtesy, "LOOK_SECONDS", 0.01)
    room.publish("one")
    with writing(room.database) as session:
        for number in range(16):
            talk(session, room, f"Question {number}?")
    settings = room.settings.model_copy(
        update={"concurrency": 8, "concurrency_beside_customers": 2}
    )
    running, at_once = 0, list[int]()
    chat = room.engine.chat

    async def slow(body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.02)
        running -= 1
        async for part in chat(body):
            yield part

    async def computed() -> int:
        return 3 + running  # three customers

    monkeypatch.setattr(room.engine, "chat", slow)
    monkeypatch.setattr(room.engine, "running", computed)
    asyncio.run(replay(room.swaps, room.database, claimed(room), settings=settings))
    assert max(at_once[-16:]) == 2


def test_an_adapter_whose_files_are_gone_fails_the_replay_with_the_reason(room: Room) -> None:
    adapter = room.publish("one")
    one = claimed(room, adapter)
    with writing(room.database) as session:
        row = adapters.get(session, adapter.name)
        row.files_removed_at = row.created_at
        session.add(row)
    ended = done(room, one)
    assert ended.state == ReplayState.FAILED and "were removed" in (ended.error or "")


def test_only_the_same_words_are_wholly_alike() -> None:
    assert likeness("Yes.", "Yes.") == 100.0
    assert likeness("Yes. ", "Yes.") < 100.0
    assert likeness("", "Yes.") == 0.0 == likeness("Yes.", "")
