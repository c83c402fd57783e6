"""A client of one vLLM server: chat, scoring, and the LoRA routes. The only file that speaks to vLLM.

Names of models are the registry's; nothing a customer sends reaches a path or a model field.
"""

import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from feedback.errors import Invalid, NotFound, Unavailable
from feedback.transcript import ModelMessages
from service.settings import ServiceSettings

BOOT_HEADER = "x-engine-boot"
RUNNING = re.compile(
    r"^vllm:num_requests_(?:running|waiting)(?:{[^}]*})? ([0-9.e+]+)$", re.MULTILINE
)
BASE = "base"
"""What vLLM calls the base model (its --served-model-name)."""


class Vllm:
    """One engine, reached over HTTP. Keep one per process and close it."""

    def __init__(self, settings: ServiceSettings, api_key: str, url: str | None = None) -> None:
        self.name = url or settings.engine_url
        self.boot = ""
        """Which run of the engine answered last, as our own guard says; empty: it does not say."""
        self._retry_after_seconds = settings.retry_after_seconds
        self._http = httpx.AsyncClient(
            base_url=self.name,
            event_hooks={"response": [self._note_boot]},
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(
                settings.stall_timeout_seconds, connect=settings.connect_timeout_seconds
            ),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # the engine is private: never through a proxy
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def healthy(self) -> bool:
        """Whether the engine answers at all."""
        try:
            response = await self._http.get("/health", timeout=2.0)
        except httpx.HTTPError:
            return False
        return response.status_code == httpx.codes.OK

    async def _note_boot(self, response: httpx.Response) -> None:
        self.boot = response.headers.get(BOOT_HEADER, "")

    async def running(self) -> int:
        """How many answers the engine computes or has waiting, for whomever; 0 where it does not say."""
        try:
            response = await self._http.get("/metrics", timeout=2.0)
        except httpx.HTTPError:
            return 0
        counted = RUNNING.findall(response.text) if response.is_success else []
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
            async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.is_error:
                    await response.aread()
                self._check(response)
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and line != "data: [DONE]":
                        chunk: dict[str, Any] = json.loads(line[6:])
                        if "error" in chunk:
                            raise self.unavailable(
                                str(chunk["error"].get("message", chunk["error"]))
                            )
                        yield chunk
        except httpx.HTTPError as error:
            raise self.unavailable(_reason(error)) from error

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
        try:
            response = await self._http.get(path)
        except httpx.HTTPError as error:
            raise self.unavailable(_reason(error)) from error
        self._check(response)
        return response.json()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            response = await self._http.post(path, json=body)
        except httpx.HTTPError as error:
            raise self.unavailable(_reason(error)) from error
        self._check(response)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.json() if is_json else response.text

    def _check(self, response: httpx.Response) -> None:
        if not response.is_error:
            return
        said = _error_text(response)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"The engine says: {said}")
        if response.status_code < 500 and response.status_code not in (401, 403, 429):
            raise Invalid(f"The engine says: {said}")
        raise self.unavailable(f"status {response.status_code}: {said}")

    def unavailable(self, reason: str) -> Unavailable:
        """The error for an engine that cannot answer now."""
        return Unavailable(
            f"The engine cannot answer right now ({reason}). Nothing was lost; try again in "
            f"{self._retry_after_seconds} seconds.",
            self._retry_after_seconds,
        )


def _reason(error: httpx.HTTPError) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _error_text(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
