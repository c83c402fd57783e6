"""An adapter sits the exam: every held-out ticket, through the very function customers reach.

Answers are stored one by one, so a run that was cut off goes on where it stopped. Called by the loop
and by commands.py; what the results mean is the gate's business.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anyio import Lock, to_thread
from sqlalchemy import Engine as Database
from sqlmodel import Session

from evals import cache, judging, knowledge, scores, steadiness
from evals.asking import Asking, Question, in_pool, measured, reason
from evals.deciding import decide_on
from evals.scored import unscored
from evals.scores import Subject
from evals.settings import EvalsSettings, evals_settings
from evals.steadiness import Said
from feedback import adapters, assistants, exams
from feedback.assistants import Sampling
from feedback.batches import in_batches
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.draws import drawn
from feedback.errors import Conflict, UnderstudyError
from feedback.measures import METRICS, TOPIC_WRONG
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Decision,
    EvalRun,
    ExamAnswer,
    Prompt,
    Ticket,
)
from feedback.transcript import render
from service.answering import Answer
from service.hot_swap import HotSwap

log = logging.getLogger(__name__)

TAKEN_AT_ONCE = 20
"""Earlier answers stored in one transaction: short, for the service writes too."""

Progress = Callable[[int, int, float | None], None]
"""Told (done, total, eta_seconds) after each answer. What it raises ends the exam and reaches the caller;
answers so far are kept."""


@dataclass(frozen=True)
class Sitting:
    """One run under way: who answers, and what is left to ask."""

    run: EvalRun
    left: list[Question]
    done: int


@dataclass(frozen=True)
class Outcome:
    """What came of one ticket: a new answer, an earlier one, or why there is none."""

    text: str = ""
    completion_tokens: int = 0
    latency_ms: int = 0
    likelihood: float | str = ""
    """The reference's mean log-probability, or why it could not be had."""
    topic: str | None = None
    error: str | None = None
    cached: bool = False

    @classmethod
    def made(cls, answer: Answer, likelihood: float | str, topic: str | None) -> "Outcome":
        """A new one."""
        tokens, latency_ms = answer.completion_tokens or 0, answer.latency_ms or 0
        return cls(answer.text, tokens, latency_ms, likelihood, topic)

    @classmethod
    def taken(cls, earlier: ExamAnswer) -> "Outcome":
        """An earlier one."""
        known = "" if earlier.mean_logprob is None else earlier.mean_logprob
        return cls(
            earlier.text,
            earlier.completion_tokens,
            earlier.latency_ms,
            known,
            earlier.topic,
            cached=True,
        )


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
    batching = await exam.steadiness()
    await judging.judge_if_set(database, assistant, ours, theirs, settings)

    more = {"batching": batching} if batching else {}
    return await to_thread.run_sync(
        decide_on, database, assistant, ours, theirs, settings, sealed, more
    )


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
        self._asking = Asking(swaps, settings)
        self._assistant = assistant
        self._progress = progress or (lambda done, total, eta_seconds: None)
        self._settings = settings
        self._sealed = sealed
        self._storing = Lock()
        self._desk = desk_of(assistant)
        self._knowledge: frozenset[str] = frozenset()
        self._asked: dict[str, tuple[Question, Said]] = {}
        """What the first sitter answered in this process, by ticket."""
        self._started = time.monotonic()
        self._before = self._done = self._total = 0
        self._first = ""

    async def sit(self, sitters: Sequence[Adapter | None], cycle_id: str | None) -> list[EvalRun]:
        """Have each sitter's run finished; an adapter is first held, so a bad one leaves no run."""
        await to_thread.run_sync(self._check, sitters)
        for adapter in sitters:
            await self._asking.hold(adapter)
        sittings = await to_thread.run_sync(self._open, sitters, cycle_id)
        self._knowledge = await to_thread.run_sync(self._known, sittings)
        self._done = sum(sitting.done for sitting in sittings)
        self._total = self._done + sum(len(sitting.left) for sitting in sittings)
        self._first = sittings[0].run.id
        jobs = await self._take_known(sittings) if self._settings.cache else _in_turn(sittings)
        self._before, self._started = self._done, time.monotonic()
        self._tell()
        await in_pool(jobs, self._ask, self._settings.concurrency)
        return await to_thread.run_sync(self._finish, sittings)

    async def steadiness(self) -> dict[str, Any] | None:
        """How far batching moved the first sitter's answers, on a few that were asked just now.

        Which ones a hash of the ticket draws. None: nothing was asked, or it could not be found out.
        """
        at_most = self._settings.steadiness_tickets
        chosen = sorted(self._asked, key=drawn)[:at_most]
        if not chosen:
            return None
        questions = [self._asked[ticket_id][0] for ticket_id in chosen]
        among = {ticket_id: self._asked[ticket_id][1] for ticket_id in chosen}
        try:
            found = await steadiness.compare(self._asking, questions, among)
        except UnderstudyError as error:  # it is no part of the verdict
            log.warning("how far batching moves answers was not found out: %s", error)
            return None
        sentence = steadiness.sentence(found)
        return {**found, "at_once": self._settings.concurrency, "sentence": sentence}

    def _check(self, sitters: Sequence[Adapter | None]) -> None:
        """Refuse an adapter whose files were removed, before the engine is troubled with it."""
        with reading(self._database) as session:
            for adapter in filter(None, sitters):
                adapters.check_usable(session, adapter)

    def _open(self, sitters: Sequence[Adapter | None], cycle_id: str | None) -> list[Sitting]:
        with writing(self._database) as session:
            runs = exams.open_runs(
                session,
                self._assistant,
                sitters,
                cycle_id,
                self._sealed,
                greedy(self._assistant).model_dump(),
            )
            sittings = []
            for run, adapter in zip(runs, sitters, strict=True):
                done = exams.answered(session, run)
                prompt = session.get_one(Prompt, run.prompt_id).text
                tickets = [] if run.finished_at else exams.tickets_of(session, run)
                sampling = Sampling(**run.sampling)
                left = [
                    question(ticket, adapter, prompt, sampling)
                    for ticket in tickets
                    if ticket.id not in done
                ]
                sittings.append(Sitting(run, left, len(done)))
            return sittings

    def _known(self, sittings: list[Sitting]) -> frozenset[str]:
        """What the assistant may state in these runs."""
        with reading(self._database) as session:
            return knowledge.at_exam(session, self._assistant, [each.run for each in sittings])

    def _finish(self, sittings: list[Sitting]) -> list[EvalRun]:
        with writing(self._database) as session:
            return [exams.finish(session, sitting.run) for sitting in sittings]

    async def _take_known(self, sittings: list[Sitting]) -> list[tuple[Sitting, Question]]:
        """Store what earlier exams were answered to the very same questions; what is left to ask."""
        keyed = [(job, self._key(job[1])) for job in _in_turn(sittings)]

        left: list[tuple[Sitting, Question]] = []
        for some in in_batches(keyed, TAKEN_AT_ONCE):
            unknown = await to_thread.run_sync(self._take, some)
            self._done += len(some) - len(unknown)
            left += unknown
        return left

    def _take(
        self, some: list[tuple[tuple[Sitting, Question], str]]
    ) -> list[tuple[Sitting, Question]]:
        """Scored before anything is locked: customers' questions are written meanwhile. What is erased in
        between is not stored (`exams.keep`).
        """
        with reading(self._database) as session:
            known = exams.earlier(session, self._assistant, {key for _, key in some})
        outcomes = {key: Outcome.taken(earlier) for key, earlier in known.items()}
        taken = [
            (sitting, asked, outcomes[key], self._scored(asked.ticket, outcomes[key]))
            for (sitting, asked), key in some
            if key in outcomes
        ]
        with writing(self._database) as session:
            for sitting, asked, outcome, scored in taken:
                self._store(session, sitting, asked, outcome, scored)
        return [job for job, key in some if key not in known]

    def _key(self, asked: Question) -> str:
        return cache.key(
            self._assistant,
            asked.adapter,
            asked.messages,
            asked.ticket,
            asked.sampling,
            self._asking.builds,
        )

    async def _ask(self, job: tuple[Sitting, Question]) -> None:
        """Ask one ticket, score the answer, store both, whatever came of it."""
        sitting, asked = job
        try:
            likelihood, made = await self._asking.both(asked)
        except Exception as error:
            why = reason(error, f"ticket {asked.ticket.external_id!r} got no answer")
            outcome = Outcome(error=why)
        else:
            topic = await self._topic(asked)
            outcome = Outcome.made(made, likelihood, topic)
            if sitting.run.id == self._first:
                self._asked[asked.ticket.id] = asked, Said(made.text, measured(likelihood))
        async with self._storing:  # one at a time: the service's writers must not starve
            await to_thread.run_sync(self._keep, sitting, asked, outcome)
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        """How far it is; the time left is only guessed from answers of this very process."""
        done = self._done - self._before
        seconds = time.monotonic() - self._started
        eta_seconds = seconds / done * (self._total - self._done) if done else None
        self._progress(self._done, self._total, eta_seconds)

    async def _topic(self, asked: Question) -> str | None:
        """What the question is about, as the model finds; None where there is nothing to be right about."""
        topics = self._assistant.topics
        return await self._asking.topic(asked, topics) if asked.ticket.topic in topics else None

    def _keep(self, sitting: Sitting, asked: Question, outcome: Outcome) -> None:
        scored = self._scored(asked.ticket, outcome)
        with writing(self._database) as session:
            self._store(session, sitting, asked, outcome, scored)

    def _scored(self, ticket: Ticket, outcome: Outcome) -> list[dict[str, Any]]:
        if outcome.error is not None:
            why = f"No answer: {outcome.error}"
            return [asdict(unscored(metric, why)) for metric in METRICS]
        subject = Subject(
            ticket, outcome.text, self._knowledge, self._desk, outcome.likelihood, outcome.topic
        )
        try:
            scored = scores.every(subject)
        except Exception as error:  # what it says may quote a customer: it is for the log alone
            log.error("ticket %r was not scored", ticket.external_id, exc_info=error)
            why = f"It could not be scored: {type(error).__name__}."
            return [asdict(unscored(metric, why)) for metric in METRICS]
        if outcome.topic is None and ticket.topic in self._assistant.topics:
            scored.append(unscored(TOPIC_WRONG, "The engine did not choose a topic."))
        return [asdict(score) for score in scored]

    def _store(
        self,
        session: Session,
        sitting: Sitting,
        asked: Question,
        outcome: Outcome,
        scored: list[dict[str, Any]],
    ) -> None:
        figure = measured(outcome.likelihood)
        wanted = asked.ticket.topic in self._assistant.topics
        is_whole = outcome.error is None and (outcome.topic is not None or not wanted)
        exams.keep(
            session,
            sitting.run,
            asked.ticket,
            outcome.text,
            outcome.completion_tokens,
            outcome.latency_ms,
            outcome.error,
            scored,
            topic=outcome.topic,
            mean_logprob=figure,
            cache_key=self._key(asked) if is_whole else None,  # only what can be taken as it is
            cached=outcome.cached,
        )


def greedy(assistant: Assistant) -> Sampling:
    """The assistant's sampling without its dice: the same exam twice gives the same answers."""
    return assistants.sampling_of(assistant).model_copy(update={"temperature": 0.0, "seed": None})


def question(ticket: Ticket, adapter: Adapter | None, prompt: str, sampling: Sampling) -> Question:
    """A ticket as an adapter is asked it: the conversation rendered as for customers."""
    messages = render(prompt, ticket.context, feedback_settings().transcript_max_chars)
    return Question(ticket, adapter, messages, sampling)


def _in_turn(sittings: Iterable[Sitting]) -> list[tuple[Sitting, Question]]:
    """What is left to ask, one sitter after the other: on a CPU a batch of one voice is quicker."""
    return [(sitting, asked) for sitting in sittings for asked in sitting.left]
