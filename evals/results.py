"""Exams as the gate sees them: from stored answers and scores to ticket results."""

from sqlmodel import Session

from evals import scores
from evals.pairs import TicketResult
from feedback import exams, looks
from feedback.errors import Conflict
from feedback.exams import Answered
from feedback.tables import EvalRun, TicketOrigin
from feedback.tickets import cluster_of


def results(session: Session, run: EvalRun) -> list[TicketResult]:
    """A finished run as the gate sees it; Conflict while tickets lack their answer."""
    return _results(session, run, _answers(session, run))


def of_both(
    session: Session, candidate: EvalRun, live: EvalRun
) -> tuple[list[TicketResult], list[TicketResult]]:
    """Two finished runs as the gate sees them, less the tickets that were erased before both had answered."""
    ours, theirs = _answers(session, candidate), _answers(session, live)
    erased = {one.ticket.id for one in (*ours, *theirs) if not one.ticket.context}
    one_sided = erased & ({one.ticket.id for one in ours} ^ {one.ticket.id for one in theirs})
    mine, others = (
        [one for one in side if one.ticket.id not in one_sided] for side in (ours, theirs)
    )
    return _results(session, candidate, mine), _results(session, live, others)


def _answers(session: Session, run: EvalRun) -> list[Answered]:
    if run.finished_at is None:
        raise Conflict(f"The eval run {run.id!r} is not finished; there is nothing to judge yet.")
    return exams.answers(session, run)


def _results(session: Session, run: EvalRun, answers: list[Answered]) -> list[TicketResult]:
    asked = looks.asked_before(session, run)
    return [result_of(one, one.ticket.id not in asked) for one in answers]


def result_of(one: Answered, fresh: bool = False) -> TicketResult:
    """One answered ticket as the gate sees it. `fresh`: no exam asked it before a decision."""
    ticket, answer = one.ticket, one.answer
    return TicketResult(
        ticket=ticket.external_id,
        topic=ticket.topic,
        cluster=cluster_of(ticket),
        answer=answer.text,
        error=answer.error,
        scores={score.metric: score.value for score in one.scores},
        forbidden=scores.forbidden(answer.text, ticket.must_not_say),
        probe=ticket.origin == TicketOrigin.PROBE,
        fresh=fresh,
    )
