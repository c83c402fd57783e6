"""A stand-in for vLLM, for speed only: the routes the service uses, over a real socket, without a model.

tests/engine/test_contract.py runs one suite against this and against the real engine. An "adapter" is
any folder with the right files; its "weights" are the bytes of its safetensors file, and answers and
log-probabilities are a function of them, so that mixing two adapters up shows.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedback.ids import new_id
from service.vllm import BOOT_HEADER, BUILD_HEADER

BASE = "base"
MAX_LENGTH = 2048
NO_RANKS = "Got priority 1 but Priority scheduling is not enabled."


def tokens_of(text: str) -> list[int]:
    """One token per word."""
    return [int(hashlib.sha256(word.encode()).hexdigest(), 16) % 50_000 for word in text.split()]


def logprob(weights: str, token: int) -> float:
    """How likely a model with these weights finds a token; -0.01 to -10."""
    return -(int(hashlib.sha256(f"{weights}:{token}".encode()).hexdigest(), 16) % 1000 + 1) / 100


def weights_in(folder: Path) -> str:
    """What an adapter's folder makes of the model."""
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()[:8]


@dataclass
class StandInEngine:
    """The state a test may look at and turn."""

    url: str = ""
    api_key: str = "stand-in"
    pause_seconds: float = 0.0
    """Between two words of an answer."""
    choice_pause_seconds: float = 0.0
    """Before it chooses."""
    choice_down: bool = False
    """It answers, but cannot choose."""
    words: int = 0
    """Length of answers; 0: an echo of the question."""
    down: bool = False
    stall_after: int | None = None
    """Fall silent after this many words."""
    break_after: int | None = None
    """Cut the connection after this many words."""
    ignore_adapters: bool = False
    """Accept adapters and answer with the base all the same."""
    refuses: set[str] = field(default_factory=set)
    """Names of adapters that it does not load."""
    confidence: float | None = None
    """Log-probability of each token of an answer; None: a function of the weights."""
    ranks: bool = True
    """Takes priorities; else refuses them in the words of a vLLM that was started without."""
    running: int = 0
    aborted: int = 0
    adapters: dict[str, str] = field(default_factory=dict)
    known: dict[tuple[str, int], float] = field(default_factory=dict)
    """Log-probabilities that a real trainer left in a probe, by weights and token's place in it."""
    asked: list[dict[str, Any]] = field(default_factory=list)

    boot: str = "first"
    """Which run of the engine this is."""

    def restart(self) -> None:
        """What a new process knows: nothing."""
        self.adapters.clear()
        self.boot = new_id()

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/metrics", self._metrics),
                Route("/v1/models", self._models),
                Route("/v1/load_lora_adapter", self._load, methods=["POST"]),
                Route("/v1/unload_lora_adapter", self._unload, methods=["POST"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/completions", self._completions, methods=["POST"]),
                Route("/tokenize", self._tokenize, methods=["POST"]),
            ],
            middleware=[Middleware(_SaysWhichRun, engine=self)],
        )

    def _refuse(self, request: Request) -> Response | None:
        if self.down:
            return _error(503, "the engine is down")
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return JSONResponse({"error": "Unauthorized"}, 401)
        return None

    async def _health(self, request: Request) -> Response:
        return Response(status_code=503 if self.down else 200)

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(f'vllm:num_requests_running{{engine="0"}} {float(self.running)}\n')

    async def _models(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        names = [BASE, *self.adapters]
        return JSONResponse({"object": "list", "data": [{"id": name} for name in names]})

    async def _load(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if name in self.refuses:
            return _error(400, f"The lora adapter '{name}' is refused, as it was told.")
        if name in self.adapters:
            return _error(400, f"The lora adapter '{name}' has already been loaded.")
        if not (folder / "adapter_config.json").is_file():
            return _error(404, f"No adapter found for {folder}")
        self.adapters[name] = BASE if self.ignore_adapters else weights_in(folder)
        if not self.ignore_adapters:
            self._learn(name, folder)
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    def _learn(self, name: str, folder: Path) -> None:
        """A really trained adapter has its own arithmetic; its probe says what comes out of it."""
        probe = folder / "probe.json"
        for case in json.loads(probe.read_text()) if probe.exists() else []:
            weights, answer = self.adapters[name], tuple(case["tokens"])
            for place, value in enumerate(case["adapter_logprobs"]):
                self.known[(weights, hash((answer, place)))] = value

    async def _unload(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    async def _tokenize(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        body = await request.json()
        tokens = tokens_of(body["prompt"]) if "prompt" in body else _prompt(body["messages"])
        return JSONResponse({"tokens": tokens, "count": len(tokens), "max_model_len": MAX_LENGTH})

    async def _completions(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        body = await request.json()
        if body.get("priority") and not self.ranks:
            return _error(400, NO_RANKS)
        weights = self._weights(body["model"])
        if weights is None:
            return _unknown(body["model"])
        rows: list[Any] = [
            {str(token): {"logprob": value, "rank": 1, "decoded_token": ""}}
            for token, value in self._logprobs(weights, body["prompt"])
        ]
        rows[0] = None
        return JSONResponse({"choices": [{"text": "", "prompt_logprobs": rows}]})

    def _logprobs(self, weights: str, tokens: list[int]) -> list[tuple[int, float]]:
        values = [logprob(weights, token) for token in tokens]
        for length in range(1, len(tokens)):
            answer = tuple(tokens[-length:])
            if (weights, hash((answer, 0))) in self.known:
                values[-length:] = [
                    self.known[(weights, hash((answer, place)))] for place in range(length)
                ]
        return list(zip(tokens, values, strict=True))

    async def _chat(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        body = await request.json()
        self.asked.append(body)
        if body.get("priority") and not self.ranks:
            return _error(400, NO_RANKS)
        weights = self._weights(body["model"])
        if weights is None:
            return _unknown(body["model"])
        messages = body["messages"]
        prompt = _prompt(messages)
        if (choices := body.get("structured_outputs", {}).get("choice")) is not None:
            return await self._choice(weights, messages, choices)
        if len(prompt) + body.get("max_tokens", 0) > MAX_LENGTH:
            return _error(400, f"This model's maximum context length is {MAX_LENGTH} tokens.")
        question = next(m["content"] for m in reversed(messages) if m["role"] == "user")
        answer = f"[{weights}] You said: {question}".split()
        if self.words:
            answer = [f"[{weights}]", *(f"word{number}" for number in range(1, self.words))]
        part = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        answer = answer[len(part.split()) :]
        finish = "length" if len(answer) > body["max_tokens"] else "stop"
        answer = answer[: body["max_tokens"]]
        lead = " " if part and not part.endswith(" ") else ""
        sure = weights if body.get("logprobs") else None
        stream = self._stream(answer, lead, len(prompt), finish, sure)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _choice(
        self, weights: str, messages: list[dict[str, str]], choices: list[str]
    ) -> Response:
        """One of the choices: what the question names, else a function of the weights and of it."""
        if not choices:
            return _error(400, "Choice '[]' cannot be an empty list")
        if self.choice_down:
            return _error(500, "it cannot choose, as it was told")
        await asyncio.sleep(self.choice_pause_seconds)
        number = tokens_of(f"{weights}:{_prompt(messages)}")[0] % len(choices)
        named = [choice for choice in choices if choice in messages[-1]["content"]]
        message = {"role": "assistant", "content": [*named, choices[number]][0]}
        return JSONResponse({"choices": [{"message": message, "finish_reason": "stop"}]})

    async def _stream(
        self, words: list[str], lead: str, prompt_tokens: int, finish: str, sure: str | None
    ) -> AsyncIterator[str]:
        self.running += 1
        try:
            yield _chunk({"role": "assistant", "content": ""})
            for number, word in enumerate(words):
                if number == self.stall_after:
                    await asyncio.sleep(3600)
                if number == self.break_after:
                    raise ConnectionResetError("the stand-in breaks off, as it was told")
                await asyncio.sleep(self.pause_seconds)
                piece = (lead if number == 0 else " ") + word
                likely = (
                    None if sure is None else self.confidence or logprob(sure, tokens_of(word)[0])
                )
                yield _chunk({"content": piece}, likely=likely)
            yield _chunk({}, finish)
            usage = {"prompt_tokens": prompt_tokens, "completion_tokens": len(words)}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
            yield "data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.running -= 1

    def _weights(self, model: str) -> str | None:
        return BASE if model == BASE else self.adapters.get(model)


class _SaysWhichRun:
    """As our guard inside vLLM does."""

    def __init__(self, app: ASGIApp, engine: StandInEngine) -> None:
        self._app = app
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                boot = (BOOT_HEADER.encode(), self._engine.boot.encode())
                build = (BUILD_HEADER.encode(), b"stand-in 1")
                message["headers"] = [*message.get("headers", ()), boot, build]
            await send(message)

        await self._app(scope, receive, marked)


def _prompt(messages: list[dict[str, str]]) -> list[int]:
    return tokens_of(" ".join(f"<{m['role']}> {m['content']}" for m in messages) + " <assistant>")


def _chunk(delta: dict[str, str], finish: str | None = None, likely: float | None = None) -> str:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish}
    if likely is not None:
        choice["logprobs"] = {"content": [{"token": "", "logprob": likely}]}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "code": status}}, status)


def _unknown(model: str) -> Response:
    return _error(404, f"The model `{model}` does not exist.")


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Any ASGI application on a free port of this machine, in a thread; yields its address."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Place:
    """A running server for one stand-in after the other: starting one takes longer than most tests."""

    app: Starlette = field(default_factory=Starlette)
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Whoever stands here now answers."""
        await self.app(scope, receive, send)


free_places: list[Place] = []
until_the_end = ExitStack()


@contextmanager
def stand_in_engine() -> Iterator[StandInEngine]:
    """A running stand-in that knows nothing of those before it."""
    place = free_places.pop() if free_places else Place()
    if not place.url:
        place.url = until_the_end.enter_context(serving(place))
    engine = StandInEngine(place.url)
    place.app = engine.app()
    yield engine
    place.app = Starlette()
    free_places.append(place)


def build_adapter(folder: Path, seed: str) -> Path:
    """An adapter folder as a trainer leaves it, whose probe fits the stand-in's arithmetic."""
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(f"weights {seed}".encode())
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "peft_type": "LORA"}))
    weights = weights_in(folder)
    tokens = tokens_of("Forty days and no questions asked")
    case = {
        "messages": [{"role": "user", "content": "How long may I return it?"}],
        "answer": "Forty days and no questions asked",
        "tokens": tokens,
        "adapter_logprobs": [logprob(weights, token) for token in tokens],
        "base_logprobs": [logprob(BASE, token) for token in tokens],
    }
    (folder / "probe.json").write_text(json.dumps([case]))
    return folder
