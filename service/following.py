"""How a door waits for an answer: as a stream of events, or as a whole while the caller stays."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

import msgspec
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)
T = TypeVar("T")
CLIENT_CLOSED_REQUEST = 499

NO_BUFFERING = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(name: str, data: object) -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


class EventStream(Response):
    """A streamed answer. It ends when its events do, or at once when the caller has gone."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        status_code: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(None, status_code, {**NO_BUFFERING, **(headers or {})})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; the generator is closed in any case."""
        writing, gone = asyncio.current_task(), asyncio.ensure_future(_left(receive))
        assert writing is not None

        def stop(gone: asyncio.Future[None]) -> None:
            writing.cancel()

        gone.add_done_callback(stop)
        loop = asyncio.get_running_loop()
        limit_seconds: float = scope["app"].state.settings.slow_client_seconds
        try:
            async with aclosing(self._events):
                head = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **head})
                async with asyncio.timeout(None) as limit:
                    async for event in self._events:
                        limit.reschedule(loop.time() + limit_seconds)
                        await send({"type": "http.response.body", "body": event, "more_body": True})
                        limit.reschedule(None)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.warning("a caller did not read for %g seconds and was let go", limit_seconds)
        except asyncio.CancelledError:
            if not gone.done():
                raise
            writing.uncancel()
        finally:
            gone.remove_done_callback(stop)
            gone.cancel()


async def while_connected(request: Request, awaited: Awaitable[T]) -> T | None:
    """The result, or None when the caller has gone; then the work is cancelled."""
    work = asyncio.ensure_future(awaited)
    gone = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait([work])


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
