"""The admins' door: members of staff and their roles, sites with the widget, the audit log."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse
from sqlmodel import Session

from feedback import assistants, audit, sites, staff
from feedback.database import reading, writing
from feedback.desk_tables import AuditEntry, Staff
from feedback.errors import Denied, NotFound
from feedback.tables import Assistant, Role
from service import visitors
from service.permissions import ADMINS, OPERATORS, Caller, allow, assistant_for
from service.shapes import AuditOut, NewRole, NewSite, NewStaff, SiteOut, StaffOut

router = APIRouter(prefix="/v1", tags=["people"])
Admin = Annotated[Caller, Depends(allow(*ADMINS))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.get("/staff")
def list_staff(request: Request, caller: Admin) -> list[StaffOut]:
    """Members of staff: all for an admin of everything, else those of the admin's assistants."""
    with reading(request.app.state.database) as session:
        found = [staff_out(session, person) for person in staff.every(session)]
        if None in caller.roles:
            return found
        theirs = {each.name for each in assistants.every(session) if caller.role_at(each.id)}
        return [one for one in found if theirs & set(one.roles)]


@router.post("/staff", status_code=201)
def invite(request: Request, new: NewStaff, caller: Admin) -> StaffOut:
    """Invite a person. The answer holds the link with which they choose a password, once."""
    with writing(request.app.state.database) as session:
        scope = may_grant(session, caller, new.assistant, new.role)
        person, secret = staff.invite(session, new.email, new.name, caller.name)
        staff.grant(session, person, new.role, scope, caller.name)
        note(session, caller, scope, "staff.invite", person.email, role=str(new.role))
        return staff_out(session, person, password_link(request, secret))


@router.post("/staff/{person}/role", status_code=201)
def change_role(request: Request, person: str, new: NewRole, caller: Admin) -> StaffOut:
    """Give a person a role for an assistant, or take it away."""
    with writing(request.app.state.database) as session:
        found = person_for(session, caller, person)
        scope = may_grant(session, caller, new.assistant, new.role)
        if new.role is None:
            staff.take_role(session, found, scope)
        else:
            staff.grant(session, found, new.role, scope, caller.name)
        note(session, caller, scope, "staff.role", found.email, role=str(new.role or "none"))
        return staff_out(session, found)


@router.post("/staff/{person}/password-link", status_code=201)
def reset_password(request: Request, person: str, caller: Operator) -> StaffOut:
    """A new link with which a person chooses a password. Operators may make one for agents."""
    with writing(request.app.state.database) as session:
        found = person_for(session, caller, person)
        secret = staff.make_reset(session, found, caller.name)
        note(session, caller, None, "staff.password_link", found.email)
        return staff_out(session, found, password_link(request, secret))


@router.post("/staff/{person}/disable", status_code=201)
def disable(request: Request, person: str, caller: Admin) -> StaffOut:
    """Shut a person out at once, on every device."""
    return _disable(request, person, caller, True)


@router.post("/staff/{person}/enable", status_code=201)
def enable(request: Request, person: str, caller: Admin) -> StaffOut:
    """Let a person in again."""
    return _disable(request, person, caller, False)


def _disable(request: Request, person: str, caller: Caller, disabled: bool) -> StaffOut:
    with writing(request.app.state.database) as session:
        found = person_for(session, caller, person)
        if found.id == caller.staff_id:
            raise Denied("You cannot shut yourself out; another admin can.")
        staff.disable(session, found, disabled)
        note(session, caller, None, "staff.disable" if disabled else "staff.enable", found.email)
        return staff_out(session, session.get_one(Staff, found.id))


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
        note(session, caller, owner, "site.create", f"site {site.name}")
        return SiteOut.of(site, visitors.identity_secret(request.app.state.secret, site))


@router.post("/sites/{site_id}/revoke", status_code=201)
def revoke_site(request: Request, site_id: str, caller: Admin) -> SiteOut:
    """The widget stops working there at once."""
    with writing(request.app.state.database) as session:
        site = sites.get(session, site_id)
        if caller.role_at(site.assistant_id) is None:
            raise NotFound(f"There is no site {site_id!r}.")
        owner = session.get_one(Assistant, site.assistant_id)
        note(session, caller, owner, "site.revoke", f"site {site.name}")
        return SiteOut.of(sites.revoke(session, site))


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
        found = entries_for(session, caller, actor, act, before, limit)
        return [AuditOut.of(entry) for entry in found]


@router.get("/audit.csv", response_class=PlainTextResponse)
def export_audit(request: Request, caller: Admin) -> PlainTextResponse:
    """The whole audit log as a table."""
    with reading(request.app.state.database) as session:
        text = audit.as_csv(entries_for(session, caller, limit=None))
    name = f"audit-{datetime.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


def entries_for(
    session: Session,
    caller: Caller,
    actor: str | None = None,
    act: str | None = None,
    before: str | None = None,
    limit: int | None = 100,
) -> list[AuditEntry]:
    """What this admin may read: everything, or what concerns their assistants."""
    theirs = None
    if caller.roles.get(None) not in ADMINS:
        theirs = [each.id for each in assistants.every(session) if caller.role_at(each.id)]
    return audit.every(session, theirs, actor, act, before, limit)


def may_grant(
    session: Session, caller: Caller, assistant: str | None, role: Role | None
) -> Assistant | None:
    """The assistant a role is for (None: all); Denied beyond what the admin may do themselves."""
    if assistant is None:
        if caller.roles.get(None) != Role.ADMIN:
            raise Denied("Only an admin of every assistant gives roles for every assistant.")
        return None
    return assistant_for(session, caller, assistant)


def person_for(session: Session, caller: Caller, email_or_id: str) -> Staff:
    """A person this caller may change: one who may do no more than they, where they may do it."""
    person = staff.get(session, email_or_id)
    for scope, role in staff.roles_of(session, person).items():
        mine = caller.roles.get(None) if scope is None else staff.role_at(caller.roles, scope)
        too_high = mine is None or staff.rank(role) > staff.rank(mine)
        if too_high or (role == mine != Role.ADMIN):
            raise Denied(f"{person.email} has the role {role}; you cannot change that account.")
    return person


def note(
    session: Session,
    caller: Caller,
    owner: Assistant | None,
    act: str,
    subject: str,
    **detail: str,
) -> None:
    """Into the audit log."""
    scope = owner.id if owner else None
    audit.record(session, caller.actor(scope), act, subject, scope, **detail)


def password_link(request: Request, secret: str) -> str:
    """Where a password is chosen. The secret is in the fragment-free path, used once."""
    base = request.app.state.settings.public_url or str(request.base_url)
    return f"{base.rstrip('/')}/console/password/{secret}"


def staff_out(session: Session, person: Staff, link: str | None = None) -> StaffOut:
    """A person with their roles by the assistants' names."""
    names: dict[str | None, str] = {each.id: each.name for each in assistants.every(session)}
    names[None] = "*"
    roles = {names[scope]: str(role) for scope, role in staff.roles_of(session, person).items()}
    return StaffOut(
        id=person.id,
        email=person.email,
        name=person.name,
        roles=roles,
        disabled_at=person.disabled_at,
        created_at=person.created_at,
        password_link=link,
    )
