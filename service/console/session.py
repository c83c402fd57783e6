"""Who looks at a console page: a session cookie, a role for the assistant in the path, a CSRF token.

Every page's route states its roles with `seat(...)`. The cookie is HttpOnly and SameSite=Lax; whatever
changes something also needs the token that only our own pages carry.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from anyio import to_thread
from fastapi import Request
from fastapi.responses import Response
from sqlmodel import Session

from feedback import assistants, inbox, news, staff, staff_sessions
from feedback.database import reading, writing
from feedback.desk_tables import Staff, StaffSession
from feedback.errors import Denied, NotFound, Unauthenticated
from feedback.tables import Assistant, Role
from service.console.visits import visit_of
from service.permissions import Caller

COOKIE = "understudy_session"
SAFE = ("GET", "HEAD")


class SignInFirst(Unauthenticated):
    """A page was asked for without a session; the browser is sent to the sign-in page."""


@dataclass(frozen=True)
class Seat:
    """A member of staff at a page: what they may do, and for which assistant."""

    person: Staff
    session: StaffSession
    caller: Caller
    csrf: str
    assistants: list[Assistant]
    """Those the person has a role for."""
    assistant: Assistant | None
    """The one in the path."""
    mark: str = ""
    """What had happened at the assistant when the page was begun (`inbox.mark`)."""
    news: int = 0
    """How many of the person's corrections were learned or lost since they last looked."""

    @property
    def role(self) -> Role:
        """The role for the assistant in the path, or the highest one."""
        if self.assistant is None:
            return self.caller.highest
        return staff.role_at(self.caller.roles, self.assistant.id) or Role.AGENT

    @property
    def desk(self) -> Assistant:
        """The assistant in the path, on pages that have one."""
        assert self.assistant is not None, "this page's path names no assistant"
        return self.assistant

    @property
    def live(self) -> str:
        """Where the page hears of what happens after it was made."""
        return f"/console/{self.desk.name}/live?seen={self.mark}"

    def may(self, role: str) -> bool:
        """Whether the person's role here includes another."""
        return staff.rank(self.role) >= staff.rank(Role(role))


class TakeSeat:
    """A dependency: the signed-in person, if their role is one of these."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    async def __call__(self, request: Request) -> Seat:
        """The seat; SignInFirst without a session, Denied for another role."""
        secret = request.cookies.get(COOKIE)
        if not secret:
            raise SignInFirst("You are not signed in.")
        seat = await to_thread.run_sync(self._look_up, request, secret)
        if request.method not in SAFE:
            await check_csrf(request, secret)
        request.state.seat = seat
        return seat

    def _look_up(self, request: Request, secret: str) -> Seat:
        name = request.path_params.get("assistant")
        with reading(request.app.state.database) as session:
            try:
                row, person = staff_sessions.identify(session, secret)
            except Unauthenticated as gone:
                raise SignInFirst(str(gone)) from None
            roles = staff.roles_of(session, person)
            address = request.client.host if request.client else None
            caller = Caller(person.email, roles, self.roles, staff_id=person.id, address=address)
            theirs = [
                each
                for each in assistants.every(session)
                if staff.role_at(roles, each.id) is not None
            ]
            here = next((each for each in theirs if each.name == name), None)
            mark, told = "", 0
            if here and not is_part(request):
                mark = inbox.mark(session, here)
                looked = visit_of(request, person.id).looked
                told = news.count(session, here, person.email, looked)
        if name is not None and here is None:
            raise NotFound(f"There is no assistant {name!r}, or you have no role for it.")
        if staff_sessions.is_stale(row):
            with writing(request.app.state.database) as session:
                staff_sessions.seen(session, row)
        seat = Seat(
            person, row, caller, staff_sessions.csrf_token(secret), theirs, here, mark, told
        )
        may = (
            caller.role_at(here.id)
            if here
            else next((role for role in roles.values() if role in self.roles), None)
        )
        nothing_yet = (
            not roles and name is None
        )  # the first page says whom to ask; and they may leave
        if may is None and not nothing_yet:
            needed = " or ".join(self.roles)
            raise Denied(
                f"Your role here is {seat.role if roles else 'none'}; this needs {needed}."
            )
        return seat


def still_here(session: Session, request: Request, here: Seat) -> bool:
    """Whether somebody at a page that stays open is still signed in, with a role for it."""
    try:
        _, person = staff_sessions.identify(session, request.cookies.get(COOKIE, ""))
    except Unauthenticated:
        return False
    role = staff.role_at(staff.roles_of(session, person), here.desk.id)
    return role in here.caller.allowed


def seat(*roles: Role) -> Callable[[Request], Awaitable[Seat]]:
    """`Depends(seat(*STAFF))` on a page."""
    return TakeSeat(*roles)


async def check_csrf(request: Request, secret: str) -> None:
    """Denied unless the request carries the token of this session."""
    given = request.headers.get("x-csrf-token")
    if given is None:
        form = await request.form()
        given = str(form.get("csrf", ""))
    if not hmac.compare_digest(given, staff_sessions.csrf_token(secret)):
        raise Denied("This page is out of date. Load it again, then repeat what you did.")


def is_part(request: Request) -> bool:
    """Whether htmx asks for a part of the page it is already on."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def set_cookie(request: Request, response: Response, secret: str) -> None:
    """Hand the browser its session."""
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="lax", secure=is_https(request), path="/console"
    )


def is_https(request: Request) -> bool:
    """Whether browsers reach us encrypted; then cookies never travel otherwise."""
    base: str = request.app.state.settings.public_url or str(request.base_url)
    return base.startswith("https://")
