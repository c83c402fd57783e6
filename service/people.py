"""What admins do with people: invite, give roles, make links, shut out. Each act is checked and audited.

The API (people_api.py) and the console (console/people.py) are two doors to these.
"""

from sqlmodel import Session

from feedback import assistants, audit, staff
from feedback.desk_tables import AuditEntry, Staff
from feedback.errors import Denied, NotFound
from feedback.staff import Roles
from feedback.tables import Assistant, Role
from service.people_shapes import StaffOut
from service.permissions import ADMINS, Caller, assistant_for


def invite(
    session: Session, caller: Caller, email: str, name: str, role: Role, assistant: str | None
) -> tuple[Staff, str]:
    """A new person with a first role, and the secret of the link for their password."""
    scope = may_grant(session, caller, assistant)
    person, secret = staff.invite(session, email, name, caller.name)
    staff.grant(session, person, role, scope, caller.name)
    note(session, caller, scope, "staff.invite", person.email, role=str(role))
    return person, secret


def change_role(
    session: Session, caller: Caller, email_or_id: str, role: Role | None, assistant: str | None
) -> Staff:
    """Another role for a person, or none."""
    person = person_for(session, caller, email_or_id)
    scope = may_grant(session, caller, assistant)
    if person.id == caller.staff_id:
        raise Denied("You cannot change your own role; another admin can.")
    if role is None:
        staff.take_role(session, person, scope)
    else:
        staff.grant(session, person, role, scope, caller.name)
    note(session, caller, scope, "staff.role", person.email, role=str(role or "none"))
    return person


def new_link(session: Session, caller: Caller, email_or_id: str) -> tuple[Staff, str]:
    """A new link with which a person chooses a password; older ones end."""
    person = person_for(session, caller, email_or_id)
    secret = staff.make_reset(session, person, caller.name)
    note(session, caller, None, "staff.password_link", person.email)
    return person, secret


def disable(session: Session, caller: Caller, email_or_id: str, disabled: bool = True) -> Staff:
    """Shut a person out at once, or let them in again."""
    person = person_for(session, caller, email_or_id)
    if person.id == caller.staff_id:
        raise Denied("You cannot shut yourself out; another admin can.")
    note(session, caller, None, "staff.disable" if disabled else "staff.enable", person.email)
    return staff.disable(session, person, disabled)


def may_grant(session: Session, caller: Caller, assistant: str | None) -> Assistant | None:
    """The assistant a role is for (None: all); Denied beyond what the admin may do themselves."""
    if assistant is None:
        if caller.roles.get(None) != Role.ADMIN:
            raise Denied("Only an admin of every assistant gives roles for every assistant.")
        return None
    return assistant_for(session, caller, assistant)


def person_for(session: Session, caller: Caller, email_or_id: str) -> Staff:
    """A person this caller may change: one who may do no more than they, where they may do it.

    Who works only for other assistants is not there: a caller must not learn of them. Somebody without
    any role is nobody's below: whoever set their password would keep the account when they are given a
    role elsewhere. So only an admin of everything changes it, or whoever let them in.
    """
    person = staff.get(session, email_or_id)
    roles = staff.roles_of(session, person)
    if not _is_known(caller, roles):
        raise NotFound(f"There is no member of staff {email_or_id!r}.")
    if not roles and not _may_change_without_role(session, caller, person):
        raise Denied(
            f"{person.email} has no role; only an admin of every assistant, or whoever invited them, "
            "changes that account."
        )
    for scope, role in roles.items():
        mine = caller.roles.get(None) if scope is None else staff.role_at(caller.roles, scope)
        if mine is None:
            raise Denied(
                f"{person.email} works for more than your assistants; only an admin of all of "
                "theirs can change that account."
            )
        if staff.rank(role) > staff.rank(mine) or (role == mine != Role.ADMIN):
            raise Denied(f"{person.email} has the role {role}; you cannot change that account.")
    return person


def _is_known(caller: Caller, roles: Roles) -> bool:
    """Whether somebody works for one of the caller's assistants, for all, or for none."""
    return not roles or any(scope is None or caller.role_at(scope) for scope in roles)


def _may_change_without_role(session: Session, caller: Caller, person: Staff) -> bool:
    if caller.roles.get(None) == Role.ADMIN:
        return True
    # Only people: a key's name is nobody's, two keys may share it.
    return caller.staff_id is not None and staff.invited_by(session, person) == caller.name


def shown_to(session: Session, caller: Caller, owner: Assistant | None = None) -> list[StaffOut]:
    """Whom a caller may know of: with a role for all assistants or for one they look after.

    With `owner` that one assistant; somebody without a role is shown to those who may give them one.
    """
    owners = [owner] if owner else assistants.every(session)
    theirs = {each.id for each in owners if caller.role_at(each.id)}
    found = []
    for person in staff.every(session):
        roles = staff.roles_of(session, person)
        known = bool(theirs & set(roles)) or (None in roles and owner is not None)
        if not roles:
            known = _may_change_without_role(session, caller, person)
        if known or (owner is None and caller.roles.get(None) == Role.ADMIN):
            found.append(staff_out(session, caller, person))
    return found


def staff_out(session: Session, caller: Caller, person: Staff, link: str | None = None) -> StaffOut:
    """A person with their roles by the assistants' names; of other assistants nothing is told."""
    names: dict[str | None, str] = {
        each.id: each.name
        for each in assistants.every(session)
        if staff.role_at(caller.roles, each.id)
    }
    names[None] = "*"
    roles = staff.roles_of(session, person)
    return StaffOut(
        id=person.id,
        email=person.email,
        name=person.name,
        roles={names[scope]: str(role) for scope, role in roles.items() if scope in names},
        disabled_at=person.disabled_at,
        created_at=person.created_at,
        password_link=link,
    )


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
