"""Asks the engine again while it is down, so that a restart does not cost an exam. Used by run.py.

A restarted engine has lost its adapters (NotFound): they are loaded and probed again first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from evals.settings import EvalsSettings
from feedback.errors import NotFound, Unavailable
from feedback.tables import Adapter
from service.hot_swap import HotSwap
from service.vllm import Vllm

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 30.0


class Patience:
    """How long to wait for engines. When one call has used up its attempts the next ones get a
    single attempt each, until the engine answers: a dead engine is waited for once, not per ticket.
    """

    def __init__(self, swaps: HotSwap, settings: EvalsSettings) -> None:
        self._swaps = swaps
        self._settings = settings
        self._given_up = False

    async def hold(self, adapter: Adapter | None) -> None:
        """Make sure the engine holds the adapter; the base model it always holds."""
        await self.ask(adapter, _nothing)

    async def ask(self, adapter: Adapter | None, question: Callable[[Vllm], Awaitable[T]]) -> T:
        """What `question` returns, asked of an engine that holds the adapter."""
        attempts = 1 if self._given_up else self._settings.attempts
        pause_seconds = self._settings.backoff_seconds
        while True:
            attempts -= 1
            try:
                found = await self._once(adapter, question)
            except (Unavailable, NotFound) as error:
                if adapter is None and isinstance(error, NotFound):
                    raise
                if not attempts:
                    self._given_up = True
                    raise
            else:
                self._given_up = False
                return found
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _once(self, adapter: Adapter | None, question: Callable[[Vllm], Awaitable[T]]) -> T:
        async with self._swaps.engine_with(adapter) as member:
            return await question(member.vllm)


async def _nothing(engine: Vllm) -> None:
    """Holding the adapter is all that is asked."""
