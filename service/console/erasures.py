"""Erasures: what taking a person out would do, doing it, and the certificates."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from feedback import certificate, erasing, erasure, erasures, lineage, whose_words
from feedback.database import reading, writing
from feedback.errors import Invalid, NotFound
from service.console import forms
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/erasures", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Whose = Annotated[str, Form(max_length=200)]


@router.get("")
def show_all(
    request: Request, here: Operator, done: str = "", customer: str = "", conversation: str = ""
) -> HTMLResponse:
    """Every erasure, newest first, and the form for another."""
    return _page(request, here, customer, conversation, said=forms.said(done))


def _page(
    request: Request, here: Seat, customer: str, conversation: str, status: int = 200, **more: Any
) -> HTMLResponse:
    with reading(request.app.state.database) as session:
        found = [
            (row, certificate.row(row)) for row in erasures.every(session, here.desk, limit=100)
        ]
    context = {"said": None, "error": None, "shown": None, "learned": []} | more
    return page(
        request, here, "erasures.html", status,
        found=found, customer=customer, conversation=conversation, **context,
    )  # fmt: skip


@router.post("/preview")
def preview(
    request: Request, here: Operator, customer: Whose = "", conversation: Whose = ""
) -> HTMLResponse:
    """What would go, in numbers, and what learned from them. Changes nothing."""
    try:
        with writing(request.app.state.database) as session:
            subject = whose_words.subject_of(
                session, here.desk, customer or None, conversation or None
            )
            told = erasure.preview(session, here.desk, subject, here.caller.actor(here.desk.id))
            learned = lineage.learned_from_talks(session, subject.whose)
    except Invalid as problem:
        return _page(request, here, customer, conversation, 422, error=str(problem))
    except NotFound as problem:
        return _page(request, here, customer, conversation, 404, error=str(problem))
    return _page(
        request, here, customer, conversation, shown=certificate.counted(told), learned=learned
    )


@router.post("")
def erase(
    request: Request,
    here: Operator,
    customer: Whose = "",
    conversation: Whose = "",
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Take them out of the database; the loop does the files."""
    why = forms.reason_given(reason)
    with reading(request.app.state.database) as session:
        subject = whose_words.subject_of(session, here.desk, customer or None, conversation or None)
    actor = here.caller.actor(here.desk.id)
    row = erasing.erase(request.app.state.database, here.desk, subject, actor, why)
    return forms.back(here, f"erasures/{row.id}", "erased")


@router.get("/{erasure_id}")
def show(request: Request, here: Operator, erasure_id: str, done: str = "") -> HTMLResponse:
    """One certificate."""
    with reading(request.app.state.database) as session:
        row = erasures.get(session, erasure_id, here.desk)
    return page(
        request, here, "erasure.html",
        row=row, told=certificate.sections(row), said=forms.said(done),
        waits=None if row.finished_at else erasing.wait_reason(row),
    )  # fmt: skip


@router.get("/{erasure_id}/certificate")
def take_home(request: Request, here: Operator, erasure_id: str) -> PlainTextResponse:
    """The certificate as a text to keep."""
    with reading(request.app.state.database) as session:
        row = erasures.get(session, erasure_id, here.desk)
    headers = {"Content-Disposition": f'attachment; filename="erasure-{row.id}.md"'}
    return PlainTextResponse(
        certificate.as_text(row), media_type="text/markdown; charset=utf-8", headers=headers
    )
