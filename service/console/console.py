"""Puts the consoles' pages into the service: routes, static files, and errors a person can read."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from service.console import (
    agreement,
    audit_log,
    candidates,
    cards,
    conversation,
    cycles,
    datasets,
    erasures,
    forgetting,
    gate,
    history,
    holds,
    home,
    inbox,
    incidents,
    learned,
    live,
    openid,
    overview,
    people,
    personal_data,
    policies,
    replays,
    review,
    settings,
    sign_in,
    tickets,
    trials,
    votes,
    widget_sites,
)
from service.console.pages import HERE, page
from service.console.session import SignInFirst, is_part

PAGES = (
    sign_in,
    home,
    openid,
    live,
    people,
    widget_sites,
    audit_log,
    overview,
    cycles,
    trials,
    replays,
    votes,
    candidates,
    cards,
    gate,
    history,
    holds,  # before datasets: their path would be a dataset's name
    datasets,
    erasures,
    tickets,
    policies,
    personal_data,
    settings,
    inbox,
    conversation,
    incidents,
    review,
    learned,
    agreement,
    forgetting,
)


def add_to(app: FastAPI) -> None:
    """Every page, under /console."""
    # Only files that are the same for everybody are compressed: a compressed page that holds a secret
    # beside what somebody typed would give the secret away by its length (BREACH).
    own = StaticFiles(directory=HERE / "static")
    htmx = StaticFiles(packages=[("js_lib_htmx", "static/htmx")])
    app.mount("/console/static", GZipMiddleware(own), name="static")
    app.mount("/console/lib", GZipMiddleware(htmx), name="lib")
    openid.add_to(app)
    for each in PAGES:
        app.router.routes.extend(each.router.routes)


def show_error(request: Request, error: Exception, status: int) -> Response | None:
    """A refusal as a page, or as a notice for htmx; None for what is not a console page."""
    if not request.url.path.startswith("/console"):
        return None
    if isinstance(error, SignInFirst):
        return _to_sign_in(request)
    if is_part(request):
        return page(request, None, "notice.html", status, sentence=str(error), kind="error")
    seat = getattr(request.state, "seat", None)
    return page(request, seat, "error.html", status, sentence=str(error))


def _to_sign_in(request: Request) -> Response:
    path = request.url.path
    if is_part(request):  # htmx follows this with a whole page load
        return Response(status_code=401, headers={"HX-Redirect": "/console/sign-in"})
    onward = f"?next={path}" if request.method == "GET" and path != "/console" else ""
    return RedirectResponse(f"/console/sign-in{onward}", 303)
