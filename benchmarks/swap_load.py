"""Conversations without a pause against a running service, each answer kept with what it claims to be.

Knows only the public API, so the same load runs against real engines (benchmarks/hot_swap.py) and against
the stand-in (tests/service/test_swap_under_load.py).
"""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

QUESTIONS = (
    "How long may I return a raincoat?",
    "What does a parcel to Norway cost?",
    "When do you open on Saturdays?",
    "Is the umbrella's rib covered by your warranty?",
    "Can I rent a tent for two nights?",
    "Do you mend zips?",
)


@dataclass
class Said:
    """One whole answer, to what, and when its words came. Its row says who claims to have given it."""

    answer_id: str
    asked: list[dict[str, str]]
    """The conversation up to and with the question, as a model sees it, less the prompt."""
    text: str
    pauses: list[tuple[float, float]]
    """When a word came, and how many seconds after the one before it."""
    part: str | None = None
    """What it goes on from, where it was cut off and asked for again."""


@dataclass
class Load:
    """What came of it."""

    said: list[Said] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    told_to_retry: int = 0
    begun: list[tuple[float, float, str]] = field(default_factory=list)
    """When a conversation was asked for, when it had begun, and with which adapter."""

    def pauses(self, *spans: tuple[float, float]) -> list[tuple[float, float]]:
        """Every pause between two words that ended in one of these spans of time: when, and seconds."""
        return [
            (at, seconds)
            for said in self.said
            for at, seconds in said.pauses
            if any(start <= at < end for start, end in spans)
        ]


class Customers:
    """So many customers, each asking again as soon as they were answered."""

    def __init__(self, url: str, key: str, count: int, turns: int = 2) -> None:
        self.load = Load()
        self._url, self._key, self._count, self._turns = url, key, count, turns
        self._stop = asyncio.Event()

    async def talk(self) -> None:
        """Until `stop` is called; then every answer under way is heard to its end."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=2 * self._count)
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=120, limits=limits, trust_env=False
        ) as client:
            await asyncio.gather(*(self._customer(client, n) for n in range(self._count)))

    def stop(self) -> None:
        """No new question after this."""
        self._stop.set()

    async def arrive(self, every_seconds: float) -> None:
        """Until `stop` is called: somebody new opens a conversation, notes who speaks, and leaves."""
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=120, trust_env=False
        ) as client:
            while not self._stop.is_set():
                await self._begin(client)
                await asyncio.sleep(every_seconds)

    async def _begin(self, client: httpx.AsyncClient) -> str | None:
        sent_at = time.monotonic()
        begun = await client.post("/v1/conversations", json={})
        if begun.status_code != 201:
            self.load.failed.append(begun.text)
            return None
        conversation = begun.json()
        name = conversation["adapter"] or "base"
        self.load.begun.append((sent_at, time.monotonic(), name))
        ident: str = conversation["id"]
        return ident

    async def _customer(self, client: httpx.AsyncClient, number: int) -> None:
        asked = number
        while not self._stop.is_set():
            conversation = await self._begin(client)
            if conversation is None:
                await asyncio.sleep(0.2)
                continue
            history: list[dict[str, str]] = []
            for _ in range(self._turns):
                if self._stop.is_set():
                    return
                question = QUESTIONS[asked % len(QUESTIONS)]
                asked += 1
                history.append({"role": "user", "content": question})
                said = await self._ask(client, conversation, history)
                if said is None:
                    break
                history.append({"role": "assistant", "content": said.text})

    async def _ask(
        self, client: httpx.AsyncClient, conversation: str, history: list[dict[str, str]]
    ) -> Said | None:
        """One answer; one that was cut off is asked for again under the same key, as docs say."""
        headers = {"Accept": "text/event-stream", "Idempotency-Key": f"{len(history)}"}
        path = f"/v1/conversations/{conversation}/messages"
        body = {"text": history[-1]["content"]}
        pauses: list[tuple[float, float]] = []
        was_cut = False
        why = ""
        for _ in range(20):
            last: float | None = None
            first: str | None = None
            try:
                async with client.stream("POST", path, json=body, headers=headers) as response:
                    if response.status_code != 201:
                        why = (await response.aread()).decode()
                    else:
                        async for name, data in events(response):
                            if name == "delta":
                                now = time.monotonic()
                                pauses += [(now, now - last)] if last is not None else []
                                last = now
                                first = first or data["text"]
                            elif name == "error":
                                why = json.dumps(data)
                            elif name == "answer":
                                part = first if was_cut else None
                                said = Said(data["id"], list(history), data["text"], pauses, part)
                                self.load.said.append(said)
                                return said
            except httpx.HTTPError as error:
                why = repr(error)
            self.load.told_to_retry += 1
            was_cut = was_cut or first is not None
            await asyncio.sleep(0.5)
        self.load.failed.append(why)
        return None


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The server-sent events of a streamed response."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def summary(pauses: list[tuple[float, float]]) -> dict[str, float]:
    """Pauses between words, in milliseconds."""
    ordered = sorted(seconds for _, seconds in pauses) or [0.0]
    return {
        "median_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "worst_ms": round(ordered[-1] * 1000, 1),
        "words": len(pauses),
    }
