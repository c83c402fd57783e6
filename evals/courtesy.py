"""How many tickets are before the engines at once: fewer while they also answer others. Used by asking.py.

Priorities (service/vllm.py) decide who begins first; what has begun shares every step of the engine, and
there only fewer tickets leave customers more of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from evals.settings import EvalsSettings
from service.fleet import Fleet

LOOK_SECONDS = 1.0
"""How often the engines are asked how much they compute."""


class Courtesy:
    """The exam's turns at the engines, taken in order."""

    def __init__(self, fleet: Fleet, settings: EvalsSettings) -> None:
        self._fleet = fleet
        self._settings = settings
        self._order = asyncio.Lock()
        self._running = 0
        self._most = self._most_before = 0
        """Our own turns at most, since the last look and before it: engines tell a little late."""
        self._looked_at = time.monotonic()
        self._has_others = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and keep it."""
        async with self._order:
            while self._running >= await self._at_once():  # noqa: ASYNC110 - engines do not call
                await asyncio.sleep(LOOK_SECONDS / 10)
            self._running += 1
            self._most = max(self._most, self._running)
        try:
            yield
        finally:
            self._running -= 1

    async def _at_once(self) -> int:
        most = self._settings.concurrency
        fewer = min(most, self._settings.concurrency_beside_customers)
        if fewer < most and time.monotonic() - self._looked_at >= LOOK_SECONDS:
            await self._look()
        return fewer if self._has_others else most

    async def _look(self) -> None:
        """Whoever is there beyond us counts, customers as well as another exam. While our own turns
        just ended, it cannot be told whose the rest is: then what was seen last holds."""
        counts = await asyncio.gather(*(each.vllm.running() for each in self._fleet.members))
        computed = sum(counts)
        if computed > max(self._most, self._most_before):
            self._has_others = True
        elif computed <= self._running:
            self._has_others = False
        self._most_before, self._most = self._most, self._running
        self._looked_at = time.monotonic()
