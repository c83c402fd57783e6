"""The doors to exams' records: JSON over the API, and the page for operators at the console.

The service knows nothing of exams' records; whoever starts it hands it these (see `service.app.create_app`).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from evals import page, record
from evals.record_shapes import ExamRecord
from feedback import decisions
from feedback.database import reading
from feedback.tables import Decision
from service.console.session import Seat, seat
from service.permissions import OPERATORS, Caller, allow

api = APIRouter(prefix="/v1/decisions", tags=["operations"])
console = APIRouter(prefix="/console/{assistant}/decisions", include_in_schema=False)
DOORS = (api, console)
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]
OperatorHere = Annotated[Seat, Depends(seat(*OPERATORS))]


@api.get("/{decision_id}/report")
def read_report(request: Request, decision_id: str, caller: Operator) -> ExamRecord:
    """The record of an exam: verdict, people, hashes, every score and answer, lineage."""
    with reading(request.app.state.database) as session:
        return record.load(session, _decision_for(session, caller, decision_id))


@api.get("/{decision_id}/report.html", response_class=HTMLResponse)
def read_page(request: Request, decision_id: str, caller: Operator) -> HTMLResponse:
    """The same as one page that needs nothing else, to be read, kept and printed."""
    with reading(request.app.state.database) as session:
        told = record.load(session, _decision_for(session, caller, decision_id))
    return _page(told)


@console.get("/{decision_id}/report")
def show(request: Request, here: OperatorHere, decision_id: str) -> HTMLResponse:
    """The page of an exam's record."""
    return _page(_told(request, here, decision_id))


@console.get("/{decision_id}/report.json")
def download(request: Request, here: OperatorHere, decision_id: str) -> Response:
    """The same as JSON, to be kept."""
    told = _told(request, here, decision_id)
    file = f'attachment; filename="exam-{told.decision}.json"'
    return Response(
        told.model_dump_json(indent=2),
        media_type="application/json",
        headers={"Content-Disposition": file, "Cache-Control": "no-store"},
    )


def _told(request: Request, here: Seat, decision_id: str) -> ExamRecord:
    with reading(request.app.state.database) as session:
        decision = decisions.get(session, decision_id)
        if decision.assistant_id != here.desk.id:
            raise decisions.unknown(decision_id)
        return record.load(session, decision)


def _decision_for(session: Session, caller: Caller, decision_id: str) -> Decision:
    """The decision, if this caller operates its assistant; the same NotFound for another's and nobody's."""
    decision = decisions.get(session, decision_id)
    if caller.role_at(decision.assistant_id) is None:
        raise decisions.unknown(decision_id)
    return decision


def _page(told: ExamRecord) -> HTMLResponse:
    policy = f"{page.policy()}; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return HTMLResponse(page.html(told), headers=headers)
