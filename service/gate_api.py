"""The gate over REST: its settings, what is left of its promise, and every look at the held-out tickets."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from feedback import assistants, audit, looks
from feedback.assistants import Gate
from feedback.database import reading, writing
from feedback.looks import Look
from feedback.spending import Budget
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for
from service.shapes import Shape

router = APIRouter(prefix="/v1", tags=["operations"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


class BudgetOut(Shape):
    """The chance that any worse adapter passes within so many days, and what is spent of it."""

    of: float
    days: float
    planned: int
    refused: int
    promoted: int
    spent: float
    left: float
    next: float = Field(description="The chance that the next look is given.")
    expected_wrong: float = Field(
        description="At most so many wrong promotions are expected from the looks of these days."
    )

    @classmethod
    def of_budget(cls, budget: Budget) -> Self:
        """Its public side."""
        return cls(**{name: getattr(budget, name) for name in cls.model_fields})


class LookOut(Shape):
    """One decision on a candidate, and what it was given of the chance."""

    decision_id: str
    adapter: str
    created_at: datetime
    promote: bool
    alpha: float
    evidence: float | None
    needed: float
    counts: bool = Field(description="Whether its part is still spent.")
    losing_topics: list[str]
    power: dict[str, Any] | None = Field(description="What its tickets could tell.")

    @classmethod
    def of(cls, look: Look) -> Self:
        """Its public side."""
        decision = look.decision
        alpha = decision.alpha or 1.0
        return cls(
            decision_id=decision.id,
            adapter=look.adapter,
            created_at=decision.created_at,
            promote=decision.promote,
            alpha=alpha,
            evidence=decision.evidence,
            needed=1 / alpha,
            counts=look.counts,
            losing_topics=decision.losing_topics,
            power=decision.detail.get("power"),
        )


class GateOut(Shape):
    """The gate as it stands."""

    gate: Gate
    budget: BudgetOut
    looks: list[LookOut]


class GateIn(Shape):
    """What a candidate must show from now on."""

    gate: Gate
    assistant: str | None = None


@router.get("/gate")
def show_gate(request: Request, caller: Staff, assistant: str | None = None) -> GateOut:
    """The gate's settings, what is left of its promise, and its looks, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        budget = looks.budget_of(session, owner)
        return GateOut(
            gate=assistants.gate_of(owner),
            budget=BudgetOut.of_budget(budget),
            looks=[LookOut.of(look) for look in looks.every(session, owner)],
        )


@router.put("/gate")
def set_gate(request: Request, wanted: GateIn, caller: Operator) -> Gate:
    """Change what a candidate must show. What is not given takes its default."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, wanted.assistant)
        changed = assistants.change(session, owner, gate=wanted.gate.model_dump())
        if changed:
            before, after = changed["gate"]
            actor = caller.actor(owner.id)
            subject = f"{owner.name}: gate"
            audit.record(
                session, actor, "assistant.change", subject, owner.id, before=before, after=after
            )
    return wanted.gate
