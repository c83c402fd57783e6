"""Admins' page of members of staff: invite, give and take roles, new password links, shut out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import assistants, staff
from feedback.database import reading, writing
from feedback.errors import Denied, UnderstudyError
from feedback.tables import Role
from service.console.pages import page
from service.console.session import Seat, seat
from service.people_api import may_grant, note, password_link, person_for, staff_out
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
        everybody = [staff_out(session, person) for person in staff.every(session)]
        names = [each.name for each in assistants.every(session) if here.caller.role_at(each.id)]
    shown = [one for one in everybody if {EVERY, here.desk.name} & set(one.roles) or not one.roles]
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
            where = may_grant(session, here.caller, None if scope == EVERY else scope, role)
            person, secret = staff.invite(session, email, name, here.person.email)
            staff.grant(session, person, role, where, here.person.email)
            note(session, here.caller, where, "staff.invite", person.email, role=str(role))
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
    with writing(request.app.state.database) as session:
        found = person_for(session, here.caller, person)
        wanted = Role(role) if role in set(Role) else None
        where = may_grant(session, here.caller, None if scope == EVERY else scope, wanted)
        if found.id == here.person.id:
            raise Denied("You cannot change your own role; another admin can.")
        if wanted is None:
            staff.take_role(session, found, where)
        else:
            staff.grant(session, found, wanted, where, here.person.email)
        note(session, here.caller, where, "staff.role", found.email, role=role)
    return _back(here)


@router.post("/{person}/password-link")
def make_link(request: Request, here: Operator, person: str) -> Response:
    """A new link for choosing a password."""
    with writing(request.app.state.database) as session:
        found = person_for(session, here.caller, person)
        secret = staff.make_reset(session, found, here.person.email)
        note(session, here.caller, None, "staff.password_link", found.email)
    return _page(request, here, password_link(request, secret), found.email)


@router.post("/{person}/disable")
def disable(
    request: Request, here: Admin, person: str, disabled: Annotated[bool, Form()]
) -> Response:
    """Shut a person out, or let them in again."""
    with writing(request.app.state.database) as session:
        found = person_for(session, here.caller, person)
        if found.id == here.person.id:
            raise Denied("You cannot shut yourself out; another admin can.")
        staff.disable(session, found, disabled)
        note(
            session, here.caller, None, "staff.disable" if disabled else "staff.enable", found.email
        )
    return _back(here)


def _back(here: Seat) -> Response:
    return RedirectResponse(f"/console/{here.desk.name}/people", 303)
