"""Who is signed in: a random secret in a cookie, its hash in a row. Called by the service's consoles."""

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlmodel import Session, select

from feedback.desk_tables import Staff, StaffSession
from feedback.errors import Unauthenticated
from feedback.settings import feedback_settings
from feedback.tables import now

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when somebody was last seen."""


def begin(session: Session, person: Staff, user_agent: str = "") -> tuple[StaffSession, str]:
    """A new session and its secret, which only the cookie holds."""
    secret = secrets.token_urlsafe(32)
    row = StaffSession(
        staff_id=person.id,
        sha256=_sha256(secret),
        user_agent=user_agent[:300],
        expires_at=now() + timedelta(hours=feedback_settings().session_hours),
    )
    session.add(row)
    session.flush()
    return row, secret


def identify(session: Session, secret: str) -> tuple[StaffSession, Staff]:
    """The session behind a cookie and its owner, or Unauthenticated."""
    found = session.exec(
        select(StaffSession, Staff).join(Staff).where(StaffSession.sha256 == _sha256(secret))
    ).first()
    if found is None:
        raise Unauthenticated("You are not signed in.")
    row, person = found
    idle = timedelta(hours=feedback_settings().session_idle_hours)
    if row.ended_at or row.expires_at < now() or row.seen_at + idle < now() or person.disabled_at:
        raise Unauthenticated("Your session has ended; sign in again.")
    return row, person


def is_stale(row: StaffSession) -> bool:
    """Whether it is time to note that its owner was seen."""
    return row.seen_at + SEEN_EVERY < now()


def seen(session: Session, row: StaffSession) -> None:
    """Its owner is here."""
    session.get_one(StaffSession, row.id).seen_at = now()


def end(session: Session, row: StaffSession) -> None:
    """Sign out."""
    session.get_one(StaffSession, row.id).ended_at = now()


def csrf_token(secret: str) -> str:
    """What every form of this session carries: only a page we made for its owner can know it."""
    return hmac.new(secret.encode(), b"understudy csrf", hashlib.sha256).hexdigest()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
