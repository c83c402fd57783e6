"""Admins' page of members of staff: invite, give and take roles, new password links, shut out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import assistants
from feedback.database import reading, writing
from feedback.errors import UnderstudyError
from feedback.tables import Role
from service import people
from service.console.pages import page
from service.console.session import Seat, seat
from service.people_api import password_link
from service.permissions import ADMINS, OPERATORS

router = APIRouter(prefix="/console/{assistant}/people", include_in_schema=False)
Admin = Annotated[Seat, Depends(seat(*ADMINS))]
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
EVERY = "*"
"""In forms: for every assistant."""


@router.get("")
def show(request: Request, here: Operator) -> HTMLResponse:
    """Everybody with a role for this assistant, or for all."""
    return _page(request, here)


def _page(
    request: Request,
    here: Seat,
    link: str | None = None,
    of: str = "",
    error: str = "",
    status: int = 200,
) -> HTMLResponse:
    with reading(request.app.state.database) as session:
        shown = people.shown_to(session, here.caller, here.desk)
        names = [each.name for each in assistants.every(session) if here.caller.role_at(each.id)]
    return page(
        request,
        here,
        "people.html",
        status,
        people=shown,
        names=names,
        rules_all=here.caller.roles.get(None) == Role.ADMIN,
        link=link,
        of=of,
        error=error,
    )


@router.post("")
def invite(
    request: Request,
    here: Admin,
    email: Annotated[str, Form(max_length=200)],
    name: Annotated[str, Form(max_length=200)],
    role: Annotated[Role, Form()],
    scope: Annotated[str, Form()],
) -> Response:
    """Invite somebody; the page shows their link, once."""
    try:
        with writing(request.app.state.database) as session:
            person, secret = people.invite(session, here.caller, email, name, role, _named(scope))
    except UnderstudyError as problem:
        return _page(request, here, error=str(problem), status=422)
    return _page(request, here, password_link(request, secret), person.email)


@router.post("/{person}/role")
def change_role(
    request: Request,
    here: Admin,
    person: str,
    role: Annotated[str, Form()],
    scope: Annotated[str, Form()],
) -> Response:
    """Another role for a person, or none."""
    wanted = Role(role) if role in set(Role) else None
    with writing(request.app.state.database) as session:
        people.change_role(session, here.caller, person, wanted, _named(scope))
    return _back(here)


@router.post("/{person}/password-link")
def make_link(request: Request, here: Operator, person: str) -> Response:
    """A new link for choosing a password."""
    with writing(request.app.state.database) as session:
        found, secret = people.new_link(session, here.caller, person)
    return _page(request, here, password_link(request, secret), found.email)


@router.post("/{person}/disable")
def disable(
    request: Request, here: Admin, person: str, disabled: Annotated[bool, Form()]
) -> Response:
    """Shut a person out, or let them in again."""
    with writing(request.app.state.database) as session:
        people.disable(session, here.caller, person, disabled)
    return _back(here)


def _named(scope: str) -> str | None:
    return None if scope == EVERY else scope


def _back(here: Seat) -> Response:
    return RedirectResponse(f"/console/{here.desk.name}/people", 303)
