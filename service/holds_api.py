"""What operators do about held authors over REST: list the holds, release or reject one."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from feedback import audit, holds
from feedback.database import reading, writing
from feedback.trust_tables import Hold, HoldOutcome
from service.permissions import OPERATORS, Caller, allow, assistant_for
from service.shapes import Shape

router = APIRouter(prefix="/v1", tags=["operations"])
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


class HoldOut(Shape):
    """An author whose words wait, with the numbers behind the reason."""

    id: str
    author: str
    reason: str
    evidence: dict[str, Any]
    created_at: datetime
    outcome: str | None = Field(description="released or rejected; null while nobody has decided.")
    decided_by: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """The public side of a hold's row."""
        return cls(**{name: getattr(hold, name) for name in cls.model_fields})


class HoldDecision(Shape):
    """What a person makes of a held author's words."""

    outcome: HoldOutcome
    assistant: str | None = None


@router.get("/holds")
def list_holds(request: Request, caller: Operator, assistant: str | None = None) -> list[HoldOut]:
    """Authors whose words were held, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [HoldOut.of(each) for each in holds.every(session, owner)]


@router.post("/holds/{hold_id}")
def decide_hold(
    request: Request, hold_id: str, decision: HoldDecision, caller: Operator
) -> HoldOut:
    """Release an author's words, so that they teach, or reject them for good."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, decision.assistant)
        hold = holds.get(session, owner, hold_id)
        holds.decide(session, hold, decision.outcome, caller.name)
        actor = caller.actor(owner.id)
        audit.record(session, actor, f"hold.{hold.outcome}", f"words by {hold.author}", owner.id)
        return HoldOut.of(hold)
