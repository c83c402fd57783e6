"""The judge over an exam: both answers to every ticket, stored as judgements one by one.

What is judged already is not asked again, so a run that was cut off goes on. Called by run.py, where a
judge is set, and by judge_commands.py; how far to trust it is calibration.py's.
"""

import logging
import time
from collections.abc import Callable

from anyio import Lock, to_thread
from sqlalchemy import Engine as Database
from sqlmodel import Session

from evals import judge
from evals.asking import in_pool
from evals.blind import Judged
from evals.judge import Asked, Judge
from evals.settings import EvalsSettings, evals_settings
from feedback import judgements, redactions
from feedback.database import reading, writing
from feedback.errors import Conflict, Unavailable
from feedback.judgements import Both, Why
from feedback.tables import Assistant, EvalRun

log = logging.getLogger(__name__)

VALUES = {"candidate": 1.0, "tie": 0.5, "live": 0.0}
"""The metric JUDGE (feedback/measures.py), per ticket: whose answer is better."""
Progress = Callable[[int, int, float | None], None]
"""Told (done, total, eta_seconds) after each pair."""


async def judge_runs(
    database: Database,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    progress: Progress | None = None,
    settings: EvalsSettings | None = None,
) -> int:
    """Have every ticket of two finished runs judged; how many were asked about now.

    Invalid where no judge is set, Conflict where a run is not finished, Unavailable when the endpoint
    does not answer: what was judged until then is kept.
    """
    settings = settings or evals_settings()
    for run in (candidate, live):
        if run.finished_at is None:
            raise Conflict(
                f"The eval run {run.id!r} is not finished; there is nothing to judge yet."
            )
    async with judge.opened(settings, redactions.redactor_of(assistant)) as asked:
        with reading(database) as session:
            left = judgements.left(session, candidate, live, asked.name)
        bench = _Bench(database, asked, len(left), progress)
        await in_pool(left, bench.judge, settings.judge_concurrency)
    return len(left)


async def judge_if_set(
    database: Database,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    settings: EvalsSettings,
) -> None:
    """The same within an exam: without a judge nothing, and a judge that is away ends no exam.

    Tickets it did not get to have no value, which no gate takes for a pass.
    """
    if settings.judge_url:
        try:
            await judge_runs(database, assistant, candidate, live, settings=settings)
        except Unavailable as error:
            log.warning("%s", error)


def judgements_as_scores(
    session: Session, candidate: EvalRun, live: EvalRun, judge: str | None = None
) -> dict[str, float]:
    """By ticket id 1, 0.5 or 0 (see VALUES); a ticket without a readable judgement is absent.

    `judge`: the model's name, by default the settings'. As a paired metric: the candidate's score is this
    value and live's is 1 minus it.
    """
    name = judge or evals_settings().judge_model
    found = judgements.choices_of(session, candidate, live, name)
    return {ticket: VALUES[choice] for ticket, choice in found.items()}


class _Bench:
    """Pairs being judged: asks, stores, tells how far it is."""

    def __init__(
        self, database: Database, judge: Judge, total: int, progress: Progress | None
    ) -> None:
        self._database = database
        self._judge = judge
        self._total = total
        self._progress = progress or (lambda done, total, eta_seconds: None)
        self._done = 0
        self._started = time.monotonic()
        self._storing = Lock()

    async def judge(self, both: Both) -> None:
        """One ticket's pair; where a side has no answer the judge is not asked."""
        if both.candidate.error or both.live.error:
            judged = Judged(None, Why.NO_ANSWER)
        else:
            ticket = both.ticket
            judged = await self._judge.compare(
                Asked(ticket.context, both.candidate.text, both.live.text, ticket.reference)
            )

        def store() -> None:
            with writing(self._database) as session:
                judgements.keep(session, both, self._judge.name, judged.choice, judged.why)

        async with self._storing:  # one at a time: the service's writers must not starve
            await to_thread.run_sync(store)
        self._done += 1
        left = self._total - self._done
        each_seconds = (time.monotonic() - self._started) / self._done
        self._progress(self._done, self._total, each_seconds * left)
