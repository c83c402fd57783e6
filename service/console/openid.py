"""Signing in through OpenID Connect: authlib does the protocol (authorization code, PKCE, nonce, state).

Only people who are members of staff already are let in: known by what the provider calls them, on first
sight by an address that the provider says is verified.
"""

from functools import cache
from typing import Any

from anyio import to_thread
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from httpx import HTTPError
from starlette.middleware.sessions import SessionMiddleware

from feedback import audit, staff
from feedback.audit import Actor
from feedback.database import writing
from feedback.desk_tables import Staff
from feedback.errors import Denied, NotFound, Unavailable
from service.console.sign_in import address, inside, let_in
from service.settings import ServiceSettings

router = APIRouter(prefix="/console/openid", include_in_schema=False)
COOKIE = "understudy_openid"
MINUTES = 10


def add_to(app: FastAPI) -> None:
    """A short-lived signed cookie, for the minutes somebody spends at the provider, if there is one."""
    if not app.state.settings.openid_issuer:
        return
    app.add_middleware(
        SessionMiddleware,
        secret_key=app.state.secret,
        session_cookie=COOKIE,
        max_age=MINUTES * 60,
        path="/console/openid",
        same_site="lax",
        https_only=app.state.settings.public_url.startswith("https://"),
    )


@cache
def _provider(issuer: str, client_id: str, client_secret: str) -> Any:
    oauth = OAuth()
    oauth.register(
        "provider",
        client_id=client_id,
        client_secret=client_secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
    )
    return oauth.create_client("provider")


def _client(settings: ServiceSettings) -> Any:
    if not settings.openid_issuer:
        raise NotFound("No OpenID Connect provider is set (setting SERVICE_OPENID_ISSUER).")
    secret = settings.openid_client_secret.get_secret_value()
    return _provider(settings.openid_issuer, settings.openid_client_id, secret)


@router.get("")
async def go(request: Request, next: str = "") -> Response:
    """To the provider."""
    settings: ServiceSettings = request.app.state.settings
    client = _client(settings)
    request.session["next"] = inside(next)
    base = settings.public_url or str(request.base_url)
    try:
        response: Response = await client.authorize_redirect(
            request, f"{base.rstrip('/')}/console/openid/return"
        )
    except HTTPError as error:
        raise _away(settings, error) from None
    return response


@router.get("/return")
async def come_back(request: Request) -> Response:
    """From the provider, with its word on who this is."""
    settings: ServiceSettings = request.app.state.settings
    try:
        token = await _client(settings).authorize_access_token(request)
    except OAuthError as error:
        raise Denied(f"{settings.openid_name} did not sign you in: {error}. Try again.") from None
    except HTTPError as error:
        raise _away(settings, error) from None
    claims = token["userinfo"]
    person = await to_thread.run_sync(_find, request, claims)
    if person is None:
        raise Denied(
            f"{claims.get('email', 'You')} is not a member of staff here, or the address is not "
            "verified. An admin can invite you."
        )
    onward = str(request.session.pop("next", ""))
    return await to_thread.run_sync(let_in, request, person, onward)


def _find(request: Request, claims: dict[str, Any]) -> Staff | None:
    email = str(claims.get("email", "")) if claims.get("email_verified") is True else ""
    with writing(request.app.state.database) as session:
        person = staff.by_openid(session, str(claims["iss"]), str(claims["sub"]), email)
        who = person.email if person else email or f"subject {claims['sub']}"
        act = "session.sign_in" if person else "session.refused"
        actor = Actor(who, "staff", address(request))
        audit.record(session, actor, act, "console", by=str(claims["iss"]))
        return person


def _away(settings: ServiceSettings, error: HTTPError) -> Unavailable:
    return Unavailable(
        f"{settings.openid_name} does not answer ({type(error).__name__}). Sign in with a password, "
        "or try again.",
        settings.retry_after_seconds,
    )
