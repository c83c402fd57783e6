"""A client of one vLLM server: chat, scoring, and the LoRA routes. The only file that speaks to vLLM.

Names of models are the registry's; nothing a customer sends reaches a path or a model field.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from feedback.errors import Invalid, NotFound, Unavailable
from feedback.transcript import ModelMessages
from service.settings import ServiceSettings

BOOT_HEADER = "x-engine-boot"
RUNNING = re.compile(
    r"^vllm:num_requests_(?:running|waiting)(?:{[^}]*})? ([0-9.e+]+)$", re.MULTILINE
)
BASE = "base"
"""What vLLM calls the base model (its --served-model-name)."""

IDLE_SECONDS = 4.0
"""How long an idle connection is kept: less than the 5 s after which vLLM's server closes its end, so that
no question is written into a connection that is just being closed."""


class Vllm:
    """One engine, reached over HTTP. Keep one per process and close it."""

    def __init__(self, settings: ServiceSettings, api_key: str, url: str | None = None) -> None:
        self.name = url or settings.engine_url
        self.boot = ""
        """Which run of the engine answered last, as our own guard says; empty: it does not say."""
        self._retry_after_seconds = settings.retry_after_seconds
        self._url = self.name.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        # Silence is limited, an answer's length is not.
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=settings.connect_timeout_seconds,
            sock_read=settings.stall_timeout_seconds,
        )
        self._session: aiohttp.ClientSession | None = None

    @property
    def _http(self) -> aiohttp.ClientSession:
        """The connections; made at the first request, as they belong to the loop that runs then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                headers=self._headers,
                timeout=self._timeout,
                json_serialize=_json,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def healthy(self) -> bool:
        """Whether the engine answers at all."""
        try:
            limit = aiohttp.ClientTimeout(total=2.0)
            async with self._http.get(f"{self._url}/health", timeout=limit) as response:
                return response.status == HTTPStatus.OK
        except _FAILURES:
            return False

    async def running(self) -> int:
        """How many answers the engine computes or has waiting, for whomever; 0 where it does not say."""
        try:
            limit = aiohttp.ClientTimeout(total=2.0)
            async with self._http.get(f"{self._url}/metrics", timeout=limit) as response:
                counted = RUNNING.findall(await response.text()) if response.ok else []
        except _FAILURES:
            return 0
        return round(sum(map(float, counted)))

    async def names(self) -> set[str]:
        """The models the engine lists: the base and every loaded adapter."""
        listed = await self._get("/v1/models")
        return {model["id"] for model in listed["data"]}

    async def load(self, name: str, folder: Path) -> None:
        """Load an adapter under its immutable name; loaded already is fine."""
        body = {"lora_name": name, "lora_path": str(folder)}
        try:
            await self._post("/v1/load_lora_adapter", body)
        except NotFound as error:  # its folder, or the route itself: not an unknown adapter
            raise Invalid(str(error)) from None
        except Invalid as error:
            if "already been loaded" not in str(error):
                raise

    async def unload(self, name: str) -> None:
        """Forget an adapter's name; unknown is fine."""
        try:
            await self._post("/v1/unload_lora_adapter", {"lora_name": name})
        except (NotFound, Invalid):
            return

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Stream a chat completion: its chunks as vLLM sends them, usage in the last.

        Closing the iterator closes the connection, and vLLM stops computing.
        """
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self._http.post(f"{self._url}/v1/chat/completions", json=body) as response:
                await self._accepted(response)
                async for event in _events(response):
                    chunk: dict[str, Any] = msgspec.json.decode(event)
                    if "error" in chunk:
                        raise self.unavailable(str(chunk["error"].get("message", chunk["error"])))
                    yield chunk
        except _FAILURES as error:
            raise self.unavailable(_reason(error)) from error

    async def choose(self, model: str, messages: ModelMessages, choices: Sequence[str]) -> str:
        """Which of the choices `model` writes, greedily, as it can write nothing else.

        Raises Unavailable when the engine is down, NotFound when it does not hold the adapter, Invalid
        when it refuses (no choices, a prompt too long) or does not keep to the choices.
        """
        body = {
            "model": model,
            "messages": messages,
            "temperature": 0.0,
            # A token is a byte at least: enough for the longest of them and its end.
            "max_tokens": 1 + max((len(choice.encode()) for choice in choices), default=0),
            "structured_outputs": {"choice": list(choices)},
        }
        [answer] = (await self._post("/v1/chat/completions", body))["choices"]
        said: str = answer["message"]["content"] or ""
        if said not in choices:
            raise Invalid(
                f"The engine wrote something other than one of the {len(choices)} choices. "
                "Is it a vLLM with structured outputs?"
            )
        return said

    async def prompt_tokens(self, messages: ModelMessages) -> list[int]:
        """The token ids of a prompt, up to where the answer begins."""
        body = {"model": BASE, "messages": messages, "add_generation_prompt": True}
        tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        return tokens

    async def text_tokens(self, text: str) -> list[int]:
        """The token ids of a plain text, without special tokens."""
        body = {"model": BASE, "prompt": text, "add_special_tokens": False}
        tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        return tokens

    async def logprobs(self, model: str, prompt: list[int], answer: list[int]) -> list[float]:
        """How likely `model` finds each token of an answer: natural logarithms, one per token."""
        body = {
            "model": model,
            "prompt": prompt + answer,
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": 0,
        }
        choice = (await self._post("/v1/completions", body))["choices"][0]
        rows: list[dict[str, Any]] = choice["prompt_logprobs"][len(prompt) :]
        return [float(row[str(token)]["logprob"]) for row, token in zip(rows, answer, strict=True)]

    async def _get(self, path: str) -> Any:
        return await self._whole("GET", path)

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        return await self._whole("POST", path, json=body)

    async def _whole(self, method: str, path: str, **what: Any) -> Any:
        try:
            async with self._http.request(method, self._url + path, **what) as response:
                await self._accepted(response)
                is_json = response.content_type == "application/json"
                return (
                    msgspec.json.decode(await response.read()) if is_json else await response.text()
                )
        except _FAILURES as error:
            raise self.unavailable(_reason(error)) from error

    async def _accepted(self, response: aiohttp.ClientResponse) -> None:
        """Note which run of the engine this is, and raise what it says is wrong."""
        self.boot = response.headers.get(BOOT_HEADER, "")
        if response.ok:
            return
        said = _error_text(await response.text())
        if response.status == HTTPStatus.NOT_FOUND:
            raise NotFound(f"The engine says: {said}")
        if response.status < 500 and response.status not in (401, 403, 429):
            raise Invalid(f"The engine says: {said}")
        raise self.unavailable(f"status {response.status}: {said}")

    def unavailable(self, reason: str) -> Unavailable:
        """The error for an engine that cannot answer now."""
        return Unavailable(
            f"The engine cannot answer right now ({reason}). Nothing was lost; try again in "
            f"{self._retry_after_seconds} seconds.",
            self._retry_after_seconds,
        )


_FAILURES = (aiohttp.ClientError, TimeoutError)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _events(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """The data of each server-sent event. All that have arrived come without waiting in between."""
    rest = b""
    async for arrived in response.content.iter_any():
        *whole, rest = (rest + arrived).split(b"\n")
        for line in whole:
            if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                yield line[6:]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _error_text(said: str) -> str:
    try:
        body = msgspec.json.decode(said)
    except msgspec.DecodeError:
        return said[:500]
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
