"""A stream ends when its events do, when the caller has gone, or when they do not read any more."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

from service.following import EventStream

CALLED = {
    "type": "http",
    "app": SimpleNamespace(
        state=SimpleNamespace(settings=SimpleNamespace(slow_client_seconds=0.05))
    ),
}


class Events:
    """Some events, and whether they were closed."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.closed = False

    async def each(self) -> AsyncGenerator[bytes]:
        try:
            while self.left:
                self.left -= 1
                yield b"event"
        finally:
            self.closed = True


async def never() -> Any:
    await asyncio.Event().wait()


def sent(events: Events, reads: int) -> list[bytes]:
    """What a caller got who reads so many parts and then no more."""
    got: list[bytes] = []

    async def send(message: Any) -> None:
        if len(got) == reads:
            await never()
        if message["type"] == "http.response.body":
            got.append(message["body"])

    asyncio.run(EventStream(events.each())(CALLED, never, send))
    return got


def test_everything_is_sent_to_whoever_reads() -> None:
    events = Events(3)
    assert sent(events, reads=9) == [b"event", b"event", b"event", b""]
    assert events.closed


def test_whoever_does_not_read_is_let_go_and_the_events_are_closed() -> None:
    events = Events(1000)
    assert sent(events, reads=2) == [b"event", b"event"]
    assert events.closed and events.left > 900
