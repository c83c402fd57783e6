"""What the gate said of candidates: kept for good, also when it refused."""

from typing import Any

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from feedback.assistants import Gate
from feedback.errors import NotFound
from feedback.tables import Adapter, Assistant, Decision, EvalRun


def every(session: Session, assistant: Assistant) -> list[Decision]:
    """An assistant's decisions, newest first."""
    return list(
        session.exec(
            select(Decision)
            .join(EvalRun, col(EvalRun.id) == Decision.candidate_run_id)
            .where(Decision.assistant_id == assistant.id, col(EvalRun.sealed).is_(False))
            .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
        )
    )


def get(session: Session, decision_id: str) -> Decision:
    """The decision, or NotFound."""
    found = session.get(Decision, decision_id)
    if found is None:
        raise unknown(decision_id)
    return found


def unknown(decision_id: str) -> NotFound:
    """The error for a decision that is not there, or not for whoever asks."""
    return NotFound(f"There is no decision {decision_id!r}. See `understudy evals decisions list`.")


def of_cycle(session: Session, cycle_id: str) -> Decision | None:
    """The decision a cycle led to, if it got that far."""
    return session.exec(
        select(Decision)
        .join(EvalRun, col(EvalRun.id) == Decision.candidate_run_id)
        .where(Decision.cycle_id == cycle_id, col(EvalRun.sealed).is_(False))
        .order_by(col(Decision.created_at).desc())
    ).first()


def of_adapter(session: Session, adapter: Adapter) -> Decision | None:
    """The newest decision on an adapter as a candidate, if it ever sat an exam."""
    return session.exec(
        select(Decision)
        .join(EvalRun, col(EvalRun.id) == Decision.candidate_run_id)
        .where(EvalRun.adapter_id == adapter.id, col(EvalRun.sealed).is_(False))
        .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
        .limit(1)
    ).first()


def sealed_of(session: Session, decision: Decision) -> Decision | None:
    """What the sealed tickets said of the same candidate, if its cycle asked them."""
    if decision.cycle_id is None:
        return None
    return session.exec(
        select(Decision)
        .join(EvalRun, col(EvalRun.id) == Decision.candidate_run_id)
        .where(
            Decision.cycle_id == decision.cycle_id,
            Decision.id != decision.id,
            col(EvalRun.sealed).is_(True),
        )
        .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
    ).first()


def runs_of(session: Session, decision: Decision) -> tuple[EvalRun, EvalRun]:
    """The two eval runs a decision rests on: the candidate's and live's."""
    return (
        session.get_one(EvalRun, decision.candidate_run_id),
        session.get_one(EvalRun, decision.live_run_id),
    )


def record(
    session: Session,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    gate: Gate,
    **verdict: Any,
) -> Decision:
    """Keep what the gate said, also when it refused. `verdict` names the decision's columns."""
    decision = Decision(
        assistant_id=assistant.id,
        cycle_id=candidate.cycle_id,
        candidate_run_id=candidate.id,
        live_run_id=live.id,
        gate=gate.model_dump(),
        **verdict,
    )
    session.add(decision)
    session.flush()
    return decision


def between(
    session: Session, assistant: Assistant, candidate_id: str | None, live_id: str | None
) -> Decision:
    """The newest decision on these two adapters (None: the base model), or NotFound: no exam held them."""
    ours, theirs = aliased(EvalRun), aliased(EvalRun)
    found = session.exec(
        select(Decision)
        .join(ours, col(ours.id) == Decision.candidate_run_id)
        .join(theirs, col(theirs.id) == Decision.live_run_id)
        .where(
            Decision.assistant_id == assistant.id,
            ours.adapter_id == candidate_id,
            theirs.adapter_id == live_id,
            col(ours.sealed).is_(False),
        )
        .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
    ).first()
    if found is None:
        raise NotFound(
            "These two have sat no exam together, and votes alone know nothing of rules and guardrails. "
            "`understudy evals compare` lets them."
        )
    return found


def on(session: Session, candidate: EvalRun, live: EvalRun) -> Decision | None:
    """What was decided on this very pair of runs before, if anything was."""
    return session.exec(
        select(Decision).where(
            Decision.candidate_run_id == candidate.id, Decision.live_run_id == live.id
        )
    ).first()
