"""Holds a cycle while it is being worked on, and hears when someone wants it stopped.

A thread renews the lease; a loop that dies stops renewing, and another takes over when it runs out.
"""

import logging
import threading
from types import TracebackType

from sqlalchemy.exc import SQLAlchemyError

from feedback import cycles
from feedback.database import writing
from feedback.errors import Conflict, UnderstudyError

log = logging.getLogger(__name__)


class LeaseLost(UnderstudyError):
    """Another loop has taken this cycle over; this one must not touch it any more."""


class StopRequested(UnderstudyError):
    """A person asked for this cycle to end, or this loop is being shut down."""


class Lease:
    """A context in which this process holds a cycle."""

    def __init__(self, cycle_id: str, owner: str, seconds: float, leaving: threading.Event) -> None:
        """`leaving` is set when this process was told to end."""
        self._cycle_id = cycle_id
        self._owner = owner
        self._seconds = seconds
        self._leaving = leaving
        self._lost = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self.stop_requested_by: str | None = None

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def wants_out(self) -> bool:
        """Whether the work should stop at the next good place."""
        return bool(self._lost or self.stop_requested_by or self._leaving.is_set())

    @property
    def is_leaving(self) -> bool:
        """Whether it is this process that ends, not the cycle."""
        return self._leaving.is_set() and not self.stop_requested_by

    def check(self) -> None:
        """Raise LeaseLost or StopRequested if the work must not go on."""
        if self._lost:
            raise LeaseLost(self._lost)
        if self.stop_requested_by:
            raise StopRequested(f"Stopped by {self.stop_requested_by}.")
        if self._leaving.is_set():
            raise StopRequested("This loop is shutting down; the next one goes on from here.")

    def _renew(self) -> None:
        while not self._ended.wait(min(self._seconds / 3, 1.0)):
            try:
                with writing() as session:
                    cycle = cycles.renew(session, self._cycle_id, self._owner, self._seconds)
                    self.stop_requested_by = cycle.stop_requested_by
            except Conflict as error:
                self._lost = str(error)
                return
            except SQLAlchemyError:
                log.exception("the lease could not be renewed; trying again")
