"""An adapter sits the exam: every held-out ticket, through the very function customers reach.

Answers are stored one by one, so a run that was cut off goes on where it stopped. Called by the loop
and by commands.py; what the results mean is the gate's business.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from anyio import Lock, create_task_group, to_thread
from sqlalchemy import Engine as Database

from evals import scores
from evals.deciding import decide_on
from evals.patience import Patience
from evals.scores import Scored, Subject
from evals.settings import EvalsSettings, evals_settings
from feedback import adapters, assistants, exams, policies
from feedback.assistants import Sampling
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.errors import Conflict, UnderstudyError
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant, Decision, EvalRun, Prompt, Ticket
from feedback.transcript import ModelMessages, render
from service.answering import Answer, answer, mean_logprob
from service.hot_swap import HotSwap
from service.topics import choose

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[int, int, float | None], None]
"""Told (done, total, eta_seconds) after each answer. What it raises ends the exam and reaches the caller;
answers so far are kept."""


@dataclass(frozen=True)
class Sitting:
    """One run under way: who answers, which prompt, which tickets are left."""

    run: EvalRun
    adapter: Adapter | None
    prompt: str
    left: list[Ticket]
    done: int


async def sit(
    swaps: HotSwap,
    database: Database,
    assistant: Assistant,
    adapter: Adapter | None,
    cycle_id: str | None = None,
    progress: Progress | None = None,
    settings: EvalsSettings | None = None,
) -> EvalRun:
    """The finished run of one adapter (None: the base model).

    A cycle has one run per adapter: begun, it goes on with the tickets that lack an answer;
    finished, it is returned as it is. Without a cycle every call is a new run. A ticket that cannot
    be answered or scored is stored with the reason; only a lost database, an adapter the engine may
    not hold, or `progress` raises.
    """
    exam = _Exam(swaps, database, assistant, progress, settings or evals_settings())
    [run] = await exam.sit([adapter], cycle_id)
    return run


async def examine(
    swaps: HotSwap,
    database: Database,
    assistant: Assistant,
    candidate: Adapter | None,
    live: Adapter | None,
    cycle_id: str | None = None,
    progress: Progress | None = None,
    settings: EvalsSettings | None = None,
    sealed: bool = False,
) -> Decision:
    """Candidate and live sit the same tickets, and the gate decides; the decision is stored.

    `sealed`: the tickets kept for a candidate that has passed the others; they confirm it, or do not.

    Raises like `HotSwap.engine_with` when the engine may not hold one of them; no decision is stored then.
    """
    if (candidate and candidate.id) == (live and live.id):
        name = candidate.name if candidate else adapters.BASE
        raise Conflict(f"{name!r} cannot be examined against itself.")
    settings = settings or evals_settings()
    exam = _Exam(swaps, database, assistant, progress, settings, sealed)
    ours, theirs = await exam.sit([candidate, live], cycle_id)

    def store() -> Decision:
        with writing(database) as session:
            return decide_on(session, assistant, ours, theirs, settings, sealed)

    return await to_thread.run_sync(store)


class _Exam:
    """One or two adapters answering the same tickets."""

    def __init__(
        self,
        swaps: HotSwap,
        database: Database,
        assistant: Assistant,
        progress: Progress | None,
        settings: EvalsSettings,
        sealed: bool = False,
    ) -> None:
        self._database = database
        self._patience = Patience(swaps, settings)
        self._assistant = assistant
        self._progress = progress or (lambda done, total, eta_seconds: None)
        self._settings = settings
        self._sealed = sealed
        self._storing = Lock()
        self._sampling = _greedy(assistant)
        self._desk = desk_of(assistant)
        self._policies: list[str] = []
        self._started = time.monotonic()
        self._before = self._done = self._total = 0

    async def sit(self, sitters: Sequence[Adapter | None], cycle_id: str | None) -> list[EvalRun]:
        """Have each sitter's run finished; an adapter is first held, so a bad one leaves no run."""
        await to_thread.run_sync(self._check, sitters)
        for adapter in sitters:
            await self._patience.hold(adapter)
        sittings = await to_thread.run_sync(self._open, sitters, cycle_id)
        self._before = self._done = sum(sitting.done for sitting in sittings)
        self._total = self._done + sum(len(sitting.left) for sitting in sittings)
        self._started = time.monotonic()
        self._tell()
        await _in_pool(_in_turn(sittings), self._ask, self._settings.concurrency)
        return await to_thread.run_sync(self._finish, sittings)

    def _check(self, sitters: Sequence[Adapter | None]) -> None:
        """Refuse an adapter whose files were removed, before the engine is troubled with it."""
        with reading(self._database) as session:
            for adapter in filter(None, sitters):
                adapters.check_usable(session, adapter)

    def _open(self, sitters: Sequence[Adapter | None], cycle_id: str | None) -> list[Sitting]:
        with writing(self._database) as session:
            self._policies = [each.text for each in policies.in_force(session, self._assistant)]
            runs = exams.open_runs(session, self._assistant, sitters, cycle_id, self._sealed)
            sittings = []
            for run, adapter in zip(runs, sitters, strict=True):
                done = exams.answered(session, run)
                left = [] if run.finished_at else exams.tickets_of(session, run)
                left = [ticket for ticket in left if ticket.id not in done]
                prompt = session.get_one(Prompt, run.prompt_id).text
                sittings.append(Sitting(run, adapter, prompt, left, len(done)))
            return sittings

    def _finish(self, sittings: list[Sitting]) -> list[EvalRun]:
        with writing(self._database) as session:
            return [exams.finish(session, sitting.run) for sitting in sittings]

    async def _ask(self, job: tuple[Sitting, Ticket]) -> None:
        """Ask one ticket, score the answer, store both, whatever came of it."""
        sitting, ticket = job
        limit = feedback_settings().transcript_max_chars
        messages = render(sitting.prompt, ticket.context, limit)
        try:
            made = await self._patience.ask(
                sitting.adapter,
                lambda engine: answer(engine, messages, self._sampling, _name(sitting.adapter)),
            )
        except Exception as error:
            why = _reason(error, f"ticket {ticket.external_id!r} got no answer")
            scored = [scores.unscored(metric, f"No answer: {why}") for metric in scores.METRICS]
            await self._keep(sitting, ticket, None, why, scored)
        else:
            topic = await self._topic(sitting, ticket)
            scored = await self._scored(sitting, ticket, messages, made.text, topic)
            await self._keep(sitting, ticket, made, None, scored, topic)
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        """How far it is; the time left is only guessed from answers of this very process."""
        done = self._done - self._before
        seconds = time.monotonic() - self._started
        eta_seconds = seconds / done * (self._total - self._done) if done else None
        self._progress(self._done, self._total, eta_seconds)

    async def _scored(
        self,
        sitting: Sitting,
        ticket: Ticket,
        messages: ModelMessages,
        text: str,
        topic: str | None,
    ) -> list[Scored]:
        likelihood = await self._likelihood(sitting, ticket, messages)
        knowledge = (sitting.prompt, *self._policies)
        return scores.every(Subject(ticket, text, knowledge, self._desk, likelihood, topic))

    async def _topic(self, sitting: Sitting, ticket: Ticket) -> str | None:
        """What the question is about, as the model finds; None where there is nothing to be right about."""
        topics = self._assistant.topics
        if ticket.topic not in topics:
            return None
        try:
            return await self._patience.ask(
                sitting.adapter,
                lambda engine: choose(engine, topics, ticket.context, _name(sitting.adapter)),
            )
        except Exception as error:
            what = f"the topic of ticket {ticket.external_id!r} was not chosen"
            log.warning("%s: %s", what, _reason(error, what))
            return None

    async def _likelihood(
        self, sitting: Sitting, ticket: Ticket, messages: ModelMessages
    ) -> float | str:
        """The reference's mean log-probability, or why it could not be had."""
        try:
            return await self._patience.ask(
                sitting.adapter,
                lambda engine: mean_logprob(
                    engine, messages, ticket.reference, _name(sitting.adapter)
                ),
            )
        except Exception as error:
            return _reason(error, f"the reference of ticket {ticket.external_id!r} was not scored")

    async def _keep(
        self,
        sitting: Sitting,
        ticket: Ticket,
        made: Answer | None,
        error: str | None,
        scored: list[Scored],
        topic: str | None = None,
    ) -> None:
        def store() -> None:
            with writing(self._database) as session:
                exams.keep(
                    session,
                    sitting.run,
                    ticket,
                    made.text if made else "",
                    (made.completion_tokens or 0) if made else 0,
                    (made.latency_ms or 0) if made else 0,
                    error,
                    [asdict(score) for score in scored],
                    topic,
                )

        async with self._storing:  # one at a time: the service's writers must not starve
            await to_thread.run_sync(store)


def _greedy(assistant: Assistant) -> Sampling:
    """The assistant's sampling without its dice: the same exam twice gives the same answers."""
    return assistants.sampling_of(assistant).model_copy(update={"temperature": 0.0, "seed": None})


def _name(adapter: Adapter | None) -> str | None:
    return adapter.name if adapter else None


def _reason(error: Exception, what: str) -> str:
    """The reason to store: our own sentence, or the name of what nobody foresaw, which is logged."""
    if isinstance(error, UnderstudyError):
        return str(error)
    log.error("%s", what, exc_info=error)
    return f"{type(error).__name__}: {error}"


def _in_turn(sittings: list[Sitting]) -> list[tuple[Sitting, Ticket]]:
    """What is left to ask, one sitter after the other: on a CPU a batch of one voice is quicker."""
    return [(sitting, ticket) for sitting in sittings for ticket in sitting.left]


async def _in_pool(jobs: Iterable[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
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
