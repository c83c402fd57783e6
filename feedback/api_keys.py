"""API keys: made on the command line, shown once, stored as a hash.

A key is 256 random bits, so a plain SHA-256 is enough: there is nothing to guess and a lookup stays
one indexed read.
"""

import hashlib
import secrets

from sqlmodel import Session, col, select

from feedback import staff
from feedback.desk_tables import Staff
from feedback.errors import Invalid, NotFound, Unauthenticated
from feedback.tables import ApiKey, Assistant, Role, now


def sha256(token: str) -> str:
    """How a key is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def create(
    session: Session,
    name: str,
    role: Role,
    assistant: Assistant | None = None,
    person: Staff | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is never shown again.

    With `person` it acts for a member of staff: under their name, and never beyond what they may do.
    """
    if person is not None and role == Role.CUSTOMER:
        raise Invalid("A customer's key acts for nobody; give it without a member of staff.")
    token = f"us-{role}-{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        role=role,
        assistant_id=assistant.id if assistant else None,
        staff_id=person.id if person else None,
        hint=f"…{token[-4:]}",
        sha256=sha256(token),
    )
    session.add(key)
    session.flush()
    return key, token


def identify(session: Session, token: str) -> ApiKey:
    """The key behind a secret, or Unauthenticated."""
    key = session.exec(select(ApiKey).where(ApiKey.sha256 == sha256(token))).first()
    if key is None or key.revoked_at is not None:
        raise Unauthenticated(
            "This API key is unknown or revoked. Make one with "
            "`understudy feedback keys create --role customer --name …`."
        )
    return key


def owner(session: Session, key: ApiKey) -> Staff | None:
    """The person a key acts for; Unauthenticated when they were shut out."""
    if key.staff_id is None:
        return None
    person = session.get_one(Staff, key.staff_id)
    if person.disabled_at is not None:
        raise Unauthenticated("This API key's owner may not sign in any more.")
    return person


def roles_of_owner(session: Session, key: ApiKey, person: Staff) -> staff.Roles:
    """What a personal key may do now: its own role and assistant, within its owner's roles."""
    held = staff.roles_of(session, person)
    if key.assistant_id is not None:
        theirs = staff.role_at(held, key.assistant_id)
        held = {key.assistant_id: theirs} if theirs else {}
    return {where: min(role, Role(key.role), key=staff.rank) for where, role in held.items()}


def every(session: Session) -> list[ApiKey]:
    """All keys, oldest first."""
    return list(session.exec(select(ApiKey).order_by(col(ApiKey.created_at))))


def revoke(session: Session, key_id: str) -> ApiKey:
    """The key stops working (elsewhere within SERVICE_REMEMBER_SECONDS); its row stays: messages name it."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"There is no API key {key_id!r}. See `understudy feedback keys list`.")
    key.revoked_at = key.revoked_at or now()
    session.add(key)
    return key
