"""People who sign in: who they are, how they prove it, what they may do.

Passwords are hashed with argon2id by argon2-cffi at the library's own cost. Who is signed in right now
is staff_sessions.py's business. A role holds for one assistant, or for all; a higher one includes the
lower ones.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, col, select

from feedback import handovers, reviews
from feedback.conversations import check_name
from feedback.desk_tables import PasswordReset, Staff, StaffRole, StaffSession
from feedback.errors import Conflict, Invalid, NotFound
from feedback.settings import feedback_settings
from feedback.tables import Assistant, Role, now

STAFF_ROLES = (Role.AGENT, Role.OPERATOR, Role.ADMIN)
HASHER = PasswordHasher()
NOBODY = HASHER.hash(secrets.token_urlsafe())
"""What a password is held against when there is no such person, so that both take as long."""

Roles = dict[str | None, Role]
"""A person's role by assistant; the key None means every assistant."""


def rank(role: Role) -> int:
    """Where a role stands: a higher one may do all that a lower one may."""
    return list(Role).index(role)


def check_email(email: str) -> str:
    """The address in lower case, or Invalid if it cannot be one."""
    email = check_name(email, "e-mail address").lower()
    name, at, host = email.partition("@")
    if not (name and at and "." in host) or any(char.isspace() for char in email):
        raise Invalid(f"Found the e-mail address {email!r}; expected one like mara@example.com.")
    return email


def invite(session: Session, email: str, name: str, made_by: str) -> tuple[Staff, str]:
    """A new person, and the secret of the link with which they choose their password."""
    email = check_email(email)
    if find(session, email):
        raise Conflict(f"{email!r} is a member of staff already.")
    person = Staff(email=email, name=check_name(name, "name"))
    session.add(person)
    session.flush()
    return person, make_reset(session, person, made_by)


def find(session: Session, email: str) -> Staff | None:
    """The person with this address, if there is one."""
    return session.exec(select(Staff).where(Staff.email == email.strip().lower())).first()


def get(session: Session, email_or_id: str) -> Staff:
    """The person with this address or id, or NotFound."""
    found = session.get(Staff, email_or_id) or find(session, email_or_id)
    if found is None:
        raise NotFound(f"There is no member of staff {email_or_id!r}.")
    return found


def every(session: Session) -> list[Staff]:
    """Everybody, by name."""
    return list(session.exec(select(Staff).order_by(col(Staff.name), col(Staff.id))))


def invited_by(session: Session, person: Staff) -> str | None:
    """Who let a person in: the maker of their first link."""
    return session.exec(
        select(PasswordReset.made_by)
        .where(PasswordReset.staff_id == person.id)
        .order_by(col(PasswordReset.created_at), col(PasswordReset.id))
        .limit(1)
    ).first()


def roles_of(session: Session, person: Staff) -> Roles:
    """What a person may do, by assistant."""
    found = session.exec(select(StaffRole).where(StaffRole.staff_id == person.id))
    return {row.assistant_id: Role(row.role) for row in found}


def role_at(roles: Roles, assistant_id: str) -> Role | None:
    """The highest role that holds for an assistant."""
    held = [roles[key] for key in (assistant_id, None) if key in roles]
    return max(held, key=rank, default=None)


def grant(
    session: Session, person: Staff, role: Role, assistant: Assistant | None, granted_by: str
) -> StaffRole:
    """Give a person a role for one assistant (None: all of them), in place of the one they had."""
    if role not in STAFF_ROLES:
        raise Invalid(f"Found the role {role!s}; expected one of {', '.join(STAFF_ROLES)}.")
    _drop_role(session, person, assistant)
    row = StaffRole(
        staff_id=person.id,
        assistant_id=assistant.id if assistant else None,
        role=role,
        granted_by=granted_by,
    )
    session.add(row)
    session.flush()
    return row


def take_role(session: Session, person: Staff, assistant: Assistant | None) -> None:
    """Take away a person's role for one assistant (None: the one for all).

    Where none is left to them, what they had there waits for somebody who may see it.
    """
    _drop_role(session, person, assistant)
    left = roles_of(session, person)
    for each in session.exec(select(Assistant).order_by(col(Assistant.id))).all():
        if role_at(left, each.id) is None:
            handovers.put_back(session, person, each.id)
            reviews.let_go(session, person, each.id)


def _drop_role(session: Session, person: Staff, assistant: Assistant | None) -> None:
    held = select(StaffRole).where(
        StaffRole.staff_id == person.id,
        StaffRole.assistant_id == (assistant.id if assistant else None),
    )
    for row in session.exec(held):
        session.delete(row)
    session.flush()


def disable(session: Session, person: Staff, disabled: bool = True) -> Staff:
    """Shut a person out at once, or let them in again.

    Their sessions end; their conversations and what they were to review wait for somebody else.
    """
    person = session.get_one(Staff, person.id)
    person.disabled_at = now() if disabled else None
    if disabled:
        end_sessions(session, person)
        handovers.put_back(session, person)
        reviews.let_go(session, person)
    return person


def end_sessions(session: Session, person: Staff) -> None:
    """Sign a person out everywhere."""
    running = select(StaffSession).where(
        StaffSession.staff_id == person.id, col(StaffSession.ended_at).is_(None)
    )
    for row in session.exec(running):
        row.ended_at = now()


# Passwords


def make_reset(session: Session, person: Staff, made_by: str) -> str:
    """The secret of a link with which a person chooses a password, once. Older links end."""
    for older in session.exec(select(PasswordReset).where(PasswordReset.staff_id == person.id)):
        older.used_at = older.used_at or now()
    secret = secrets.token_urlsafe(32)
    hours = feedback_settings().password_link_hours
    session.add(
        PasswordReset(
            staff_id=person.id,
            sha256=_sha256(secret),
            made_by=made_by,
            expires_at=now() + timedelta(hours=hours),
        )
    )
    session.flush()
    return secret


def of_reset(session: Session, secret: str) -> Staff:
    """Whose link this is, or NotFound when it is unknown, used or too old."""
    return session.get_one(Staff, _reset(session, secret).staff_id)


def choose_password(session: Session, secret: str, password: str) -> Staff:
    """Set the password of the link's owner; the link is used up and every session ends."""
    reset = _reset(session, secret)
    person = session.get_one(Staff, reset.staff_id)
    _check_password(password, person)
    person.password_hash = HASHER.hash(password)
    person.failed_sign_ins, person.locked_until = 0, None
    reset.used_at = now()
    end_sessions(session, person)
    session.flush()
    return person


def _reset(session: Session, secret: str) -> PasswordReset:
    found = session.exec(
        select(PasswordReset).where(PasswordReset.sha256 == _sha256(secret))
    ).first()
    if found is None or found.used_at is not None or found.expires_at < now():
        raise NotFound(
            "This link was used already, is too old, or is not one of ours. Ask for a new one."
        )
    return found


def _check_password(password: str, person: Staff) -> None:
    least = feedback_settings().password_min_chars
    if len(password) < least:
        raise Invalid(
            f"The password has {len(password)} characters; expected at least {least} (setting "
            "FEEDBACK_PASSWORD_MIN_CHARS). A few words in a row are easy to remember."
        )
    if len(password) > 1000:
        raise Invalid("The password has more than 1000 characters.")
    if person.email.partition("@")[0] in password.lower():
        raise Invalid("The password contains your own name; choose one that others cannot guess.")


@dataclass(frozen=True)
class SignIn:
    """What came of an attempt. Failed ones are counted, so the caller must keep the transaction."""

    person: Staff | None
    found: str = ""
    """For the audit log: why not. The person at the door is told the same sentence every time."""


@dataclass(frozen=True)
class Proof:
    """A password held against a stored hash: slow on purpose, so never within a transaction.

    SQLite has one writer; whoever kept it waiting for a hash would stop every customer.
    """

    stored: str | None
    matches: bool
    rehashed: str | None = None
    """The same password at today's cost, when the stored hash is of a lower one."""


def prove(stored: str | None, password: str) -> Proof:
    """Hold a password against `hash_of` an address; takes as long when there is no such person."""
    matches = _matches(stored or NOBODY, password) and stored is not None
    outdated = matches and stored is not None and HASHER.check_needs_rehash(stored)
    return Proof(stored, matches, HASHER.hash(password) if outdated else None)


def hash_of(session: Session, email: str) -> str | None:
    """What the password of this address is held against."""
    person = find(session, email)
    return person.password_hash if person else None


def sign_in(session: Session, email: str, proof: Proof) -> SignIn:
    """What follows from a proof; too many wrong passwords in a row pause the account."""
    person = find(session, email)
    if person is None:
        return SignIn(None, "no such person")
    person = session.exec(
        select(Staff)
        .where(Staff.id == person.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if not proof.matches or proof.stored != person.password_hash:
        return _count_failure(person)
    if person.locked_until and person.locked_until > now():
        return SignIn(None, "paused after too many wrong passwords")
    if person.disabled_at:
        return SignIn(None, "disabled")
    person.failed_sign_ins, person.locked_until = 0, None
    person.password_hash = proof.rehashed or person.password_hash
    return SignIn(person)


def _count_failure(person: Staff) -> SignIn:
    settings = feedback_settings()
    person.failed_sign_ins += 1
    if person.failed_sign_ins >= settings.sign_in_attempts:
        person.locked_until = now() + timedelta(seconds=settings.sign_in_pause_seconds)
        person.failed_sign_ins = 0
        return SignIn(None, "wrong password, paused")
    return SignIn(None, "wrong password")


def _matches(hashed: str, password: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def by_openid(session: Session, issuer: str, subject: str, email: str) -> Staff | None:
    """The person an identity provider vouches for; on first sight known by their verified address."""
    known = session.exec(
        select(Staff).where(Staff.openid_issuer == issuer, Staff.openid_subject == subject)
    ).first()
    person = known or find(session, email)
    if person is None or person.disabled_at:
        return None
    if known is None:
        if person.openid_subject is not None:  # the address now belongs to somebody else there
            return None
        person.openid_issuer, person.openid_subject = issuer, subject
        session.add(person)
    return person


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
