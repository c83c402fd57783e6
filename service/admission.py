"""Who is answered next when there is more to answer than the engines take: bounded, and fair.

Assistants take turns, so that a busy one does not keep the others waiting. When the queue is full the
newest of whoever waits most is sent away with "try again", at once, instead of everybody waiting longer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from feedback.errors import Overloaded
from service.settings import ServiceSettings


class Admission:
    """The queue before the engines. One per service process."""

    def __init__(self, settings: ServiceSettings, capacity: Callable[[], int]) -> None:
        self._settings = settings
        self._capacity = capacity
        self._running = 0
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """By assistant, in the order of their next turn; no empty queue stays."""

    @property
    def running(self) -> int:
        """Answers being written."""
        return self._running

    @property
    def waiting(self) -> int:
        """Answers that wait for their turn."""
        return sum(map(len, self._queues.values()))

    def check(self, assistant_id: str) -> None:
        """Overloaded when a question by this assistant's customers would be sent away at once."""
        mine = len(self._queues.get(assistant_id, ()))
        if self.waiting >= self._settings.queue_max and mine >= self._longest():
            raise self._overloaded("The queue is full")

    @asynccontextmanager
    async def turn(self, assistant_id: str) -> AsyncIterator[None]:
        """Wait for a turn and keep it; Overloaded when it does not come in time."""
        if self._running >= self._capacity() or self._queues:
            await self._wait(assistant_id)
        else:
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            self._admit()

    async def _wait(self, assistant_id: str) -> None:
        self.check(assistant_id)
        if self.waiting >= self._settings.queue_max:
            self._send_one_away()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(assistant_id, deque()).append(mine)
        self._admit()
        try:
            async with asyncio.timeout(self._settings.queue_timeout_seconds):
                await mine
        except TimeoutError:
            self._leave(assistant_id, mine)
            raise self._overloaded(
                f"Nobody was free within {self._settings.queue_timeout_seconds:g} seconds "
                "(setting SERVICE_QUEUE_TIMEOUT_SECONDS)"
            ) from None
        except BaseException:
            self._leave(assistant_id, mine)
            raise

    def _leave(self, assistant_id: str, mine: asyncio.Future[None]) -> None:
        """Give up a place in the queue, or the turn that came in the very same moment."""
        if mine.done() and not mine.cancelled() and mine.exception() is None:
            self._running -= 1
            self._admit()
            return
        queue = self._queues.get(assistant_id)
        if queue and mine in queue:
            queue.remove(mine)
            if not queue:
                del self._queues[assistant_id]

    def _admit(self) -> None:
        """Let in as many as there is room for, one assistant after the other."""
        while self._queues and self._running < self._capacity():
            assistant_id, queue = next(iter(self._queues.items()))
            del self._queues[assistant_id]
            next_one = queue.popleft()
            if queue:
                self._queues[assistant_id] = queue  # behind the others
            if not next_one.done():
                self._running += 1
                next_one.set_result(None)

    def _longest(self) -> int:
        return max(map(len, self._queues.values()), default=0)

    def _send_one_away(self) -> None:
        assistant_id = max(self._queues, key=lambda each: len(self._queues[each]))
        queue = self._queues[assistant_id]
        newest = queue.pop()
        if not queue:
            del self._queues[assistant_id]
        if not newest.done():
            newest.set_exception(self._overloaded("The queue is full"))

    def _overloaded(self, what: str) -> Overloaded:
        seconds = self._settings.retry_after_seconds
        return Overloaded(
            f"{what}: more is asked than can be answered. Nothing was lost; try again in "
            f"{seconds} seconds.",
            seconds,
        )
