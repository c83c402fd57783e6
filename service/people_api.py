"""The admins' door: members of staff and their roles, sites with the widget, the audit log."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse
from sqlmodel import Session

from feedback import audit, sites
from feedback.database import reading, writing
from feedback.desk_tables import Site
from feedback.errors import NotFound
from feedback.tables import Assistant
from service import people, visitors
from service.people_shapes import (
    AuditOut,
    NewRole,
    NewSite,
    NewStaff,
    SiteChange,
    SiteOut,
    StaffOut,
)
from service.permissions import ADMINS, OPERATORS, Caller, allow, assistant_for

router = APIRouter(prefix="/v1", tags=["people"])
Admin = Annotated[Caller, Depends(allow(*ADMINS))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.get("/staff")
def list_staff(request: Request, caller: Admin) -> list[StaffOut]:
    """Members of staff: all for an admin of everything, else those of the admin's assistants.

    Roles for other assistants are not told.
    """
    with reading(request.app.state.database) as session:
        return people.shown_to(session, caller)


@router.post("/staff", status_code=201)
def invite(request: Request, new: NewStaff, caller: Admin) -> StaffOut:
    """Invite a person. The answer holds the link with which they choose a password, once."""
    with writing(request.app.state.database) as session:
        person, secret = people.invite(
            session, caller, new.email, new.name, new.role, new.assistant
        )
        return people.staff_out(session, caller, person, password_link(request, secret))


@router.post("/staff/{person}/role", status_code=201)
def change_role(request: Request, person: str, new: NewRole, caller: Admin) -> StaffOut:
    """Give a person a role for an assistant, or take it away."""
    with writing(request.app.state.database) as session:
        found = people.change_role(session, caller, person, new.role, new.assistant)
        return people.staff_out(session, caller, found)


@router.post("/staff/{person}/password-link", status_code=201)
def reset_password(request: Request, person: str, caller: Operator) -> StaffOut:
    """A new link with which a person chooses a password. Operators may make one for agents."""
    with writing(request.app.state.database) as session:
        found, secret = people.new_link(session, caller, person)
        return people.staff_out(session, caller, found, password_link(request, secret))


@router.post("/staff/{person}/disable", status_code=201)
def disable(request: Request, person: str, caller: Admin) -> StaffOut:
    """Shut a person out at once, on every device."""
    with writing(request.app.state.database) as session:
        return people.staff_out(session, caller, people.disable(session, caller, person))


@router.post("/staff/{person}/enable", status_code=201)
def enable(request: Request, person: str, caller: Admin) -> StaffOut:
    """Let a person in again."""
    with writing(request.app.state.database) as session:
        return people.staff_out(
            session, caller, people.disable(session, caller, person, disabled=False)
        )


@router.get("/sites")
def list_sites(request: Request, caller: Operator, assistant: str | None = None) -> list[SiteOut]:
    """Websites with the widget on them, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [SiteOut.of(site) for site in sites.every(session, owner)]


@router.post("/sites", status_code=201)
def create_site(request: Request, new: NewSite, caller: Admin) -> SiteOut:
    """A new site: its key goes into the script tag, its identity secret onto its server."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        site = sites.create(session, owner, new.name, new.origins, new.look)
        people.note(session, caller, owner, "site.create", f"site {site.name}")
        return SiteOut.of(site, visitors.identity_secret(request.app.state.secret, site))


@router.patch("/sites/{site_id}")
def change_site(request: Request, site_id: str, new: SiteChange, caller: Admin) -> SiteOut:
    """Other origins, another look, other wordings; what is left out stays, and so does the key."""
    with writing(request.app.state.database) as session:
        site = _site(session, caller, site_id)
        owner = session.get_one(Assistant, site.assistant_id)
        origins = site.origins if new.origins is None else new.origins
        look = sites.check_look({**site.look, **new.look})
        people.note(session, caller, owner, "site.change", f"site {site.name}")
        return SiteOut.of(sites.change(session, site, origins, look))


@router.post("/sites/{site_id}/revoke", status_code=201)
def revoke_site(request: Request, site_id: str, caller: Admin) -> SiteOut:
    """The widget stops working there at once."""
    with writing(request.app.state.database) as session:
        site = _site(session, caller, site_id)
        owner = session.get_one(Assistant, site.assistant_id)
        people.note(session, caller, owner, "site.revoke", f"site {site.name}")
        return SiteOut.of(sites.revoke(session, site))


def _site(session: Session, caller: Caller, site_id: str) -> Site:
    site = sites.get(session, site_id)
    if caller.role_at(site.assistant_id) is None:
        raise NotFound(f"There is no site {site_id!r}.")
    return site


@router.get("/audit")
def read_audit(
    request: Request,
    caller: Admin,
    actor: str | None = None,
    act: str | None = None,
    before: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditOut]:
    """What members of staff did, newest first."""
    with reading(request.app.state.database) as session:
        found = people.entries_for(session, caller, actor, act, before, limit)
        return [AuditOut.of(entry) for entry in found]


@router.get("/audit.csv", response_class=PlainTextResponse)
def export_audit(request: Request, caller: Admin) -> PlainTextResponse:
    """The whole audit log as a table."""
    with reading(request.app.state.database) as session:
        text = audit.as_csv(people.entries_for(session, caller, limit=None))
    name = f"audit-{datetime.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


def password_link(request: Request, secret: str) -> str:
    """Where a password is chosen; the secret in it works once."""
    base = request.app.state.settings.public_url or str(request.base_url)
    return f"{base.rstrip('/')}/console/password/{secret}"
