"""Look-ups that come again with every message, kept for a moment: who holds a key, which prompt is in force.

What this process changes it sees at once; what another process changes, after the time given. Rows of one
conversation are never remembered: their truth is in the transaction that uses them.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from anyio import to_thread
from sqlalchemy import Engine, event
from sqlmodel import Session

from feedback.database import reading
from feedback.desk_tables import Site, Staff, StaffRole
from feedback.tables import ApiKey, Assistant, Prompt

K = TypeVar("K")
V = TypeVar("V")
WATCHED = (Assistant, Prompt, ApiKey, Staff, StaffRole, Site)
"""The tables that may be remembered from; another one must be added here first."""
LIMIT = 10_000
"""Entries kept, at most; then all are forgotten."""


class _Changes:
    """How often this process has changed a watched table."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def one_more(self) -> None:
        with self._lock:
            self.count += 1


_changes = _Changes()


@event.listens_for(Session, "after_flush")
def _note(session: Session, _context: Any) -> None:
    rows = (*session.new, *session.dirty, *session.deleted)
    if any(isinstance(row, WATCHED) for row in rows):
        session.info["changed_remembered"] = True


@event.listens_for(Session, "after_commit")
def _forget(session: Session) -> None:
    """The session's changes are in force: what was remembered before them no longer counts."""
    if session.info.pop("changed_remembered", False):
        _changes.one_more()


class Remembered(Generic[K, V]):
    """A look-up with a memory. `look_up` gets a reading session of its own and may raise: no memory then."""

    def __init__(self, seconds: float, look_up: Callable[[Session, K], V]) -> None:
        self._seconds = seconds
        self._look_up = look_up
        self._known: dict[K, tuple[V, float, int]] = {}

    def known(self, asked: K) -> V | None:
        """The value, if it is remembered and still counts."""
        value, until, change = self._known.get(asked, (None, 0.0, -1))
        return value if change == _changes.count and time.monotonic() < until else None

    async def soon(self, database: Engine, asked: K) -> V:
        """The value; where it must be looked up, on another thread."""
        if (value := self.known(asked)) is not None:
            return value
        return await to_thread.run_sync(self.get, database, asked)

    def get(self, database: Engine, asked: K) -> V:
        """The value, looked up where it is not remembered."""
        if (value := self.known(asked)) is not None:
            return value
        with reading(database) as session:
            return self.within(session, asked)

    def within(self, session: Session, asked: K) -> V:
        """The same for who has a session: whoever holds a connection must not wait for another one.

        What is looked up stays when that session's own rows are undone.
        """
        if (value := self.known(asked)) is not None:
            return value
        change = _changes.count  # before looking: a change meanwhile makes this memory void
        with Session(session.connection(), expire_on_commit=False) as own:
            value = self._look_up(own, asked)
        if len(self._known) >= LIMIT:
            self._known.clear()
        self._known[asked] = (value, time.monotonic() + self._seconds, change)
        return value
