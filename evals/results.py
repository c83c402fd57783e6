"""Exams as the gate sees them: from stored answers and scores to ticket results."""

from sqlmodel import Session

from evals import scores
from evals.gate import TicketResult
from feedback import exams
from feedback.errors import Conflict
from feedback.exams import Answered
from feedback.tables import EvalRun


def results(session: Session, run: EvalRun) -> list[TicketResult]:
    """A finished run as the gate sees it; Conflict while tickets lack their answer."""
    if run.finished_at is None:
        raise Conflict(f"The eval run {run.id!r} is not finished; there is nothing to judge yet.")
    return [result_of(one) for one in exams.answers(session, run)]


def result_of(one: Answered) -> TicketResult:
    """One answered ticket as the gate sees it."""
    ticket, answer = one.ticket, one.answer
    return TicketResult(
        ticket=ticket.external_id,
        topic=ticket.topic,
        cluster=ticket.customer_id or ticket.conversation_id or ticket.id,
        answer=answer.text,
        error=answer.error,
        scores={score.metric: score.value for score in one.scores},
        forbidden=scores.forbidden(answer.text, ticket.must_not_say),
    )
