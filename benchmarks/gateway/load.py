"""The load: raw connections that ask and time, much faster than any gateway they ask. A process of its own.

Closed loop (`streams` clients, each asking again when answered) or open loop (`per_second` questions at
random moments, however many are still being answered). Reads a JSON object from its only argument, writes
one to its output. An answer counts when its last word and the end of its stream arrived.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

FIRST, LAST, END = b"alpha", b"omega", b"0\r\n\r\n"
EVENT = b"data: "
"""A real engine's words are not known: its first is in the second event, and its last before the last one."""
TURNS = 4
"""Questions per conversation at the customers' door."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that sends a request and waits for its answer."""

    def __init__(self, real: bool) -> None:
        self._real = real

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.first_at and self._has_first():
            self.first_at = time.perf_counter()
        if self._real or (not self.last_at and LAST in self.received[-len(data) - len(LAST) :]):
            self.last_at = time.perf_counter()
        if self.received.endswith(END) or self._is_whole():
            self._done.set_result(None)

    def _has_first(self) -> bool:
        return self.received.count(EVENT) > 1 if self._real else FIRST in self.received

    def _is_whole(self) -> bool:
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or b"content-length:" not in head.lower():
            return False
        return len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("closed before the answer ended"))

    async def ask(self, request: bytes) -> bytes:
        """The raw answer; `asked_at`, `first_at` and `last_at` say when."""
        self.received, self.first_at, self.last_at = bytearray(), 0.0, 0.0
        self._done = self._loop.create_future()
        self.asked_at = time.perf_counter()
        self._transport.write(request)
        await self._done
        return bytes(self.received)


class Customer:
    """Asks one question after the other through one door, over one connection."""

    def __init__(self, spec: dict[str, Any], connection: Connection) -> None:
        self._spec, self._connection = spec, connection
        self._left = 0
        self._conversation = ""

    def _request(self, path: str, body: dict[str, Any], accept: str) -> bytes:
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {self._spec['key']}\r\n"
            f"content-type: application/json\r\naccept: {accept}\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    async def ask(self) -> tuple[float, float, float]:
        """One answer: seconds to its first word, between its words, and in all."""
        answer = await self._connection.ask(await self._question())
        took = time.perf_counter() - self._connection.asked_at
        whole = b"[DONE]" in answer or b"event: answer" in answer
        if not (whole if self._spec["real"] else LAST in answer) or not answer.startswith(
            b"HTTP/1.1 20"
        ):
            raise RuntimeError(f"not an answer: {answer[:2000]!r}")
        first, last = self._connection.first_at, self._connection.last_at
        return first - self._connection.asked_at, (last - first) / 31, took

    async def _question(self) -> bytes:
        text = "May I return a tent that I have used once?"
        if self._spec["door"] == "openai":
            messages = [{"role": "user", "content": text}]
            body = {"model": self._spec["model"], "messages": messages, "stream": True}
            body |= {"max_tokens": 32, "temperature": 0} if self._spec["real"] else {}
            return self._request("/v1/chat/completions", body, "text/event-stream")
        if not self._left:
            begun = await self._connection.ask(self._request("/v1/conversations", {}, "*/*"))
            self._conversation = json.loads(begun.partition(b"\r\n\r\n")[2])["id"]
            self._left = TURNS
        self._left -= 1
        path = f"/v1/conversations/{self._conversation}/messages"
        return self._request(path, {"text": text}, "text/event-stream")


class Load:
    """A run against one gateway."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._idle: list[Customer] = []
        self.asked = 0
        self.taken: list[tuple[float, float, float]] = []
        self.failed: list[str] = []

    async def _customer(self) -> Customer:
        if self._idle:
            return self._idle.pop()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._spec["real"]), "127.0.0.1", self._spec["port"]
        )
        return Customer(self._spec, connection)

    async def _one(self, keep: Callable[[], bool]) -> None:
        customer = await self._customer()
        try:
            taken = await customer.ask()
        except (RuntimeError, ConnectionError) as error:
            self.failed.append(str(error))
            return
        self._idle.append(customer)
        self.asked += 1
        if keep():
            self.taken.append(taken)

    async def run(self) -> dict[str, Any]:
        """Ask once (whoever is slow to wake is not measured waking), warm up for a while, then count."""
        await self._one(lambda: False)
        begin = time.perf_counter() + self._spec["warm_seconds"]
        end = begin + self._spec["seconds"]
        if rate := self._spec.get("per_second"):
            await self._open(rate, begin, end)
        else:
            await asyncio.gather(*(self._closed(begin, end) for _ in range(self._spec["streams"])))
        counts = {"asked": self.asked, "answers": len(self.taken), "failed": self.failed[:3]}
        return {**counts, **self._figures()}

    async def _closed(self, begin: float, end: float) -> None:
        while time.perf_counter() < end and not self.failed:
            await self._one(lambda: begin <= time.perf_counter() < end)

    async def _open(self, rate: float, begin: float, end: float) -> None:
        chance, asked = random.Random(4), set()
        at = time.perf_counter()
        while (at := at + chance.expovariate(rate)) < end:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            task = asyncio.create_task(self._one(lambda: time.perf_counter() > begin))
            asked.add(task)
            task.add_done_callback(asked.discard)
        await asyncio.gather(*asked)

    def _figures(self) -> dict[str, float]:
        if not self.taken:
            return {}
        first, between, took = (sorted(column) for column in zip(*self.taken, strict=True))
        return {
            "answers_per_second": round(len(self.taken) / self._spec["seconds"], 1),
            "first_ms_p50": _at(first, 0.5),
            "first_ms_p99": _at(first, 0.99),
            "between_ms_p50": _at(between, 0.5),
            "between_ms_p99": _at(between, 0.99),
            "whole_ms_p50": _at(took, 0.5),
        }


def _at(values: list[float], share: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(Load(json.loads(sys.argv[1])).run())))
