"""Live pages: one stream of server-sent events per open page, which says only that something changed.

The page then fetches the parts that show it. What changed is read from the database, so it does not
matter which replica did it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from feedback import inbox
from feedback.database import reading
from service.console.session import Seat, seat, still_here
from service.following import NO_BUFFERING, event
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
HEARTBEAT_SECONDS = 15.0


@router.get("/live")
async def live(
    request: Request,
    here: Annotated[Seat, Depends(seat(*STAFF))],
    seen: Annotated[str, Query(description="What the page shows: its own mark.")] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """`changed` whenever a conversation, a hand-over, a cycle or a promotion of the assistant changed."""
    stream = _events(request, here, last_event_id or seen)
    return StreamingResponse(stream, headers=NO_BUFFERING, media_type="text/event-stream")


async def _events(request: Request, here: Seat, seen: str) -> AsyncIterator[bytes]:
    state = request.app.state
    pause_seconds = state.settings.events_poll_seconds

    def look() -> str | None:
        with reading(state.database) as session:
            return inbox.mark(session, here.desk) if still_here(session, request, here) else None

    silent_seconds = 0.0
    yield b": listening\n\n"
    while not (state.leaving.is_set() or await request.is_disconnected()):
        found = await to_thread.run_sync(look)
        if found is None:  # signed out or shut out meanwhile
            return
        if found != seen:
            seen, silent_seconds = found, 0.0
            yield b"id: %s\n" % found.encode() + event("changed", {})
        elif silent_seconds >= HEARTBEAT_SECONDS:
            silent_seconds = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(pause_seconds)
        silent_seconds += pause_seconds
