"""First come, first served, within one process: SQLite itself lets whoever asks again first write next.

It has waiters sleep and ask anew, so one that came early can wait out its whole time while others write
a hundred times; Python's own locks let a thread that has just let go take them again, too.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock that is handed to whoever has waited longest. The same thread may take it again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._holder: int | None = None

    @contextmanager
    def turn(self, timeout_seconds: float) -> Iterator[bool]:
        """Wait for it, then hold it through the block. Yields False where the wait was too long."""
        if self._holder == threading.get_ident():
            yield True
            return
        held = self._take(timeout_seconds)
        try:
            yield held
        finally:
            if held:
                self._hand_on()

    def _take(self, timeout_seconds: float) -> bool:
        call = threading.Lock()
        with self._guard:
            free = self._holder is None
            if free:
                self._holder = threading.get_ident()
            else:
                call.acquire()
                self._waiting.append(call)
        if free:
            return True
        try:
            called = call.acquire(timeout=timeout_seconds)
        except BaseException:  # Ctrl-C: nobody waits here any more
            if not self._step_out(call):
                self._hand_on()
            raise
        if not called and self._step_out(call):
            return False
        self._holder = threading.get_ident()
        return True

    def _step_out(self, call: threading.Lock) -> bool:
        """Wait no longer; False where the turn was handed over in that very moment."""
        with self._guard:
            if call in self._waiting:
                self._waiting.remove(call)
                return True
            return False

    def _hand_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._holder = _HANDED_ON
                self._waiting.popleft().release()
            else:
                self._holder = None


_HANDED_ON = -1
"""Between two threads: taken, but the next one does not run yet."""
