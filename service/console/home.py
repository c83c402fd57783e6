"""The first page: straight to one's only assistant, or all of them in a table, one click from each."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from feedback import glance, staff
from feedback.database import reading
from feedback.tables import Assistant, Role
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("")
def show(request: Request, here: Annotated[Seat, Depends(seat(*STAFF))]) -> Response:
    """Where somebody belongs."""
    if not here.assistants:
        return page(request, here, "nothing_yet.html")
    if len(here.assistants) == 1:
        return RedirectResponse(start_of(here, here.assistants[0]), 303)
    with reading(request.app.state.database) as session:
        lines = glance.of_each(session, here.assistants)
    return page(
        request,
        here,
        "home.html",
        lines=[(one, staff.role_at(here.caller.roles, one.assistant.id)) for one in lines],
        starts={each.id: start_of(here, each) for each in here.assistants},
    )


def start_of(here: Seat, assistant: Assistant) -> str:
    """Operators begin with the overview, agents with the inbox."""
    role = staff.role_at(here.caller.roles, assistant.id)
    start = "inbox" if role == Role.AGENT else "overview"
    return f"/console/{assistant.name}/{start}"
