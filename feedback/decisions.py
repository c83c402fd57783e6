"""What the gate said of candidates: kept for good, also when it refused."""

from sqlmodel import Session, col, select

from feedback.errors import NotFound
from feedback.tables import Assistant, Decision


def every(session: Session, assistant: Assistant) -> list[Decision]:
    """An assistant's decisions, newest first."""
    return list(
        session.exec(
            select(Decision)
            .where(Decision.assistant_id == assistant.id)
            .order_by(col(Decision.created_at).desc(), col(Decision.id).desc())
        )
    )


def get(session: Session, decision_id: str) -> Decision:
    """The decision, or NotFound."""
    found = session.get(Decision, decision_id)
    if found is None:
        raise NotFound(f"There is no decision {decision_id!r}.")
    return found


def of_cycle(session: Session, cycle_id: str) -> Decision | None:
    """The decision a cycle led to, if it got that far."""
    return session.exec(
        select(Decision)
        .where(Decision.cycle_id == cycle_id)
        .order_by(col(Decision.created_at).desc())
    ).first()
