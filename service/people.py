"""What admins do with people: invite, give roles, make links, shut out. Each act is checked and audited.

The API (people_api.py) and the console (console/people.py) are two doors to these.
"""

from sqlmodel import Session

from feedback import assistants, audit, staff
from feedback.desk_tables import AuditEntry, Staff
from feedback.errors import Denied, NotFound
from feedback.staff import Roles
from feedback.tables import Assistant, Role
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

    Who works only for other assistants is not there: a caller must not learn of them.
    """
    person = staff.get(session, email_or_id)
    roles = staff.roles_of(session, person)
    if not _is_known(caller, roles):
        raise NotFound(f"There is no member of staff {email_or_id!r}.")
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


def known(session: Session, caller: Caller) -> list[Staff]:
    """Everybody this caller may know of, by name."""
    everybody = staff.every(session)
    return [person for person in everybody if _is_known(caller, staff.roles_of(session, person))]


def _is_known(caller: Caller, roles: Roles) -> bool:
    """Whether somebody works for one of the caller's assistants, for all, or for none."""
    return not roles or any(scope is None or caller.role_at(scope) for scope in roles)


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
