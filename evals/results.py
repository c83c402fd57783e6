"""Exams as the gate sees them: from stored answers and scores to ticket results."""

from sqlmodel import Session

from evals import scores
from evals.pairs import TicketResult
from feedback import exams, looks
from feedback.errors import Conflict
from feedback.exams import Answered
from feedback.tables import EvalRun, TicketOrigin


def results(session: Session, run: EvalRun) -> list[TicketResult]:
    """A finished run as the gate sees it; Conflict while tickets lack their answer."""
    if run.finished_at is None:
        raise Conflict(f"The eval run {run.id!r} is not finished; there is nothing to judge yet.")
    asked = looks.asked_before(session, run)
    return [result_of(one, one.ticket.id not in asked) for one in exams.answers(session, run)]


def result_of(one: Answered, fresh: bool = False) -> TicketResult:
    """One answered ticket as the gate sees it. `fresh`: no exam asked it before a decision."""
    ticket, answer = one.ticket, one.answer
    return TicketResult(
        ticket=ticket.external_id,
        topic=ticket.topic,
        cluster=ticket.customer_id or ticket.conversation_id or ticket.id,
        answer=answer.text,
        error=answer.error,
        scores={score.metric: score.value for score in one.scores},
        forbidden=scores.forbidden(answer.text, ticket.must_not_say),
        probe=ticket.origin == TicketOrigin.PROBE,
        fresh=fresh,
    )
