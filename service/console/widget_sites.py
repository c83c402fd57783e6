"""Admins' page of websites with the widget: the script tag, allowed origins, how it looks, the secret."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import sites
from feedback.database import reading, writing
from feedback.desk_tables import Site
from feedback.errors import NotFound, UnderstudyError
from feedback.sites import Look
from service import visitors
from service.console.pages import page
from service.console.session import Seat, seat
from service.people_api import note
from service.permissions import ADMINS

router = APIRouter(prefix="/console/{assistant}/sites", include_in_schema=False)
Admin = Annotated[Seat, Depends(seat(*ADMINS))]
Text = Annotated[str, Form(max_length=4000)]


@router.get("")
def show(request: Request, here: Admin, error: str = "") -> HTMLResponse:
    """The sites of this assistant, newest first."""
    with reading(request.app.state.database) as session:
        found = sites.every(session, here.desk)
    secret = request.app.state.secret
    base = request.app.state.settings.public_url or str(request.base_url)
    return page(
        request,
        here,
        "sites.html",
        422 if error else 200,
        sites=[(site, Look(**site.look), visitors.identity_secret(secret, site)) for site in found],
        address=base.rstrip("/"),
        fresh=Look(),
        error=error,
    )


@router.post("")
def create(
    request: Request,
    here: Admin,
    name: Text,
    origins: Text,
    title: Text = "",
    greeting: Text = "",
    colour: Text = "#0f766e",
    theme: Text = "auto",
    position: Text = "right",
    language: Text = "auto",
) -> Response:
    """A new site."""
    given: dict[str, object] = {
        "title": title,
        "greeting": greeting,
        "colour": colour,
        "theme": theme,
        "position": position,
        "language": language,
    }
    try:
        with writing(request.app.state.database) as session:
            look = sites.check_look(given)
            site = sites.create(session, here.desk, name, origins.split(), look)
            note(session, here.caller, here.desk, "site.create", f"site {site.name}")
    except UnderstudyError as problem:
        return show(request, here, str(problem))
    return _back(here)


@router.post("/{site_id}")
def change(
    request: Request,
    here: Admin,
    site_id: str,
    origins: Text,
    title: Text = "",
    greeting: Text = "",
    colour: Text = "#0f766e",
    theme: Text = "auto",
    position: Text = "right",
    language: Text = "auto",
) -> Response:
    """Other origins, another look."""
    try:
        with writing(request.app.state.database) as session:
            site = _theirs(here, sites.get(session, site_id))
            look = sites.check_look(
                {
                    "title": title,
                    "greeting": greeting,
                    "colour": colour,
                    "theme": theme,
                    "position": position,
                    "language": language,
                    "texts": site.look.get("texts", {}),
                }
            )
            sites.change(session, site, origins.split(), look)
            note(session, here.caller, here.desk, "site.change", f"site {site.name}")
    except UnderstudyError as problem:
        return show(request, here, str(problem))
    return _back(here)


@router.post("/{site_id}/revoke")
def revoke(request: Request, here: Admin, site_id: str) -> Response:
    """The widget stops working there."""
    with writing(request.app.state.database) as session:
        site = sites.revoke(session, _theirs(here, sites.get(session, site_id)))
        note(session, here.caller, here.desk, "site.revoke", f"site {site.name}")
    return _back(here)


def _theirs(here: Seat, site: Site) -> Site:
    if site.assistant_id != here.desk.id:
        raise NotFound(f"There is no site {site.id!r}.")
    return site


def _back(here: Seat) -> Response:
    return RedirectResponse(f"/console/{here.desk.name}/sites", 303)
