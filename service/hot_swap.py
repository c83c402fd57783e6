"""Brings every engine to what the database wants, and says which adapter speaks in new conversations.

A promotion has two phases. Somebody asks for it, and engines load the adapter under its immutable name and
are probed; once enough of them compute it, the promotion is written and every replica follows within its
next look. Answers in flight and conversations that began earlier keep their own adapter. What nobody wants
any more is unloaded when no conversation speaks with it. The exam uses `engine_with` too, so a candidate
sits it exactly as it would serve.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import adapters, promotions
from feedback import standing as standings
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, NotFound, Unavailable, UnderstudyError
from feedback.standing import Standing
from feedback.tables import Adapter, Assistant, now
from feedback.trials import CANDIDATE
from service.fleet import Fleet
from service.member import Member, Word
from service.probe import ProbeFailed
from service.settings import ServiceSettings

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Who asks engines without watching them looks again after this time."""
RETIRE_SECONDS = 15.0
"""How often to see whether something can be unloaded."""


@dataclass(frozen=True)
class Voice:
    """Who speaks in a new conversation (None: the base model), and the canary's arm it falls into."""

    adapter: Adapter | None
    trial_id: str | None = None
    trial_arm: str | None = None
    trial_share: float | None = None


class HotSwap:
    """The reconcile loop over a fleet, and each assistant's adapters as last read."""

    def __init__(self, fleet: Fleet, database: Database, settings: ServiceSettings) -> None:
        self.fleet = fleet
        self._database = database
        self._settings = settings
        self._standings: dict[str, Standing] = {}
        self._holding: dict[str, asyncio.Task[None]] = {}
        self._looked_at = -math.inf
        self._retired_at = time.monotonic()

    # What others ask of it

    @asynccontextmanager
    async def engine_with(
        self,
        adapter: Adapter | None,
        last_engine: str | None = None,
        without: Collection[Member] = (),
    ) -> AsyncIterator[Member]:
        """An engine that was seen to compute this adapter (None: the base model), for one answer.

        Raises Unavailable when no engine can be reached, Invalid or ProbeFailed when the adapter
        cannot be trusted there. What the caller meets inside is remembered of the engine.
        """
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            await self._look_at_engines()
        member = await self._holding_member(adapter, last_engine, without)
        try:
            yield member
        except Unavailable as error:
            member.suspect(str(error))
            raise
        except NotFound:
            if adapter is not None:
                member.forget(adapter.name)
            raise
        finally:
            member.in_flight -= 1

    async def _holding_member(
        self, adapter: Adapter | None, last_engine: str | None, without: Collection[Member]
    ) -> Member:
        """The engine to ask, counted as busier by one; it holds the adapter."""
        tried = list(without)
        refusal: UnderstudyError | None = None
        while True:
            try:
                member = self.fleet.choose(adapter, last_engine, tried)
            except Unavailable:
                if refusal:
                    raise refusal from None
                raise
            member.in_flight += 1
            try:
                if adapter is not None:
                    await member.hold(adapter)
                return member
            except UnderstudyError as error:
                member.in_flight -= 1
                if isinstance(error, Unavailable):
                    member.suspect(str(error))
                tried.append(member)
                refusal = error
            except BaseException:
                member.in_flight -= 1
                raise

    async def drop(self, adapter: Adapter) -> None:
        """Stop routing to an adapter on every engine. Its files stay: engines may still read them."""
        await asyncio.gather(*(member.drop(adapter.name) for member in self.fleet.up))

    def known(self, assistant_id: str) -> Standing | None:
        """An assistant's adapters as last read, at most one look ago."""
        return self._standings.get(assistant_id)

    async def voice(self, assistant: Assistant, who: str) -> Voice:
        """The adapter for a new conversation with `who`, and the canary it counts for, if any.

        Where its topic decides, it begins with the older one, and settling.py asks again.
        """
        if assistant.id not in self._standings:
            await self._read()
        standing = self._standings[assistant.id]
        if standing.excepts:
            return Voice(standing.keeper)
        return self.voice_for(standing, None, who)

    def voice_for(self, standing: Standing, topic: str | None, who: str) -> Voice:
        """Who speaks about a topic (None: it is not known) in a new conversation with `who`.

        What is kept from the live adapter takes no part in a canary, which compares with that.
        """
        trial, candidate, keeps = standing.trial, standing.candidate, standing.keeps(topic)
        # Before it is verified nobody meets it, and neither arm counts.
        if trial and candidate and not keeps and self._is_held(candidate):
            arm = standing.draw(who)
            if arm is not None:
                chosen = candidate if arm == CANDIDATE else standing.live
                return Voice(chosen, trial.id, arm, trial.share)
        speaker = standing.speaker(topic)
        if speaker is not None and self._is_refused_everywhere(speaker):
            log.error("adapter=%s is refused on every engine", speaker.name)
            return Voice(standing.live if keeps else standing.rollback)
        return Voice(speaker)

    def _is_held(self, adapter: Adapter) -> bool:
        return any(member.holds(adapter) for member in self.fleet.up)

    def _is_refused_everywhere(self, adapter: Adapter) -> bool:
        words = [member.word_on(adapter) for member in self.fleet.up]
        return bool(words) and all(word.refused for word in words)

    # The loop

    async def watch(self) -> None:
        """Look again and again, until cancelled. A failed look is logged, never fatal."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    log.exception("a look at the engines and promotions failed; trying again")
                await asyncio.sleep(self._settings.swap_poll_seconds)
        finally:
            for task in self._holding.values():
                task.cancel()

    async def look(self) -> None:
        """One look: how are the engines, what is wanted, what can be decided, what can go?"""
        await self._look_at_engines()
        await self._read()
        self._hold_what_is_wanted()
        for standing in list(self._standings.values()):
            await self._decide(standing)
        if time.monotonic() - self._retired_at > RETIRE_SECONDS:
            self._retired_at = time.monotonic()
            await self._retire()

    async def _look_at_engines(self) -> None:
        await self.fleet.look()
        self._looked_at = time.monotonic()

    async def _read(self) -> None:
        def read() -> dict[str, Standing]:
            with reading(self._database) as session:
                return standings.every(session)

        self._standings = await to_thread.run_sync(read)

    # Phase one: load and verify everywhere

    def _hold_what_is_wanted(self) -> None:
        """Each engine gets what it lacks, one adapter after the other, while traffic goes on."""
        wanted = [each for standing in self._standings.values() for each in standing.wanted]
        for member in self.fleet.up:
            running = self._holding.get(member.name)
            lacks = [
                adapter
                for adapter in wanted
                if not member.holds(adapter) and member.word_on(adapter).refused is None
            ]
            if lacks and (running is None or running.done()):
                self._holding[member.name] = asyncio.create_task(_hold_all(member, lacks))

    # Phase two: flip, or say why not

    async def _decide(self, standing: Standing) -> None:
        request = standing.request
        if request is None:
            return
        refusal = None
        if standing.requested is not None:
            words = [member.word_on(standing.requested) for member in self.fleet.up]
            decided = decide(
                words,
                known=len(self.fleet.members),
                quorum=self._settings.swap_quorum,
                rolls_back=request.rolls_back,
                is_late=now() - request.created_at
                > timedelta(seconds=self._settings.swap_timeout_seconds),
            )
            if decided is None:
                return
            refusal = decided or None

        def store() -> None:
            why = refusal
            if why is None:
                try:
                    with writing(self._database) as session:
                        promotions.carry_out(session, request.id)
                    return
                except (Conflict, Invalid) as error:
                    why = str(error)
            with writing(self._database) as session:
                promotions.refuse(session, request.id, why)

        await to_thread.run_sync(store)
        log.info(
            "assistant=%s request=%s %s", standing.assistant.name, request.id, refusal or "live"
        )
        await self._read()

    # At last: retire

    async def _retire(self) -> None:
        """Unload what nobody wants and no conversation speaks with any more."""
        wanted = {
            adapter.name
            for standing in self._standings.values()
            for adapter in (*standing.wanted, *standing.awaited)
        }
        idle_since = now() - timedelta(seconds=self._settings.swap_retire_seconds)
        loaded = set().union(*(member.listed for member in self.fleet.up)) - wanted

        def find() -> set[str]:
            with reading(self._database) as session:
                return adapters.unspoken_since(session, loaded, idle_since)

        gone = await to_thread.run_sync(find) if loaded else set()
        for member in self.fleet.up:
            for name in member.listed & gone:
                log.info("engine=%s adapter=%s retired", member.name, name)
                with suppress(Unavailable):
                    await member.drop(name)


@asynccontextmanager
async def asking_engines(database: Database, settings: ServiceSettings) -> AsyncIterator[HotSwap]:
    """The fleet for who asks it without serving customers: an exam, a recheck."""
    fleet = Fleet.from_settings(database, settings)
    try:
        yield HotSwap(fleet, database, settings)
    finally:
        await fleet.close()


async def _hold_all(member: Member, lacks: list[Adapter]) -> None:
    for adapter in lacks:
        try:
            await member.hold(adapter)
        except (Invalid, ProbeFailed):
            continue  # recorded, with the reason
        except Unavailable as error:
            member.suspect(str(error))
            return


def decide(
    words: list[Word], known: int, quorum: float, is_late: bool, rolls_back: bool = False
) -> str | None:
    """May it go live? "" for yes, a sentence for no, None while engines have not said.

    `words` are those of the engines that are up, `known` counts the others, too. Enough is the share
    `quorum` of the known, at least one; every engine that is up is heard first, unless it `is_late`.
    A rollback is in a hurry: one engine is enough, and no other is waited for.
    """
    verified = sum(word.verified for word in words)
    needed = 1 if rolls_back else max(1, math.ceil(quorum * known))
    pending = [word for word in words if not word.verified and word.refused is None]
    if verified >= needed and (rolls_back or is_late or not pending):
        return ""
    missing = known - len(words)
    if not is_late and (pending or verified + missing >= needed):
        return None
    refused = [f"{word.engine}: {word.refused}" for word in words if word.refused]
    silent = known - len(words) + len(pending)
    why = refused + ([f"{silent} did not say in time"] if silent else [])
    return (
        f"{verified} of {known} engines were seen to compute it, {needed} are needed. "
        + "; ".join(why)
    )
