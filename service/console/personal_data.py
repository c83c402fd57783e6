"""Personal data: what was found in feedback, what is looked for besides, and a box to try a text."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse

from feedback import redactions
from feedback.conversations import check_text
from feedback.database import reading
from feedback.learning import learning_of
from feedback.redaction import Redacted
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS
from service.redaction_api import MOST

router = APIRouter(prefix="/console/{assistant}/personal-data", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]


@router.get("")
def show(request: Request, here: Operator) -> HTMLResponse:
    """The report."""
    return _page(request, here)


@router.post("")
def try_text(request: Request, here: Operator, text: Annotated[str, Form()] = "") -> HTMLResponse:
    """The report, and what a text becomes. The text is not stored and not sent back."""
    [result] = redactions.redactor_of(here.desk).redact([check_text(text, "text")])
    return _page(request, here, result)


def _page(request: Request, here: Seat, tried: Redacted | None = None) -> HTMLResponse:
    with reading(request.app.state.database) as session:
        report = redactions.report(session, here.desk, MOST)
    return page(
        request,
        here,
        "personal_data.html",
        report=report,
        patterns=sorted(learning_of(here.desk).patterns.items()),
        tried=tried,
    )
