"""Short writing transactions, one after the other and made durable together. Called by service/turns.py.

SQLite has one writer at a time, and each commit waits for the disk. Here one thread writes: it does whatever
work waits, commits once, and only then tells those who wait; where a piece of work fails, each is done again
in a transaction of its own. PostgreSQL does the like by itself: there each has a thread and a transaction.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from anyio import to_thread
from sqlalchemy import Engine
from sqlmodel import Session

from feedback.database import writing

T = TypeVar("T")
TOGETHER = 64
"""Pieces of work in one commit, at most: what waits for it should not wait long."""


class _Piece:
    """A piece of work, what came of it, and who waits."""

    def __init__(self, work: Callable[[Session], Any], soon: Callable[[Any], None] | None) -> None:
        self.work = work
        self.soon = soon
        self.result: Any = None
        self.error: Exception | None = None
        self.waiting = asyncio.get_running_loop().create_future()

    def tell(self) -> None:
        """On the waiting loop, after the commit."""
        if self.waiting.done():
            return
        if self.error is not None:
            self.waiting.set_exception(self.error)
        else:
            self.waiting.set_result(self.result)


class Commits:
    """Runs writing work for one database. One per service process; close it."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._queue: SimpleQueue[_Piece | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[Session], T], soon: Callable[[T], None] | None = None) -> T:
        """What `work` returns, once it is durable. What it raises undoes it and is raised here.

        `soon` is called with it on the running loop while the disk is still writing. It may prepare what
        comes next, and must be ready to drop that: where the commit fails, this raises.
        """
        if self._database.dialect.name != "sqlite":
            loop = asyncio.get_running_loop()
            tell = partial(loop.call_soon_threadsafe, soon) if soon else None  # type: ignore[arg-type]
            return await to_thread.run_sync(self._alone, work, tell)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="commits", daemon=True)
            self._thread.start()
        piece = _Piece(work, soon)
        self._queue.put(piece)
        try:
            result: T = await asyncio.shield(piece.waiting)
        except asyncio.CancelledError:  # like a thread: begun is begun, and its end is waited for
            await asyncio.wait([piece.waiting])
            raise
        return result

    def _alone(self, work: Callable[[Session], T], tell: Callable[[T], Any] | None) -> T:
        with writing(self._database) as session:
            result = work(session)
            session.flush()
            session.expunge_all()  # from here on the rows are the loop's
            if tell is not None:
                tell(result)
            return result

    async def close(self) -> None:
        """Wait for what is being written, and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            await to_thread.run_sync(self._thread.join)
            self._thread = None

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            pieces = [first]
            while len(pieces) < TOGETHER and not self._queue.empty():
                if (piece := self._queue.get()) is None:
                    self._queue.put(None)  # what came before the end is written before it
                    break
                pieces.append(piece)
            self._commit(pieces)

    def _commit(self, pieces: list[_Piece]) -> None:
        whole = False
        try:
            with writing(self._database) as session:
                for piece in pieces:
                    piece.result = piece.work(session)
                    session.flush()
                    session.expunge_all()  # the next one reads for itself
                whole = True
                self._tell(pieces, _tell_soon)
        except Exception as error:
            if not whole and len(pieces) > 1:  # one piece failed: it undoes itself and nothing else
                for piece in pieces:
                    self._commit([piece])
                return
            for piece in pieces:
                piece.error = error
        self._tell(pieces, _tell)

    def _tell(self, pieces: list[_Piece], how: Callable[[list[_Piece]], None]) -> None:
        for loop in {piece.waiting.get_loop() for piece in pieces}:
            theirs = [piece for piece in pieces if piece.waiting.get_loop() is loop]
            loop.call_soon_threadsafe(how, theirs)


def _tell(pieces: list[_Piece]) -> None:
    for piece in pieces:
        piece.tell()


def _tell_soon(pieces: list[_Piece]) -> None:
    for piece in pieces:
        if piece.soon is not None:
            piece.soon(piece.result)
