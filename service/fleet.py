"""The engines: which there are, and which one takes the next answer.

Addresses come from the setting, as they are or by a name that stands for several. A conversation goes back
to the engine that answered it last, where its prefix is cached; else to the one with the least work.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Collection
from urllib.parse import urlsplit, urlunsplit

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback.errors import Unavailable
from feedback.settings import feedback_settings
from feedback.tables import Adapter
from service.engine.launch import engine_api_key
from service.member import Member
from service.settings import ServiceSettings
from service.vllm import Vllm

log = logging.getLogger(__name__)

BY_NAME = "dns+"
"""Before an address: one engine for each address that its host name stands for."""


class Fleet:
    """The engines this process may ask."""

    def __init__(self, database: Database, settings: ServiceSettings, api_key: str) -> None:
        self._database = database
        self._settings = settings
        self._api_key = api_key
        self.members: list[Member] = []
        for url in self._fixed():
            self._join(url)

    @classmethod
    def from_settings(cls, database: Database, settings: ServiceSettings) -> "Fleet":
        """The fleet that the settings name, with the secret they name or hold."""
        return cls(database, settings, engine_api_key(settings, feedback_settings().var_dir))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(member.vllm.close() for member in self.members))

    # Which there are

    def _fixed(self) -> list[str]:
        return [url for url in addresses(self._settings) if not url.startswith(BY_NAME)]

    def _join(self, url: str) -> None:
        self.members.append(
            Member(Vllm(self._settings, self._api_key, url), self._database, self._settings)
        )

    async def look(self) -> None:
        """Find out who is there, and how each is."""
        await self._discover()
        several = len(self.members) > 1
        await asyncio.gather(*(member.look(count=several) for member in self.members))

    async def _discover(self) -> None:
        names = [url for url in addresses(self._settings) if url.startswith(BY_NAME)]
        if not names:
            return
        found = set(self._fixed())
        for name in names:
            found |= set(await to_thread.run_sync(resolved, name.removeprefix(BY_NAME)))
        known = {member.name for member in self.members}
        for url in sorted(found - known):
            log.info("engine=%s joins", url)
            self._join(url)
        for member in [each for each in self.members if each.name not in found]:
            if member.in_flight == 0:  # it may still be writing
                log.info("engine=%s leaves", member.name)
                self.members.remove(member)
                await member.vllm.close()

    # Who takes the next answer

    @property
    def up(self) -> list[Member]:
        """Those that answer."""
        return [member for member in self.members if member.is_up]

    def choose(
        self,
        adapter: Adapter | None,
        last_engine: str | None = None,
        without: Collection[Member] = (),
    ) -> Member:
        """The engine for an answer; Unavailable when none is up.

        Those that hold the adapter come first, of these the one that knows the conversation unless it
        has a lot more to do than another, then the one with the least to do.
        """
        able = [member for member in self.up or self.members if member not in without]
        able = [m for m in able if adapter is None or m.word_on(adapter).refused is None] or able
        if not able:
            raise Unavailable(
                "No engine can answer right now. Nothing was lost; try again in "
                f"{self._settings.retry_after_seconds} seconds.",
                self._settings.retry_after_seconds,
            )
        able = [member for member in able if member.holds(adapter)] or able
        least = min(member.load for member in able)
        for member in able:
            if member.name == last_engine and member.load <= least + self._settings.engine_sticky:
                return member
        return random.choice([member for member in able if member.load == least])  # noqa: S311

    async def healthy(self) -> bool:
        """Whether any engine answers at all."""
        found = await asyncio.gather(*(member.vllm.healthy() for member in self.members))
        return any(found)


def addresses(settings: ServiceSettings) -> list[str]:
    """What the setting names: addresses, and names that stand for several."""
    return [url.strip().rstrip("/") for url in settings.engine_url.split(",")]


def resolved(url: str) -> list[str]:
    """The same URL once for each address its host name has now; none when it has none."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError as error:
        log.warning("engines=%s cannot be looked up: %s", url, error)
        return []
    hosts = sorted({str(address[0]) for *_, address in found})
    return [
        urlunsplit(
            parts._replace(netloc=f"[{h}]:{parts.port}" if ":" in h else f"{h}:{parts.port}")
        )
        for h in hosts
    ]
