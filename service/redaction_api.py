"""The operators' door to personal data: what was found in feedback, and what a text would become."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from feedback import redactions
from feedback.conversations import check_text
from feedback.database import reading
from service.permissions import OPERATORS, Caller, allow, assistant_for
from service.redaction_shapes import NewTry, RedactionOut, RedactionReportOut

router = APIRouter(prefix="/v1", tags=["personal data"])
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]

MOST = 20_000
"""Texts that a report on a page counts; the command line counts all."""


@router.get("/redactions")
def read_report(
    request: Request, caller: Operator, assistant: str | None = None
) -> RedactionReportOut:
    """What was found in the texts that datasets may need: how many of each type, never a value.

    Of the first 20,000 texts; `understudy feedback redact --report` counts all.
    """
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return RedactionReportOut.of(redactions.report(session, owner, MOST))


@router.post("/redactions/try")
def try_text(request: Request, new: NewTry, caller: Operator) -> RedactionOut:
    """What a text becomes before it teaches, under the assistant's patterns. Nothing is stored."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
    [result] = redactions.redactor_of(owner).redact([check_text(new.text, "text")])
    return RedactionOut(text=result.text, found=result.found)
