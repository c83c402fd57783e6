"""Streams, stores and silences: what ends when somebody leaves, and what does not."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, conversations
from feedback.database import writing
from feedback.tables import MessageState, Speaker
from service.following import EventStream
from service.silencing import Silencing, TakenOver
from service.turn import to_the_end


def stream(events: AsyncGenerator[bytes], leaves_after: int | None = None) -> list[dict[str, Any]]:
    """What is sent; with `leaves_after` the caller goes once so many messages were."""
    sent: list[dict[str, Any]] = []
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == leaves_after:
            left.set()

    async def story() -> None:
        response = EventStream(events, 201, headers={"X-Message-Id": "m"})
        await response({"type": "http"}, receive, send)
        await asyncio.sleep(0.01)  # nothing reaches whoever called it any more

    asyncio.run(story())
    return sent


async def two_events(then: Any = None) -> AsyncGenerator[bytes]:
    yield b"one"
    yield b"two"
    if then is not None:
        await then()


def test_a_stream_is_sent_event_by_event_and_closed() -> None:
    head, *bodies = stream(two_events())
    assert head["status"] == 201
    headers = dict(head["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"cache-control"] == b"no-store" and headers[b"x-message-id"] == b"m"
    assert b"content-length" not in headers
    assert [(body["body"], body["more_body"]) for body in bodies] == [
        (b"one", True), (b"two", True), (b"", False),
    ]  # fmt: skip


def test_a_stream_ends_at_once_when_the_caller_leaves() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("closed")

    sent = stream(two_events(wait), leaves_after=3)
    assert [message.get("body") for message in sent] == [None, b"one", b"two"]
    assert ended == ["closed"]


def test_an_error_in_a_stream_is_raised() -> None:
    async def fail() -> None:
        raise KeyError("broken")

    with pytest.raises(KeyError):
        stream(two_events(fail))


def test_what_runs_to_the_end_is_not_cancelled_and_its_error_is_raised() -> None:
    async def story() -> None:
        go_on = asyncio.Event()

        async def store(fails: bool) -> str:
            await go_on.wait()
            if fails:
                raise KeyError("disk")
            return "stored"

        tasks = [asyncio.create_task(to_the_end(store(fails))) for fails in (False, True)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        go_on.set()
        stored, failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert stored == "stored" and isinstance(failed, KeyError)

    asyncio.run(story())


def being_written(session: Session, count: int) -> list[str]:
    assistant = assistants.create(session, "shop", "shop", "embedded", "Hi.", "test")
    talk = conversations.begin(session, assistant, None)
    state = MessageState.WRITING
    return [
        conversations.say(session, talk, Speaker.ASSISTANT, "", state=state).id
        for _ in range(count)
    ]


def end(database: Engine, answer_id: str) -> None:
    with writing(database) as session:
        conversations.message(session, answer_id).state = MessageState.INTERRUPTED


def test_only_the_answer_that_was_ended_elsewhere_is_silenced(store: Engine) -> None:
    with writing(store) as session:
        ids = being_written(session, 3)
    cleaned: list[str] = []

    async def story() -> None:
        silencing = Silencing(store, 0.02)

        go_on = asyncio.Event()

        async def write(answer_id: str) -> None:
            try:
                await go_on.wait()
            finally:
                cleaned.append(answer_id)

        tasks = [
            asyncio.create_task(silencing.until_silenced(answer_id, write(answer_id)))
            for answer_id in ids
        ]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(end, store, ids[1])
        with pytest.raises(TakenOver):
            await asyncio.wait_for(tasks[1], 5)
        assert not tasks[0].done() and not tasks[2].done()
        tasks[2].cancel()  # the customer left: that is not a take-over
        with pytest.raises(asyncio.CancelledError):
            await tasks[2]
        go_on.set()
        await tasks[0]
        assert sorted(cleaned) == sorted(ids)

    asyncio.run(story())


def test_a_silenced_answer_does_not_look_like_a_time_out(store: Engine) -> None:
    with writing(store) as session:
        (answer_id,) = being_written(session, 1)
    end(store, answer_id)

    async def story() -> None:
        silencing = Silencing(store, 0.02)
        with pytest.raises(TakenOver):
            async with asyncio.timeout(5):
                await silencing.until_silenced(answer_id, asyncio.sleep(3600))

    asyncio.run(story())
