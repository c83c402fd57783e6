"""An engine without a process: the methods of Vllm, answering as a test says."""

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import NotFound, Unavailable
from feedback.transcript import ModelMessages
from service.vllm import Vllm
from tests.stand_in_engine import BASE, logprob, tokens_of, weights_in


class FakeEngine(Vllm):
    """`says` maps a model's name to what it answers to a question (default: an echo)."""

    def __init__(self) -> None:
        self.name = "fake"
        self.boot = ""
        self._retry_after_seconds = 1
        self.says: dict[str, Callable[[str], str]] = {}
        self.weights: dict[str, str] = {BASE: BASE}
        self.asked: list[dict[str, Any]] = []
        self.down = False
        self.on_chat: Callable[[int], None] = _quiet
        """Called with the number of each question, from 1; it may change or raise anything."""
        self.finish_reason: str | None = "stop"
        self.chooses: Callable[[str, Sequence[str]], str] = _first
        """Given the last message and the choices; which of them it writes."""

    def restart(self) -> None:
        """What a new process knows: nothing."""
        self.weights = {BASE: BASE}

    async def healthy(self) -> bool:
        return not self.down

    async def running(self) -> int:
        return 0

    async def names(self) -> set[str]:
        if self.down:
            raise Unavailable("The engine is down, says the fake.", 1)
        return set(self.weights)

    async def load(self, name: str, folder: Path) -> None:
        self._check(BASE)
        self.weights[name] = weights_in(folder)

    async def unload(self, name: str) -> None:
        self.weights.pop(name, None)

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        self.asked.append(body)
        self.on_chat(len(self.asked))
        self._check(body["model"])
        question = body["messages"][-1]["content"]
        text = self.says.get(body["model"], _echo)(question)
        yield {"choices": [{"delta": {"content": text}, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": self.finish_reason}]}
        yield {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": len(text.split())}}

    async def choose(self, model: str, messages: ModelMessages, choices: Sequence[str]) -> str:
        self._check(model)
        return self.chooses(messages[-1]["content"], choices)

    async def prompt_tokens(self, messages: ModelMessages) -> list[int]:
        self._check(BASE)
        return tokens_of(" ".join(message["content"] for message in messages))

    async def text_tokens(self, text: str) -> list[int]:
        self._check(BASE)
        return tokens_of(text)

    async def logprobs(self, model: str, prompt: list[int], answer: list[int]) -> list[float]:
        self._check(model)
        return [logprob(self.weights[model], token) for token in answer]

    def _check(self, model: Any) -> None:
        if self.down:
            raise Unavailable("The engine is down, says the fake.", 1)
        if model not in self.weights:
            raise NotFound(f"The engine says: the model {model!r} does not exist.")


def _quiet(number: int) -> None:
    """Nothing happens."""


def _echo(question: str) -> str:
    return f"You said: {question}"


def _first(question: str, choices: Sequence[str]) -> str:
    return choices[0]
