"""Puts the doors together: one FastAPI application over a database and an engine."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Engine as Database
from sqlalchemy.exc import OperationalError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedback import assistants, errors, sites, storing
from feedback.database import check_schema, database, reading
from feedback.processes import Reporting
from feedback.settings import feedback_settings
from service import (
    chat,
    desk_api,
    erasure_api,
    feedback_api,
    gate_api,
    holds_api,
    judge_api,
    openai_api,
    operator_api,
    people_api,
    policies_api,
    prune_api,
    recipe_api,
    redaction_api,
    replay_api,
    review_api,
    topics_api,
    trial_api,
    widget_api,
)
from service.browsers import SecurityHeaders, SharedWithSites
from service.console import console
from service.fleet import Fleet
from service.hot_swap import HotSwap
from service.kept_secret import kept_secret
from service.permissions import assistants_known, callers_of
from service.probe import ProbeFailed
from service.settings import ServiceSettings, service_settings
from service.throttle import Throttle
from service.trials import Trials
from service.turns import Turns

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], int] = {
    errors.Invalid: 422,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Overloaded: 429,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    ProbeFailed: 503,
    errors.UnderstudyError: 500,
}


DOORS = (
    chat,
    desk_api,
    policies_api,
    review_api,
    openai_api,
    feedback_api,
    gate_api,
    recipe_api,
    holds_api,
    erasure_api,
    prune_api,  # before the operators', where /v1/adapters/{name} would take its path
    judge_api,
    operator_api,
    people_api,
    trial_api,
    replay_api,
    redaction_api,
    topics_api,
    widget_api,
)


class Service(FastAPI):
    """FastAPI with our headers around everything, also around its answer to an error nobody foresaw."""

    def build_middleware_stack(self) -> ASGIApp:
        """Middleware that is added the usual way stands inside of what answers 500."""
        return SecurityHeaders(super().build_middleware_stack())


def create_app(
    settings: ServiceSettings | None = None,
    store: Database | None = None,
    more_doors: Sequence[APIRouter] = (),
) -> FastAPI:
    """The service. Without arguments everything comes from the settings.

    `more_doors` are those of floors above (exams' records), which this one may not import.
    """
    settings = settings or service_settings()
    app = Service(
        title="Understudy",
        summary="A customer-support chatbot that learns from the people who correct it.",
        version="0.1.0",
        lifespan=_lifespan,
        docs_url=None,  # their scripts come from elsewhere: see browsers.py
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = store or database()
    app.state.secret = settings.secret_key.get_secret_value() or kept_secret(
        feedback_settings().var_dir, "service_secret_key"
    )
    app.state.callers = callers_of(app, settings.remember_seconds)
    app.state.assistants = assistants_known(settings.remember_seconds)
    app.state.leaving = asyncio.Event()
    app.state.sign_ins = Throttle(
        settings.sign_in_failures_per_minute,
        "failed sign-ins",
        "SERVICE_SIGN_IN_FAILURES_PER_MINUTE",
    )
    app.state.newcomers = Throttle(
        settings.visitors_per_minute, "new visitors", "SERVICE_VISITORS_PER_MINUTE"
    )
    # Their routes are whole as they are: `include_router` would analyse all of them anew, in half a second.
    for router in (*(door.router for door in DOORS), *more_doors):
        app.router.routes.extend(router.routes)
    console.add_to(app)
    app.add_api_route("/health", health, tags=["health"], summary="Is the process alive?")
    app.add_api_route(
        "/ready", ready, tags=["health"], summary="Can customers be answered?", response_model=None
    )
    app.add_exception_handler(errors.UnderstudyError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_shape)
    app.add_exception_handler(OperationalError, _refuse_database)
    app.add_middleware(LimitBody, max_bytes=settings.body_max_bytes)
    app.add_middleware(SharedWithSites, origins=lambda: _origins(app.state.database))
    return app


def _origins(store: Database) -> set[str]:
    with reading(store) as session:
        return sites.all_origins(session)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: ServiceSettings = app.state.settings
    check_schema(app.state.database)
    fleet = Fleet.from_settings(app.state.database, settings)
    hot_swap = HotSwap(fleet, app.state.database, settings)
    turns = Turns(app.state.database, hot_swap, settings)
    app.state.fleet, app.state.hot_swap, app.state.turns = fleet, hot_swap, turns
    await turns.close_abandoned()
    await to_thread.run_sync(_warm, app.state.database)
    trials = Trials(app.state.database, settings)
    watching = [asyncio.create_task(each.watch()) for each in (hot_swap, trials)]
    told = {"feedback": feedback_settings(), "service": settings}
    try:
        with Reporting(app.state.database, "service", told):
            yield
    finally:
        app.state.leaving.set()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await turns.stop()
        await fleet.close()


def _warm(store: Database) -> None:
    with reading(store) as session:
        everyone = assistants.every(session)
    storing.warm(everyone)


async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


async def ready(request: Request) -> JSONResponse:
    """An engine answers, too."""
    if await request.app.state.fleet.healthy():
        return JSONResponse({"status": "ready"})
    return JSONResponse(
        {"status": "waiting for the engine"},
        503,
        headers={"Retry-After": str(request.app.state.settings.retry_after_seconds)},
    )


async def _refuse(request: Request, error: Exception) -> Response:
    """A known error as a sentence with its status; OpenAI's clients read the same body."""
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    if shown := console.show_error(request, error, status):
        return shown
    headers = {}
    if isinstance(error, errors.Unavailable | errors.TooMany):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    body = {"message": str(error), "type": type(error).__name__, "code": None, "param": None}
    return JSONResponse({"error": body}, status, headers=headers)


async def _refuse_database(request: Request, error: Exception) -> Response:
    """The database is away, locked or its disk is full: the log says which, the caller may try again."""
    log.error("%s %s: the database failed", request.method, request.url.path, exc_info=error)
    seconds = request.app.state.settings.retry_after_seconds
    said = f"The database cannot be used right now. Nothing was stored; try again in {seconds} seconds."
    return await _refuse(request, errors.Unavailable(said, seconds))


async def _refuse_shape(request: Request, error: Exception) -> JSONResponse:
    """A request of the wrong shape: which field, what was found, what was expected."""
    assert isinstance(error, RequestValidationError)
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    ]
    body = {
        "message": "; ".join(problems),
        "type": "Invalid",
        "code": None,
        "param": jsonable_encoder(error.errors()[0]["loc"][-1]) if problems else None,
    }
    return JSONResponse({"error": body}, 422)


class LimitBody:
    """Refuses a request body larger than the setting before it is read into memory."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives; answer 413 once it is too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise errors.Invalid(self._sentence())
            return message

        await self._app(scope, counted, send)

    def _sentence(self) -> str:
        return (
            f"The request's body is larger than {self._max_bytes} bytes "
            "(setting SERVICE_BODY_MAX_BYTES)."
        )

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = {"message": self._sentence(), "type": "Invalid", "code": None, "param": None}
        await JSONResponse({"error": body}, 413)(scope, receive, send)
