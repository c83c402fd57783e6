"""Moves adapters into the running engine and says which one answers new conversations.

A promotion is only a row; `watch` notices it, loads the adapter under its immutable name, probes it,
and then flips. Answers in flight and conversations that began earlier keep their own adapter.
The exam uses `hold` too, so a candidate sits it exactly as it would serve.
"""

import asyncio
import logging
import time

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import adapter_folder, adapters, assistants
from feedback.database import reading, writing
from feedback.errors import Invalid, Unavailable, UnderstudyError
from feedback.tables import Adapter, Assistant
from service.probe import ProbeFailed, probe
from service.settings import ServiceSettings
from service.vllm import Vllm

log = logging.getLogger(__name__)


class HotSwap:
    """What one engine was verified to hold, and each assistant's adapter in force on it."""

    def __init__(self, engine: Vllm, database: Database, settings: ServiceSettings) -> None:
        self._engine = engine
        self._database = database
        self._settings = settings
        self._verified: set[str] = set()
        self._refused: dict[str, tuple[str, float]] = {}  # why, and until when
        self._locks: dict[str, asyncio.Lock] = {}
        self._in_force: dict[str, Adapter | None] = {}

    async def hold(self, adapter: Adapter) -> None:
        """Make sure the engine holds this adapter and was seen to apply it.

        Raises Invalid when the files are not what was published or the engine refuses them,
        ProbeFailed when it computes something else, Unavailable when it is down.
        """
        if adapter.name in self._verified:
            return
        async with self._locks.setdefault(adapter.name, asyncio.Lock()):
            if adapter.name in self._verified:
                return
            reason, until = self._refused.get(adapter.name, ("", 0.0))
            if time.monotonic() < until:
                raise Invalid(reason)
            await self._load_and_probe(adapter)

    async def _load_and_probe(self, adapter: Adapter) -> None:
        started = time.perf_counter()
        folder = adapters.folder_of(adapter)
        try:
            await to_thread.run_sync(adapter_folder.verify, folder, adapter.digest)
            await self._engine.load(adapter.name, folder)
            load_ms = round((time.perf_counter() - started) * 1000)
            difference = await probe(
                self._engine, adapter.name, folder, self._settings.probe_tolerance
            )
        except (Invalid, ProbeFailed) as error:
            until = time.monotonic() + self._settings.swap_retry_seconds
            self._refused[adapter.name] = (str(error), until)
            await self._engine.unload(adapter.name)
            await self._record(adapter, False, str(error))
            raise
        self._verified.add(adapter.name)
        reason = "It answers as the trainer's own forward pass does."
        await self._record(adapter, True, reason, load_ms, difference)

    async def _record(
        self,
        adapter: Adapter,
        verified: bool,
        reason: str,
        load_ms: int | None = None,
        difference: float | None = None,
    ) -> None:
        log.info("swap adapter=%s verified=%s %s", adapter.name, verified, reason)

        def store() -> None:
            with writing(self._database) as session:
                adapters.record_swap(
                    session, adapter, self._engine.name, verified, reason, load_ms, difference
                )

        await to_thread.run_sync(store)

    async def drop(self, adapter: Adapter) -> None:
        """Stop routing to an adapter. Its files stay: the engine may still read them."""
        self._verified.discard(adapter.name)
        await self._engine.unload(adapter.name)

    def forget(self, adapter_name: str) -> None:
        """The engine turned out not to hold this adapter any more; the next `hold` loads it."""
        self._verified.discard(adapter_name)

    async def voice(self, assistant: Assistant) -> Adapter | None:
        """The adapter that speaks in new conversations (None: the base model)."""
        if assistant.id not in self._in_force:
            await self.follow(assistant)
        return self._in_force[assistant.id]

    async def follow(self, assistant: Assistant) -> None:
        """Bring the newest promotion that this engine can be trusted with into force."""
        for adapter in await to_thread.run_sync(self._promoted, assistant):
            if self._is_in_force(assistant, adapter):
                return
            try:
                if adapter is not None:
                    await self.hold(adapter)
            except Unavailable:
                if assistant.id in self._in_force:
                    return  # keep the voice; the next look tries again
                self._in_force[assistant.id] = adapter  # held when it first has to answer
                return
            except UnderstudyError:
                continue  # refused and recorded; what was live before goes on
            self._in_force[assistant.id] = adapter
            log.info("live assistant=%s adapter=%s", assistant.name, adapter and adapter.name)
            return

    def _is_in_force(self, assistant: Assistant, adapter: Adapter | None) -> bool:
        if assistant.id not in self._in_force:
            return False
        current = self._in_force[assistant.id]
        same = (current and current.id) == (adapter and adapter.id)
        return same and (adapter is None or adapter.name in self._verified)

    def _promoted(self, assistant: Assistant) -> list[Adapter | None]:
        """What was live, newest first, the base model last."""
        with reading(self._database) as session:
            past = [promotion.adapter_id for promotion in adapters.history(session, assistant)]
            distinct = list(dict.fromkeys([*past, None]))
            return [session.get(Adapter, id_) if id_ else None for id_ in distinct]

    async def look(self) -> None:
        """One look: what did the engine lose, and what was promoted since?"""
        try:
            held = await self._engine.names()
        except Unavailable:
            return
        self._verified &= held  # an engine that was restarted holds nothing
        for assistant in await to_thread.run_sync(self._assistants):
            await self.follow(assistant)

    def _assistants(self) -> list[Assistant]:
        with reading(self._database) as session:
            return assistants.every(session)

    async def watch(self) -> None:
        """Look again and again, until cancelled. A failed look is logged, never fatal."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("a look at the promotions failed; trying again")
            await asyncio.sleep(self._settings.swap_poll_seconds)
