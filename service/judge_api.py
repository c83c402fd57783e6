"""The operators' door to judges: what they made of a candidate, and how far they agree with people.

It reads; models are asked by exams and by `understudy evals judge`.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlmodel import Session

from feedback import judgements
from feedback.database import reading
from feedback.errors import NotFound
from feedback.tables import Decision
from service.judge_shapes import JudgeCheckOut, JudgeTallyOut
from service.permissions import STAFF, Caller, allow, assistant_for

router = APIRouter(prefix="/v1", tags=["operations"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]


@router.get("/decisions/{decision_id}/judgements")
def list_judgements(
    request: Request, decision_id: str, caller: Staff, assistant: str | None = None
) -> list[JudgeTallyOut]:
    """What each judging model made of both answers to a decision's tickets; empty when none was asked."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        decision = _own(session, owner.id, decision_id)
        return [JudgeTallyOut.of(each) for each in judgements.tallies(session, decision)]


@router.get("/judge-checks")
def list_judge_checks(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[JudgeCheckOut]:
    """How far judging models agreed with people whenever somebody looked, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [JudgeCheckOut.of(each) for each in judgements.checks(session, owner)]


def _own(session: Session, assistant_id: str, decision_id: str) -> Decision:
    """This assistant's decision; the same NotFound for another's and for nobody's."""
    found = session.get(Decision, decision_id)
    if found is None or found.assistant_id != assistant_id:
        raise NotFound(f"There is no decision {decision_id!r}.")
    return found
