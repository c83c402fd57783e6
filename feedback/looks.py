"""Looks at the held-out tickets: every decision took one. What each is given, evals/spending.py says."""

from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, func, select

from feedback.tables import Assistant, Decision, EvalRun, ExamAnswer, now


@dataclass(frozen=True)
class Looks:
    """Decisions on candidates within some days, and what those that promoted had been given."""

    refused: int
    promoted: int
    spent_on_promoted: float


def within(session: Session, assistant: Assistant, days: float) -> Looks:
    """The looks of the last so many days: decisions that were given a part of the chance."""
    since = now() - timedelta(days=days)
    rows = session.exec(
        select(Decision.promote, func.count(), func.sum(Decision.alpha))
        .where(
            Decision.assistant_id == assistant.id,
            col(Decision.alpha).is_not(None),
            col(Decision.created_at) > since,
        )
        .group_by(col(Decision.promote))
    ).all()
    found = {promote: (count, float(spent or 0.0)) for promote, count, spent in rows}
    refused, _ = found.get(False, (0, 0.0))
    promoted, spent = found.get(True, (0, 0.0))
    return Looks(refused, promoted, spent)


def asked_before(session: Session, run: EvalRun) -> set[str]:
    """The ids of the tickets that an exam had asked before a decision that was there before this run."""
    earlier = select(Decision.candidate_run_id).where(
        Decision.assistant_id == run.assistant_id, col(Decision.created_at) < run.created_at
    )
    query = select(ExamAnswer.ticket_id).where(col(ExamAnswer.eval_run_id).in_(earlier)).distinct()
    return set(session.exec(query))
