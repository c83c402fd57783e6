"""Looks at the held-out tickets: every decision took one. What each is given, feedback/spending.py says."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from feedback.adapters import BASE
from feedback.assistants import Gate, gate_of
from feedback.spending import Budget
from feedback.tables import Adapter, Assistant, Decision, EvalRun, ExamAnswer, Ticket, now


@dataclass(frozen=True)
class Look:
    """One decision that was given a part of the chance."""

    decision: Decision
    adapter: str
    """The candidate's name, 'base' for the base model."""
    counts: bool
    """Whether its part is still spent: it led to no promotion, and is not too long ago."""


def budget_of(session: Session, assistant: Assistant, gate: Gate | None = None) -> Budget:
    """What is left of the chance that a worse adapter passes within the gate's days."""
    gate = gate or gate_of(session.get_one(Assistant, assistant.id))
    since = now() - timedelta(days=gate.budget_days)
    rows = session.exec(
        select(Decision.promote, func.count(), func.sum(Decision.alpha))
        .where(*_looks_of(assistant), col(Decision.created_at) > since)
        .group_by(col(Decision.promote))
    ).all()
    found = {promote: (count, float(spent or 0.0)) for promote, count, spent in rows}
    refused, spent = found.get(False, (0, 0.0))
    promoted, given_back = found.get(True, (0, 0.0))
    return Budget(
        gate.wrong_promotions,
        gate.candidates_planned,
        gate.budget_days,
        refused,
        spent,
        promoted,
        given_back,
    )


def every(session: Session, assistant: Assistant, limit: int = 200) -> list[Look]:
    """An assistant's looks, newest first."""
    since = now() - timedelta(days=gate_of(assistant).budget_days)
    rows = session.exec(
        select(Decision, Adapter.name)
        .join(EvalRun, col(EvalRun.id) == Decision.candidate_run_id)
        .outerjoin(Adapter, col(Adapter.id) == EvalRun.adapter_id)
        .where(*_looks_of(assistant))
        .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
        .limit(limit)
    ).all()
    return [
        Look(decision, name or BASE, not decision.promote and decision.created_at > since)
        for decision, name in rows
    ]


def free_again(looks: list[Look], days: float) -> datetime | None:
    """When the oldest spent part comes back; None: nothing is spent."""
    spent = [look.decision.created_at for look in looks if look.counts]
    return min(spent) + timedelta(days=days) if spent else None


def wear(session: Session, assistant: Assistant) -> Counter[int]:
    """How many of the tickets asked were asked by how many exams that led to a decision."""
    asked = (
        select(ExamAnswer.ticket_id, func.count().label("times"))
        .join(Decision, col(Decision.candidate_run_id) == ExamAnswer.eval_run_id)
        .join(Ticket, col(Ticket.id) == ExamAnswer.ticket_id)
        .where(
            *_looks_of(assistant), col(Ticket.retired_at).is_(None), col(Ticket.sealed).is_(False)
        )
        .group_by(col(ExamAnswer.ticket_id))
        .subquery()
    )
    rows = session.exec(select(asked.c.times, func.count()).group_by(asked.c.times)).all()
    return Counter({int(times): count for times, count in rows})


def _looks_of(assistant: Assistant) -> tuple[Any, ...]:
    return Decision.assistant_id == assistant.id, col(Decision.alpha).is_not(None)


def asked_before(session: Session, run: EvalRun) -> set[str]:
    """The ids of the tickets that an exam had asked before a decision that was there before this run."""
    earlier = select(Decision.candidate_run_id).where(
        Decision.assistant_id == run.assistant_id, col(Decision.created_at) < run.created_at
    )
    query = select(ExamAnswer.ticket_id).where(col(ExamAnswer.eval_run_id).in_(earlier)).distinct()
    return set(session.exec(query))
