"""Exams as the gate sees them: from stored answers and scores to ticket results."""

from collections.abc import Collection, Mapping, Sequence

from sqlmodel import Session

from evals import invented, knowledge, scores
from evals.pairs import TicketResult
from feedback import exams, looks
from feedback.errors import Conflict
from feedback.exams import Answered
from feedback.tables import Assistant, EvalRun, TicketOrigin
from feedback.tickets import cluster_of


def results(session: Session, run: EvalRun) -> list[TicketResult]:
    """A finished run as the gate sees it; Conflict while tickets lack their answer."""
    answers = _answers(session, run)
    return _results(session, run, answers, _known(session, [run], answers))


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
    known = _known(session, [candidate, live], [*mine, *others])
    return _results(session, candidate, mine, known), _results(session, live, others, known)


def _answers(session: Session, run: EvalRun) -> list[Answered]:
    if run.finished_at is None:
        raise Conflict(f"The eval run {run.id!r} is not finished; there is nothing to judge yet.")
    return exams.answers(session, run)


def _results(
    session: Session, run: EvalRun, answers: list[Answered], known: Collection[str]
) -> list[TicketResult]:
    asked = looks.asked_before(session, run)
    return [result_of(one, one.ticket.id not in asked, _harmful(one, known)) for one in answers]


def _known(session: Session, runs: Sequence[EvalRun], answers: list[Answered]) -> frozenset[str]:
    """What the house may state; it takes its time, so only where an answer does harm."""
    if not any(map(_harms, answers)):
        return frozenset()
    assistant = session.get_one(Assistant, runs[0].assistant_id)
    return knowledge.at_exam(session, assistant, runs)


def _harmful(one: Answered, known: Collection[str]) -> dict[str, frozenset[str]]:
    """Which facts do the harm that was counted; of an erased answer nobody can say."""
    harms = _harms(one)
    found = invented.harmful(one.answer.text, one.ticket, known) if harms else {}
    return {metric: keys for metric, keys in found.items() if metric in harms}


def _harms(one: Answered) -> set[str]:
    return {score.metric for score in one.scores if score.metric in invented.HARM and score.value}


def result_of(
    one: Answered, fresh: bool = False, harmful: Mapping[str, frozenset[str]] | None = None
) -> TicketResult:
    """One answered ticket as the gate sees it. `fresh`: no exam asked it before a decision. `harmful`: which
    facts do harm, where somebody will ask.
    """
    ticket, answer = one.ticket, one.answer
    return TicketResult(
        ticket=ticket.external_id,
        topic=ticket.topic,
        cluster=cluster_of(ticket),
        answer=answer.text,
        error=answer.error,
        scores={score.metric: score.value for score in one.scores},
        forbidden=scores.forbidden(answer.text, ticket.must_not_say),
        harmful=harmful or {},
        probe=ticket.origin == TicketOrigin.PROBE,
        fresh=fresh,
    )
