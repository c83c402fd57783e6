"""A replay is done: each drawn answer asked again of the candidate and of what was live, both greedy.

Both are asked now, through the function customers reach, so that only the weights differ, and with an exam's
courtesy to customers. Answers are stored pair by pair; a replay that was cut off goes on where it stopped.
Called by the loop and by the command.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from anyio import Lock, create_task_group, to_thread
from sqlalchemy import Engine as Database

from evals import scores
from evals.courtesy import Courtesy
from evals.patience import Patience
from evals.run import greedy
from evals.settings import EvalsSettings, evals_settings
from feedback import adapters, assistants, replays
from feedback.assistants import Sampling
from feedback.database import reading, writing
from feedback.errors import Unavailable, UnderstudyError
from feedback.exam_tables import Replay
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant
from feedback.transcript import ModelMessages, render
from service.answering import answer
from service.hot_swap import HotSwap
from service.vllm import Urgency

log = logging.getLogger(__name__)

Progress = Callable[[Replay], None]
"""Told the replay's row after each pair. What it raises ends the work and reaches the caller."""


@dataclass(frozen=True)
class Sides:
    """Who is asked, and how."""

    candidate: Adapter | None
    live: Adapter | None
    prompt: str
    sampling: Sampling


async def replay(
    swaps: HotSwap,
    database: Database,
    claimed: Replay,
    progress: Progress | None = None,
    settings: EvalsSettings | None = None,
) -> Replay:
    """The finished replay, which `replays.claim` gave to this process.

    A pair that cannot be answered keeps its error. A side that the engine may not hold fails the whole
    replay, with the reason. Raises Unavailable when the engines are away or go (the replay then waits for
    another attempt, with the pairs that it has), Conflict when another process has taken it over.
    """
    work = _Replaying(swaps, database, claimed, progress, settings or evals_settings())
    try:
        sides = await work.prepare()
    except Unavailable:
        await to_thread.run_sync(_release, database, claimed)
        raise
    except UnderstudyError as error:
        return await to_thread.run_sync(_end, database, claimed, str(error))
    try:
        await work.ask_all(sides)
    except Unavailable:
        await to_thread.run_sync(_release, database, claimed)
        raise
    return await to_thread.run_sync(_end, database, claimed, None)


def likeness(candidate: str, live: str) -> float:
    """chrF of the candidate's answer against live's, 0 to 100; 100 only where they are the same."""
    if candidate == live:
        return 100.0
    return min(scores.chrf(candidate, live).value or 0.0, 99.9)


class _Replaying:
    """One replay under way."""

    def __init__(
        self,
        swaps: HotSwap,
        database: Database,
        claimed: Replay,
        progress: Progress | None,
        settings: EvalsSettings,
    ) -> None:
        self._database = database
        self._fleet = swaps.fleet
        self._patience = Patience(swaps, settings)
        self._courtesy = Courtesy(swaps.fleet, settings)
        self._replay = claimed
        self._progress = progress or (lambda replay: None)
        self._settings = settings
        self._storing = Lock()
        self._started = time.monotonic()
        self._done = self._left = 0

    async def prepare(self) -> Sides:
        """Both sides, held by the engine."""
        sides = await to_thread.run_sync(self._sides)
        for adapter in (sides.candidate, sides.live):
            await self._patience.hold(adapter)
        return sides

    def _sides(self) -> Sides:
        with reading(self._database) as session:
            assistant = session.get_one(Assistant, self._replay.assistant_id)
            candidate = adapters.by_id(session, self._replay.adapter_id)
            live = adapters.by_id(session, self._replay.against_id)
            for adapter in filter(None, (candidate, live)):
                adapters.check_usable(session, adapter)
            prompt = assistants.prompt_in_force(session, assistant).text
            sampling = greedy(assistant)
            return Sides(candidate, live, prompt, sampling)

    async def ask_all(self, sides: Sides) -> None:
        """Every turn that is left, so many at once as the settings allow."""
        with reading(self._database) as session:
            left = replays.left(session, self._replay)
        self._left, self._started = len(left), time.monotonic()
        self._progress(self._replay)
        queue = iter(left)

        async def worker() -> None:
            for turn_id in queue:
                await self._ask(sides, turn_id)

        try:
            async with create_task_group() as group:
                for _ in range(self._settings.concurrency):
                    group.start_soon(worker)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _ask(self, sides: Sides, turn_id: str) -> None:
        context = await to_thread.run_sync(self._context, turn_id)
        if context is None:  # erased meanwhile
            await self._keep(turn_id)
            return
        messages = render(sides.prompt, context, feedback_settings().transcript_max_chars)
        try:
            async with self._courtesy.turn():
                candidate = await self._answer(sides.candidate, messages, sides.sampling)
                live = await self._answer(sides.live, messages, sides.sampling)
        except Exception as error:
            if isinstance(error, Unavailable) and not await self._fleet.healthy():
                raise  # not this pair's fault: it is asked again when an engine is back
            await self._keep(turn_id, error=_reason(error, turn_id))
        else:
            await self._keep(
                turn_id, candidate=candidate, live=live, likeness=likeness(candidate, live)
            )

    def _context(self, turn_id: str) -> ModelMessages | None:
        with reading(self._database) as session:
            return replays.context_of(session, turn_id)

    async def _answer(
        self, adapter: Adapter | None, messages: ModelMessages, sampling: Sampling
    ) -> str:
        name = adapter.name if adapter else None
        made = await self._patience.ask(
            adapter, lambda engine: answer(engine, messages, sampling, name, Urgency.LATER)
        )
        return made.text

    async def _keep(self, turn_id: str, **found: str | float) -> None:
        def store() -> Replay:
            with writing(self._database) as session:
                return replays.keep(
                    session,
                    self._replay,
                    turn_id,
                    self._eta_seconds(),
                    **found,  # type: ignore[arg-type]
                )

        async with self._storing:  # one at a time: the service's writers must not starve
            self._done += 1
            held = await to_thread.run_sync(store)
            self._progress(held)

    def _eta_seconds(self) -> float | None:
        """Guessed from the pairs of this very process."""
        per_pair = (time.monotonic() - self._started) / self._done
        return per_pair * (self._left - self._done)


def _release(database: Database, claimed: Replay) -> None:
    with writing(database) as session:
        replays.release(session, claimed)


def _end(database: Database, claimed: Replay, error: str | None) -> Replay:
    with writing(database) as session:
        return replays.end(session, claimed, error)


def _reason(error: Exception, turn_id: str) -> str:
    """The reason to store: our own sentence, or the name of what nobody foresaw, which is logged."""
    if isinstance(error, UnderstudyError):
        return str(error)
    log.error("the replayed answer %s got no answer", turn_id, exc_info=error)
    return type(error).__name__
