"""Admins' page of what members of staff did, with filters and an export."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from feedback import assistants, audit
from feedback.database import reading
from service.console.pages import page
from service.console.session import Seat, seat
from service.people import entries_for
from service.permissions import ADMINS

router = APIRouter(prefix="/console/{assistant}/audit", include_in_schema=False)
Admin = Annotated[Seat, Depends(seat(*ADMINS))]
PAGE = 100


@router.get("")
def show(
    request: Request, here: Admin, actor: str = "", act: str = "", before: str = ""
) -> HTMLResponse:
    """Entries, newest first."""
    with reading(request.app.state.database) as session:
        found = entries_for(session, here.caller, actor, act, before, PAGE)
        names = {each.id: each.name for each in assistants.every(session)}
    older = found[-1].id if len(found) == PAGE else None
    return page(
        request, here, "audit.html", entries=found, names=names, actor=actor, act=act, older=older
    )


@router.get("/export")
def export(request: Request, here: Admin) -> PlainTextResponse:
    """The whole log as a table."""
    with reading(request.app.state.database) as session:
        text = audit.as_csv(entries_for(session, here.caller, limit=None))
    name = f"audit-{datetime.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text, media_type="text/csv; charset=utf-8", headers=headers)
