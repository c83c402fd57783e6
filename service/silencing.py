"""Notices when an answer that is being written here was ended elsewhere: an agent took the conversation.

One query every so often for all running answers; each service asks for its own. Used by turns.py.
"""

import asyncio
import logging
from collections.abc import Awaitable

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import conversations
from feedback.database import reading
from feedback.errors import Conflict

log = logging.getLogger(__name__)


class TakenOver(Conflict):
    """An agent took the conversation while the bot was writing."""


class Silencing:
    """The answers being written by this process. One per process."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def until_silenced(self, answer_id: str, work: Awaitable[None]) -> None:
        """`work`, which writes this answer; TakenOver, and it ends at once, when somebody else ended it."""
        task = asyncio.current_task()
        assert task is not None
        self._writing[answer_id] = task
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            await work
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise TakenOver("A person has taken over this conversation.") from None
        finally:
            self._ended.discard(task)
            del self._writing[answer_id]

    async def _look_again_and_again(self) -> None:
        try:
            while self._writing:
                await asyncio.sleep(self._seconds)
                await self._look()
        finally:
            self._looking = None

    async def _look(self) -> None:
        """A failed look is logged, never fatal: the answer itself finds out when it is stored."""
        asked = dict(self._writing)
        try:
            ended = await to_thread.run_sync(self._ended_elsewhere, list(asked))
        except Exception:
            log.exception("a look at the running answers failed; trying again")
            return
        for answer_id in ended:
            if self._writing.get(answer_id) is asked[answer_id]:
                self._ended.add(asked[answer_id])
                asked[answer_id].cancel()

    def _ended_elsewhere(self, answer_ids: list[str]) -> set[str]:
        with reading(self._database) as session:
            return conversations.not_being_written(session, answer_ids)
