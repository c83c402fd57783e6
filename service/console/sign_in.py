"""Signing in and out, and choosing a password through a link."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import audit, staff, staff_sessions
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.desk_tables import Staff
from feedback.errors import Denied, Invalid, NotFound, TooMany
from feedback.settings import feedback_settings
from service.console.pages import page
from service.console.session import COOKIE, Seat, seat, set_cookie
from service.permissions import STAFF

router = APIRouter(prefix="/console", include_in_schema=False)
AnySeat = Annotated[Seat, Depends(seat(*STAFF))]


@router.get("/sign-in")
def show_sign_in(request: Request, next: str = "") -> HTMLResponse:
    """The form."""
    return _form(request, next)


def _form(
    request: Request,
    next: str = "",
    error: str = "",
    email: str = "",
    status: int = 200,
    retry_after_seconds: int | None = None,
) -> HTMLResponse:
    settings = request.app.state.settings
    form = page(
        request,
        None,
        "sign_in.html",
        status,
        next=inside(next),
        error=error,
        email=email,
        openid=settings.openid_name if settings.openid_issuer else None,
    )
    if retry_after_seconds is not None:
        form.headers["Retry-After"] = str(retry_after_seconds)
    return form


@router.post("/sign-in")
def sign_in(
    request: Request,
    email: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Check address and password. What is wrong is told in one sentence, whatever it was."""
    _refuse_foreign(request)
    state = request.app.state
    try:
        state.sign_ins.enter(address(request))
    except TooMany as refused:
        return _form(request, next, str(refused), email, 429, refused.retry_after_seconds)
    with reading(state.database) as session:
        stored = staff.hash_of(session, email)
    proof = staff.prove(stored, password)
    with writing(state.database) as session:
        tried = staff.sign_in(session, email, proof)
        actor = Actor(email.strip().lower()[:200], "staff", address(request))
        act = "session.sign_in" if tried.person else "session.refused"
        audit.record(session, actor, act, "console", reason=tried.found or None)
    if tried.person is None:
        settings = feedback_settings()
        minutes = settings.sign_in_pause_seconds / 60
        sentence = (
            "That e-mail address and password do not belong together, or the account is paused: "
            f"after {settings.sign_in_attempts} wrong passwords it rests for {minutes:g} minutes. "
            "An operator can send you a link for a new password."
        )
        return _form(request, next, sentence, email, 401)
    state.sign_ins.forgive(address(request))
    return let_in(request, tried.person, next)


def let_in(request: Request, person: Staff, next: str = "") -> Response:
    """A new session for somebody who proved who they are."""
    with writing(request.app.state.database) as session:
        _, secret = staff_sessions.begin(session, person, request.headers.get("user-agent", ""))
    response = RedirectResponse(inside(next) or "/console", 303)
    set_cookie(request, response, secret)
    return response


@router.post("/sign-out")
def sign_out(request: Request, here: AnySeat) -> Response:
    """End this session."""
    with writing(request.app.state.database) as session:
        staff_sessions.end(session, here.session)
        audit.record(session, here.caller.actor(), "session.sign_out", "console")
    response = RedirectResponse("/console/sign-in", 303)
    response.delete_cookie(COOKIE, path="/console")
    return response


@router.get("/password/{secret}")
def show_password(request: Request, secret: str) -> HTMLResponse:
    """The form behind an invitation or a reset."""
    return _password_form(request, secret)


def _password_form(request: Request, secret: str, error: str = "") -> HTMLResponse:
    try:
        with reading(request.app.state.database) as session:
            person = staff.of_reset(session, secret)
    except NotFound as gone:
        return page(request, None, "password.html", 404, person=None, error=str(gone), least=0)
    least = feedback_settings().password_min_chars
    status = 422 if error else 200
    return page(request, None, "password.html", status, person=person, error=error, least=least)


@router.post("/password/{secret}")
def choose_password(
    request: Request,
    secret: str,
    password: Annotated[str, Form(max_length=2000)],
    again: Annotated[str, Form(max_length=2000)],
) -> Response:
    """Set the password and sign in."""
    _refuse_foreign(request)
    if password != again:
        return _password_form(request, secret, "The two passwords are not the same.")
    try:
        with writing(request.app.state.database) as session:
            person = staff.choose_password(session, secret, password)
            actor = Actor(person.email, "staff", address(request))
            audit.record(session, actor, "session.password", person.email)
    except (Invalid, NotFound) as problem:
        return _password_form(request, secret, str(problem))
    return let_in(request, person)


def _refuse_foreign(request: Request) -> None:
    """These forms are sent before there is a session: only our own pages may send them."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site") or (
        origin is not None and origin.split("://")[-1] != request.headers.get("host")
    ):
        raise Denied("This form was sent by another site.")


def address(request: Request) -> str | None:
    """Where a request comes from."""
    return request.client.host if request.client else None


def inside(path: str) -> str:
    """A path of our own consoles, or nothing: a sign-in never leads elsewhere."""
    return path if path.startswith("/console") and "//" not in path and "\\" not in path else ""
