"""When a person last looked at what became of their corrections, kept in a cookie of their browser.

Two times: a visit begins where the one before ended, so a page that is loaded again still tells the same.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Request
from fastapi.responses import Response

from feedback.tables import now

COOKIE = "understudy_looked"
VISIT = timedelta(minutes=30)
"""Who comes back within this time is still on the same visit."""
FIRST = timedelta(days=30)
"""How far back somebody is told who never looked from this browser."""
YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Visit:
    """On the page all is news since `began`, the end of the visit before; elsewhere since `looked`."""

    began: datetime
    looked: datetime


def visit_of(request: Request, staff_id: str) -> Visit:
    """The visit a request belongs to. A cookie of somebody else, or one that makes no sense, is none."""
    long_ago = now() - FIRST
    owner, *times = request.cookies.get(COOKIE, "").split(".")
    try:
        began, looked = (datetime.fromtimestamp(int(each) / 1000, UTC) for each in times)
    except (ValueError, OverflowError, OSError):
        return Visit(long_ago, long_ago)
    if owner != staff_id:
        return Visit(long_ago, long_ago)
    return Visit(looked, looked) if now() - looked > VISIT else Visit(began, looked)


def look(request: Request, response: Response, staff_id: str, assistant: str, secure: bool) -> None:
    """The person looks now."""
    visit = visit_of(request, staff_id)
    marks = ".".join(str(round(each.timestamp() * 1000)) for each in (visit.began, now()))
    response.set_cookie(
        COOKIE, f"{staff_id}.{marks}", max_age=YEAR_SECONDS, httponly=True, samesite="lax",
        secure=secure, path=f"/console/{assistant}",
    )  # fmt: skip
