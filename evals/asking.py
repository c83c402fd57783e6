"""Puts tickets to the engines: a reference is scored, a question answered. Used by run.py, steadiness.py.

All of it can wait (Urgency.LATER), and keeps back while customers are answered (courtesy.py).
"""

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from anyio import create_task_group

from evals.courtesy import Courtesy
from evals.patience import Patience
from evals.settings import EvalsSettings
from feedback.assistants import Sampling
from feedback.errors import UnderstudyError
from feedback.tables import Adapter, Ticket
from feedback.transcript import ModelMessages
from service.answering import Answer, answer, mean_logprob, tokens_of
from service.hot_swap import HotSwap
from service.topics import choose
from service.vllm import Urgency, Vllm

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A ticket as one adapter (None: the base model) is asked it."""

    ticket: Ticket
    adapter: Adapter | None
    messages: ModelMessages
    sampling: Sampling

    @property
    def model(self) -> str | None:
        """The adapter's name."""
        return self.adapter.name if self.adapter else None


class Asking:
    """The engines as an exam meets them, with what it learned of its tickets on the way."""

    def __init__(self, swaps: HotSwap, settings: EvalsSettings) -> None:
        self._fleet = swaps.fleet
        self._patience = Patience(swaps, settings)
        self._courtesy = Courtesy(swaps.fleet, settings)
        self._tokens: dict[str, tuple[list[int], list[int]]] = {}
        """By ticket: tokens are the base model's, so candidate and live share them."""

    async def hold(self, adapter: Adapter | None) -> None:
        """Make sure that an engine holds the adapter."""
        await self._patience.hold(adapter)

    @property
    def builds(self) -> list[str]:
        """Which vLLMs may answer, as far as they say."""
        return sorted({member.vllm.build for member in self._fleet.members})

    async def both(self, question: Question) -> tuple[float | str, Answer]:
        """How likely the reference is, or why that is not known; and the answer.

        In this order, in one turn: scoring computes the whole prompt in any case, and leaves it in the
        engine's prefix cache, where the answer finds it. Raises like `answering.answer`.
        """
        async with self._courtesy.turn():
            likelihood = await self._likelihood(question)
            return likelihood, await self._patience.ask(
                question.adapter,
                lambda engine: answer(
                    engine, question.messages, question.sampling, question.model, Urgency.LATER
                ),
            )

    async def topic(self, question: Question, topics: list[str]) -> str | None:
        """Which of the topics the model chooses; None, and a line in the log, where the engine cannot say."""
        ticket = question.ticket
        try:
            async with self._courtesy.turn():
                return await self._patience.ask(
                    question.adapter,
                    lambda engine: choose(
                        engine, topics, ticket.context, question.model, Urgency.LATER
                    ),
                )
        except Exception as error:
            what = f"the topic of ticket {ticket.external_id!r} was not chosen"
            log.warning("%s: %s", what, reason(error, what))
            return None

    async def text_tokens(self, text: str) -> list[int]:
        """The tokens of a text; those of the base model serve all adapters."""
        return await self._patience.ask(None, lambda engine: engine.text_tokens(text))

    async def _likelihood(self, question: Question) -> float | str:
        async def score(engine: Vllm) -> float:
            ticket, messages = question.ticket, question.messages
            known = self._tokens.get(ticket.id)
            if known is None:
                known = await tokens_of(engine, messages, ticket.reference)
                self._tokens[ticket.id] = known
            return await mean_logprob(
                engine, messages, ticket.reference, question.model, Urgency.LATER, known
            )

        try:
            return await self._patience.ask(question.adapter, score)
        except Exception as error:
            what = f"the reference of ticket {question.ticket.external_id!r} was not scored"
            return reason(error, what)


def measured(likelihood: float | str) -> float | None:
    """The figure, where it is one that can be stored and taken again."""
    is_figure = not isinstance(likelihood, str) and math.isfinite(likelihood)
    return likelihood if is_figure else None  # type: ignore[return-value]


def reason(error: Exception, what: str) -> str:
    """The reason to store: our own sentence, or the name of what nobody foresaw, which is logged."""
    if isinstance(error, UnderstudyError):
        return str(error)
    log.error("%s", what, exc_info=error)
    return f"{type(error).__name__}: {error}"


async def in_pool(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
    """Each job once, in order, `workers` at a time; the first exception ends all and is raised."""
    queue = iter(jobs)

    async def worker() -> None:
        for job in queue:
            await work(job)

    try:
        async with create_task_group() as group:  # anyio's waits for writes that have begun
            for _ in range(workers):
                group.start_soon(worker)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
