"""What exams leave: eval runs, answers, and scores with their reasons. Called by `evals/`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, or_, select

from feedback import adapters, assistants
from feedback.batches import in_batches
from feedback.errors import NotFound
from feedback.tables import (
    Adapter,
    Assistant,
    EvalRun,
    ExamAnswer,
    Prompt,
    Score,
    Ticket,
    TicketOrigin,
    now,
)
from feedback.trust_tables import Policy

AT_ONCE = 500
"""Keys that one query names."""


@dataclass(frozen=True)
class Answered:
    """A ticket, what was answered to it in one run, and the scores with their reasons."""

    ticket: Ticket
    answer: ExamAnswer
    scores: list[Score]


def open_runs(
    session: Session,
    assistant: Assistant,
    sitters: Sequence[Adapter | None],
    cycle_id: str | None,
    sealed: bool = False,
    sampling: Mapping[str, Any] | None = None,
) -> list[EvalRun]:
    """One run per adapter (None: the base model): the cycle's own where it has them all, else new ones.

    They begin at the same instant with the same prompt and sampling, so that they hold the same exam: the
    tickets anybody may ask at any time, or else the sealed ones. Where what is live changed since the cycle's
    exam began, both begin anew: one side's old run would compare prompts, not adapters.
    """
    for sitter in filter(None, sitters):
        adapters.check_usable(session, sitter)
    if cycle_id and (begun := _runs_of_cycle(session, assistant, sitters, cycle_id, sealed)):
        return begun
    prompt = assistants.prompt_in_force(session, assistant)
    most = None if sealed else assistants.gate_of(assistant).most_tickets
    started = now()
    tickets = len(_tickets_at(session, assistant.id, started, sealed, most))
    runs = [
        EvalRun(
            assistant_id=assistant.id,
            cycle_id=cycle_id,
            adapter_id=adapter.id if adapter else None,
            prompt_id=prompt.id,
            tickets=tickets,
            sealed=sealed,
            sampling=dict(sampling or {}),
            created_at=started,
        )
        for adapter in sitters
    ]
    session.add_all(runs)
    session.flush()
    return runs


def _runs_of_cycle(
    session: Session,
    assistant: Assistant,
    sitters: Sequence[Adapter | None],
    cycle_id: str,
    sealed: bool,
) -> list[EvalRun] | None:
    """The newest runs of a cycle that these sitters began together, in their order; None: there are none."""
    found: dict[datetime, dict[str | None, EvalRun]] = {}
    for run in session.exec(
        select(EvalRun)
        .where(
            EvalRun.assistant_id == assistant.id,
            EvalRun.cycle_id == cycle_id,
            EvalRun.sealed == sealed,
        )
        .order_by(col(EvalRun.created_at).desc(), col(EvalRun.id).desc())
    ):
        found.setdefault(run.created_at, {})[run.adapter_id] = run
    wanted = [adapter.id if adapter else None for adapter in sitters]
    for together in found.values():
        if set(wanted) <= set(together):
            return [together[adapter_id] for adapter_id in wanted]
    return None


def tickets_of(session: Session, run: EvalRun) -> list[Ticket]:
    """The exam's tickets in a fixed order: those held out when it began, whatever came since.

    One whose words were erased meanwhile is asked no more.
    """
    every = _tickets_at(session, run.assistant_id, run.created_at, run.sealed)
    if len(every) > run.tickets:
        probes = sum(ticket.origin == TicketOrigin.PROBE for ticket in every)
        every = _newest(every, run.tickets - probes)
    return [ticket for ticket in every if ticket.context]


def _tickets_at(
    session: Session, assistant_id: str, when: datetime, sealed: bool, most: int | None = None
) -> list[Ticket]:
    gone = select(Policy.id).where(col(Policy.retired_at) <= when)
    every = list(
        session.exec(
            select(Ticket)
            .where(
                Ticket.assistant_id == assistant_id,
                Ticket.sealed == sealed,
                col(Ticket.created_at) <= when,
                or_(col(Ticket.retired_at).is_(None), col(Ticket.retired_at) > when),
                or_(col(Ticket.policy_id).is_(None), col(Ticket.policy_id).not_in(gone)),
            )
            .order_by(col(Ticket.external_id))
        )
    )
    return every if most is None else _newest(every, most)


def _newest(every: list[Ticket], most: int) -> list[Ticket]:
    """At most so many customers' questions, the newest, and all probes; in the order given."""
    asked = [ticket for ticket in every if ticket.origin != TicketOrigin.PROBE]
    newest = sorted(asked, key=lambda ticket: (ticket.created_at, ticket.id))[-most:]
    kept = {ticket.id for ticket in newest}
    return [t for t in every if t.id in kept or t.origin == TicketOrigin.PROBE]


def answered(session: Session, run: EvalRun) -> set[str]:
    """The ids of the tickets that have their answer."""
    return set(session.exec(select(ExamAnswer.ticket_id).where(ExamAnswer.eval_run_id == run.id)))


def keep(
    session: Session,
    run: EvalRun,
    ticket: Ticket,
    text: str,
    completion_tokens: int,
    latency_ms: int,
    error: str | None,
    scored: Iterable[Mapping[str, Any]],
    *,
    topic: str | None = None,
    mean_logprob: float | None = None,
    cache_key: str | None = None,
    cached: bool = False,
) -> ExamAnswer | None:
    """One answer with its scores; a ticket answered before keeps its first one. None: the ticket's words
    were erased while it was answered, and nothing of it is kept.

    `topic`: what the model chose as the question's, where it was asked. `cache_key` makes it one that
    later runs may take (`earlier`); `cached` says it was taken itself.
    """
    known = select(ExamAnswer).where(
        ExamAnswer.eval_run_id == run.id, ExamAnswer.ticket_id == ticket.id
    )
    if kept := session.exec(known).first():
        return kept
    if _is_erased(session, ticket):
        return None
    kept = ExamAnswer(
        eval_run_id=run.id,
        ticket_id=ticket.id,
        text=text.replace("\x00", "\ufffd"),  # PostgreSQL keeps no NUL
        completion_tokens=completion_tokens,
        latency_ms=latency_ms,
        error=error,
        topic=topic,
        mean_logprob=mean_logprob,
        cache_key=cache_key,
        cached=cached,
    )
    session.add(kept)
    session.flush()
    for score in scored:
        session.add(Score(exam_answer_id=kept.id, **score))
    session.flush()
    return kept


def _is_erased(session: Session, ticket: Ticket) -> bool:
    """Whether an erasure was there first; one that comes now waits for this transaction to end."""
    query = select(Ticket).where(Ticket.id == ticket.id).with_for_update(read=True)
    return not session.exec(query.execution_options(populate_existing=True)).one().context


def earlier(session: Session, assistant: Assistant, keys: Iterable[str]) -> dict[str, ExamAnswer]:
    """The newest answer to each of these cache keys in this assistant's exams, where there is one."""
    found: dict[str, ExamAnswer] = {}
    for some in in_batches(keys, AT_ONCE):
        for answer in session.exec(
            select(ExamAnswer)
            .join(EvalRun, col(EvalRun.id) == ExamAnswer.eval_run_id)
            .where(
                EvalRun.assistant_id == assistant.id,
                col(ExamAnswer.cache_key).in_(some),
                col(ExamAnswer.error).is_(None),
                col(ExamAnswer.mean_logprob).is_not(None),
            )
            .order_by(col(ExamAnswer.id))
        ):
            found[answer.cache_key or ""] = answer
    return found


def finish(session: Session, run: EvalRun) -> EvalRun:
    """Every ticket has its answer."""
    finished = session.get_one(EvalRun, run.id)
    finished.finished_at = finished.finished_at or now()
    return finished


def answers(session: Session, run: EvalRun) -> list[Answered]:
    """Everything a run left so far, in the order of the tickets."""
    of_answer: dict[str, list[Score]] = {}
    for score in session.exec(
        select(Score)
        .join(ExamAnswer, col(ExamAnswer.id) == Score.exam_answer_id)
        .where(ExamAnswer.eval_run_id == run.id)
        .order_by(col(Score.metric))
    ):
        of_answer.setdefault(score.exam_answer_id, []).append(score)
    found = session.exec(
        select(Ticket, ExamAnswer)
        .join(ExamAnswer, col(ExamAnswer.ticket_id) == Ticket.id)
        .where(ExamAnswer.eval_run_id == run.id)
        .order_by(col(Ticket.external_id))
    )
    return [Answered(ticket, answer, of_answer.get(answer.id, [])) for ticket, answer in found]


def runs(session: Session, assistant: Assistant) -> list[EvalRun]:
    """An assistant's eval runs, newest first."""
    return list(
        session.exec(
            select(EvalRun)
            .where(EvalRun.assistant_id == assistant.id)
            .order_by(col(EvalRun.created_at).desc(), col(EvalRun.id).desc())
        )
    )


def get_run(session: Session, run_id: str) -> EvalRun:
    """The eval run, or NotFound."""
    found = session.get(EvalRun, run_id)
    if found is None:
        raise NotFound(f"There is no eval run {run_id!r}. See `understudy evals list`.")
    return found


def sitter(session: Session, run: EvalRun) -> str:
    """The name of the adapter that sat, 'base' for the base model."""
    return session.get_one(Adapter, run.adapter_id).name if run.adapter_id else adapters.BASE


def prompt_version(session: Session, run: EvalRun) -> int:
    """Which version of the assistant's prompt the run was asked under."""
    return session.get_one(Prompt, run.prompt_id).version
