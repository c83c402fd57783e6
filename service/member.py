"""One engine of the fleet: what it was seen to hold, whether it is well, and how much it is doing.

An adapter takes traffic here only after a probe, on this very run of the engine: one that was started
again holds nothing. fleet.py chooses between engines; hot_swap.py says what they should hold.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import adapter_folder, adapters
from feedback.database import reading, writing
from feedback.errors import Invalid, Unavailable
from feedback.tables import Adapter
from service.probe import ProbeFailed, probe
from service.settings import ServiceSettings
from service.vllm import Vllm

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""An engine that does not answer a look for so long gets no traffic until it does."""


@dataclass(frozen=True)
class Word:
    """What an engine said of an adapter; neither verified nor refused: it has not said yet."""

    engine: str
    verified: bool = False
    refused: str | None = None


class Member:
    """One engine, with what this process knows of it."""

    def __init__(self, vllm: Vllm, database: Database, settings: ServiceSettings) -> None:
        self.vllm = vllm
        self.is_up = False
        self.in_flight = 0
        self.elsewhere = 0
        """Answers it computes for others: further replicas, an exam."""
        self._database = database
        self._settings = settings
        self._boot = ""
        self._listed: set[str] = set()
        self._verified: set[str] = set()
        self._refused: dict[str, tuple[str, float]] = {}  # why, and until when
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def name(self) -> str:
        """Its address, as people and rows call it."""
        return self.vllm.name

    @property
    def load(self) -> int:
        """Answers it is computing, as far as is known here."""
        return self.in_flight + self.elsewhere

    def holds(self, adapter: Adapter | None) -> bool:
        """Whether it may answer with this adapter right away; the base model it always holds."""
        return adapter is None or adapter.name in self._verified

    @property
    def held(self) -> set[str]:
        """Names of the adapters it was seen to compute."""
        return set(self._verified)

    @property
    def listed(self) -> set[str]:
        """Names of the adapters it has loaded, verified or not, at the last look."""
        return set(self._listed)

    def word_on(self, adapter: Adapter) -> Word:
        """What is known of it and an adapter."""
        reason, until = self._refused.get(adapter.name, ("", 0.0))
        refused = reason if time.monotonic() < until else None
        return Word(self.name, adapter.name in self._verified, refused)

    async def look(self, count: bool = True) -> None:
        """Is it up, is it the same run as before, and what has it loaded?

        `count`: also how much it computes for others, which only matters where one may choose.
        """
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                listed = await self.vllm.names()
                running = await self.vllm.running() if count else self.in_flight
        except (Unavailable, TimeoutError) as error:
            self.suspect(str(error) or f"it said nothing for {LOOK_SECONDS:g} seconds")
            return
        if not self.is_up:
            log.info("engine=%s is up", self.name)
        self.is_up = True
        self._notice_boot()
        self._listed = listed
        self._verified &= listed  # one that was started again lists nothing
        self.elsewhere = max(0, running - self.in_flight)

    def _notice_boot(self) -> None:
        if self.vllm.boot != self._boot:
            self._boot = self.vllm.boot
            self._verified.clear()
            self._refused.clear()

    def suspect(self, reason: str) -> None:
        """It did not answer: no traffic until a look finds it well."""
        if self.is_up:
            log.warning("engine=%s is down: %s", self.name, reason)
        self.is_up = False

    def forget(self, adapter_name: str) -> None:
        """It turned out not to hold this adapter any more; the next `hold` loads it."""
        self._verified.discard(adapter_name)
        self._listed.discard(adapter_name)

    async def hold(self, adapter: Adapter) -> None:
        """Make sure it holds this adapter and was seen to apply it.

        Raises Invalid when the files are not what was published or the engine refuses them,
        ProbeFailed when it computes something else, Unavailable when it is down.
        """
        self._notice_boot()
        if adapter.name in self._verified:
            return
        async with self._locks.setdefault(adapter.name, asyncio.Lock()):
            if adapter.name in self._verified:
                return
            if reason := self.word_on(adapter).refused:
                raise Invalid(reason)
            if await to_thread.run_sync(self._was_verified_by_others, adapter):
                self._verified.add(adapter.name)
                return
            await self._load_and_probe(adapter)

    def _was_verified_by_others(self, adapter: Adapter) -> bool:
        """Another replica, or an exam, has probed it on this very run of the engine."""
        if not self._boot or adapter.name not in self._listed:
            return False
        with reading(self._database) as session:
            return adapters.is_verified(session, adapter, self.name, self._boot)

    async def _load_and_probe(self, adapter: Adapter) -> None:
        started = time.perf_counter()
        folder = adapters.folder_of(adapter)
        try:
            await to_thread.run_sync(adapter_folder.verify, folder, adapter.digest)
            await self.vllm.load(adapter.name, folder)
            self._notice_boot()
            load_ms = round((time.perf_counter() - started) * 1000)
            difference = await probe(
                self.vllm, adapter.name, folder, self._settings.probe_tolerance
            )
        except (Invalid, ProbeFailed) as error:
            until = time.monotonic() + self._settings.swap_retry_seconds
            self._refused[adapter.name] = (str(error), until)
            await self.vllm.unload(adapter.name)
            await self._record(adapter, False, str(error))
            raise
        self._verified.add(adapter.name)
        self._listed.add(adapter.name)
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
        log.info("engine=%s adapter=%s verified=%s %s", self.name, adapter.name, verified, reason)

        def store() -> None:
            with writing(self._database) as session:
                adapters.record_swap(
                    session, adapter, self.name, verified, reason, load_ms, difference, self._boot
                )

        await to_thread.run_sync(store)

    async def drop(self, adapter_name: str) -> None:
        """Stop routing to an adapter. Its files stay: the engine may still read them."""
        self.forget(adapter_name)
        await self.vllm.unload(adapter_name)
