"""How an answer is made: the very function customers reach, and the exam grades.

It knows neither the database nor HTTP doors: messages in, text and measurements out.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from feedback.assistants import Sampling
from feedback.errors import Invalid
from feedback.transcript import ModelMessages
from service.vllm import BASE, Urgency, Vllm, ranked

WHOLE = ("stop", "length")
"""Finish reasons of an answer that ended by itself; vLLM says "abort" when it is shut down."""


class Answer:
    """One answer on its way. Iterate `pieces()`; the other fields fill as it goes.

    Another engine may be asked as long as the last one said nothing.
    """

    def __init__(
        self,
        messages: ModelMessages,
        sampling: Sampling,
        adapter_name: str | None,
        part: str = "",
        urgency: Urgency = Urgency.NOW,
    ) -> None:
        """`part` is the beginning of an answer that was cut off; the model goes on from there."""
        self._messages = messages
        self._sampling = sampling
        self._model = adapter_name or BASE
        self._part = part
        self._urgency = urgency
        self.text = part
        self.engine: str | None = None
        self.finish_reason: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.time_to_first_token_ms: int | None = None
        self.latency_ms: int | None = None
        self._logprobs: list[float] = []

    def speak_with(self, adapter_name: str | None) -> None:
        """This adapter (None: the base model) makes it; to be said before it has begun."""
        self._model = adapter_name or BASE

    @property
    def mean_logprob(self) -> float | None:
        """How sure the model was: mean log-probability of its own tokens, in nats; None before any."""
        return sum(self._logprobs) / len(self._logprobs) if self._logprobs else None

    def measured(self) -> dict[str, Any]:
        """What is kept of how it was made: the columns of its row, as far as they are known."""
        return {
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "time_to_first_token_ms": self.time_to_first_token_ms,
            "latency_ms": self.latency_ms,
            "mean_logprob": self.mean_logprob,
            "engine": self.engine,
        }

    @property
    def has_begun(self) -> bool:
        """Whether an engine has said anything: from then on nobody else may go on with it."""
        return self.time_to_first_token_ms is not None

    async def pieces(self, engine: Vllm) -> AsyncGenerator[str]:
        """The answer's text, piece by piece, as the engine writes it.

        Raises Unavailable when the engine is down or falls silent, NotFound when it does not hold
        the adapter, Invalid when it refuses the prompt (too long, say).
        """
        started = time.perf_counter()
        self.engine = engine.name
        written = len(await engine.text_tokens(self._part)) if self._part else 0
        if written >= self._sampling.max_tokens:
            self.finish_reason, self.completion_tokens = "length", written
            return
        async with aclosing(engine.chat(self._body(written))) as chunks:
            async for chunk in chunks:
                if usage := chunk.get("usage"):
                    self.prompt_tokens = usage["prompt_tokens"]
                    self.completion_tokens = written + usage["completion_tokens"]
                for choice in chunk["choices"]:
                    self.finish_reason = choice.get("finish_reason") or self.finish_reason
                    said = (choice.get("logprobs") or {}).get("content") or []
                    self._logprobs += [token["logprob"] for token in said]
                    if piece := choice["delta"].get("content"):
                        if self.time_to_first_token_ms is None:
                            self.time_to_first_token_ms = _ms_since(started)
                        self.text += piece
                        self.latency_ms = _ms_since(started)
                        yield piece
        self.latency_ms = _ms_since(started)
        if self.finish_reason not in WHOLE:
            raise engine.unavailable(
                f"it stopped midway: {self.finish_reason or 'no reason given'}"
            )

    def _body(self, written: int) -> dict[str, object]:
        """`written`: how many tokens of the answer there are; they count towards its limit."""
        body: dict[str, object] = {
            "model": self._model,
            "messages": self._messages,
            "logprobs": True,
            **self._sampling.model_dump(exclude_none=True),
            "max_tokens": self._sampling.max_tokens - written,
            **ranked(self._urgency),
        }
        if self._part:
            body["messages"] = [*self._messages, {"role": "assistant", "content": self._part}]
            body["add_generation_prompt"] = False
            body["continue_final_message"] = True
        return body


async def answer(
    engine: Vllm,
    messages: ModelMessages,
    sampling: Sampling,
    adapter_name: str | None,
    urgency: Urgency = Urgency.NOW,
) -> Answer:
    """A whole answer at once."""
    made = Answer(messages, sampling, adapter_name, urgency=urgency)
    async for _ in made.pieces(engine):
        pass
    return made


async def tokens_of(
    engine: Vllm, messages: ModelMessages, reference: str
) -> tuple[list[int], list[int]]:
    """A prompt and a given answer to it as tokens: the same for every adapter of one base model."""
    prompt = await engine.prompt_tokens(messages)
    tokens = await engine.text_tokens(reference)
    if not tokens:
        raise Invalid("The reference answer has no tokens; expected some text.")
    return prompt, tokens


async def mean_logprob(
    engine: Vllm,
    messages: ModelMessages,
    reference: str,
    adapter_name: str | None,
    urgency: Urgency = Urgency.NOW,
    tokens: tuple[list[int], list[int]] | None = None,
) -> float:
    """How likely the model finds a given answer: mean log-probability per token, in nats.

    `tokens`: what `tokens_of` said of them, where it is known.
    """
    prompt, said = tokens or await tokens_of(engine, messages, reference)
    found = await engine.logprobs(adapter_name or BASE, prompt, said, urgency)
    return sum(found) / len(found)


def _ms_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
