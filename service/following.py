"""How a door waits for an answer: as a stream of events, or as a whole while the caller stays."""

import asyncio
import json
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from fastapi.sse import format_sse_event

T = TypeVar("T")
CLIENT_CLOSED_REQUEST = 499

NO_BUFFERING = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(name: str, data: object) -> bytes:
    """One server-sent event."""
    return format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False, default=str))


async def while_connected(request: Request, awaited: Awaitable[T]) -> T | None:
    """The result, or None when the caller has gone; then the work is cancelled."""
    work = asyncio.ensure_future(awaited)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait([work])


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
