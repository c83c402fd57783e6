"""One answer being written, and those who follow it as it grows.

When nobody follows an answer any more, its writing ends; the part written is kept as such.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from feedback.errors import UnderstudyError
from feedback.tables import Handling, Message, MessageState

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Cancelling does not reach it: whoever leaves while it runs has left too late."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()


class Turn:
    """An answer being written. Any number may follow it; it stops when the last one leaves."""

    def __init__(self, question: Message, answer: Message) -> None:
        self.question = question
        self.row = answer
        self.error: UnderstudyError | None = None
        self.handling: Handling | None = None
        """Who has the conversation since the answer was stored; None: not known here."""
        self._pieces: list[str] = [answer.text] if answer.text else []
        self._changed = asyncio.Event()
        self._followers = 0
        self._finished = answer.state == MessageState.COMPLETE
        self._settled = asyncio.Event()
        self._counts = False
        self._task: asyncio.Task[None] | None = None

    def start(self, task: asyncio.Task[None]) -> None:
        """`task` writes the answer; it is cancelled when nobody follows."""
        self._task = task

    def settle(self, counts: bool) -> None:
        """Question and answer's row are durable; or, where it does not count, they are not and never were."""
        self._counts = counts
        self._settled.set()

    async def take_back(self) -> None:
        """Its rows could not be written: whatever was begun for them ends, and nothing is stored."""
        if not self._settled.is_set():
            self.settle(counts=False)
            await self.stop()

    async def counts(self) -> bool:
        """Whether its rows are durable, as soon as that is known; only then anything may be stored."""
        await self._settled.wait()
        return self._counts

    async def stop(self) -> None:
        """End the writing now and wait until the part is stored."""
        if self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def add(self, piece: str) -> None:
        """The engine wrote this."""
        self._pieces.append(piece)
        self._notify()

    def finish(self, row: Message, error: UnderstudyError | None = None) -> None:
        """The answer's row is stored; followers may be told."""
        self.row, self.error, self._finished = row, error, True
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def join(self) -> None:
        """One more will follow; said when the request arrives, so that no gap lets the answer end."""
        self._followers += 1

    async def follow(self) -> AsyncIterator[str]:
        """The answer from its first word, as it grows; returns when it is stored. Once per `join`.

        Whatever has come since the last look comes as one piece.
        """
        seen = 0
        try:
            while True:
                changed = self._changed
                if seen < len(self._pieces):
                    new, seen = self._pieces[seen:], len(self._pieces)
                    yield new[0] if len(new) == 1 else "".join(new)
                elif self._finished:
                    break
                else:
                    await changed.wait()
        finally:
            self._followers -= 1
            if not self._followers and self._task:
                self._task.cancel()

    async def done(self) -> Message:
        """The stored answer; raises what went wrong."""
        async for _ in self.follow():
            pass
        if self.error:
            raise self.error
        return self.row
