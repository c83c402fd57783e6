"""Admins' page of websites with the widget: the script tag, allowed origins, how it looks, the secret."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel
from sqlmodel import Session

from feedback import sites
from feedback.database import reading, writing
from feedback.desk_tables import Site
from feedback.errors import Invalid, NotFound, UnderstudyError
from feedback.sites import Look
from service import visitors
from service.console.forms import lines_of
from service.console.pages import page
from service.console.session import Seat, seat
from service.people import note
from service.permissions import ADMINS

router = APIRouter(prefix="/console/{assistant}/sites", include_in_schema=False)
Admin = Annotated[Seat, Depends(seat(*ADMINS))]


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
        wordings=sorted(sites.TEXTS),
        error=error,
    )


class SiteForm(BaseModel):
    """A site's form as browsers send it."""

    name: str = ""
    origins: str = ""
    title: str | None = None
    greeting: str | None = None
    colour: str | None = None
    theme: str | None = None
    position: str | None = None
    language: str | None = None
    texts: str | None = None

    def look(self, texts: dict[str, str]) -> Look:
        """How it wants the widget to look, `texts` where it has no field for them; or Invalid."""
        if self.texts is not None:
            texts = sites.read_texts(lines_of(self.texts))
        plain = self.model_dump(exclude={"name", "origins", "texts"}, exclude_none=True)
        return sites.check_look({**plain, "texts": texts})


Sent = Annotated[SiteForm, Form()]


@router.post("")
def create(request: Request, here: Admin, form: Sent) -> Response:
    """A new site."""
    try:
        with writing(request.app.state.database) as session:
            origins = form.origins.split()
            site = sites.create(session, here.desk, form.name, origins, form.look({}))
            note(session, here.caller, here.desk, "site.create", f"site {site.name}")
    except UnderstudyError as problem:
        return show(request, here, str(problem))
    return _back(here)


@router.post("/{site_id}")
def change(request: Request, here: Admin, site_id: str, form: Sent) -> Response:
    """Other origins, another look."""
    try:
        with writing(request.app.state.database) as session:
            site = _site(session, here, site_id)
            sites.change(session, site, form.origins.split(), form.look(site.look["texts"]))
            note(session, here.caller, here.desk, "site.change", f"site {site.name}")
    except Invalid as problem:
        return show(request, here, str(problem))
    return _back(here)


@router.post("/{site_id}/revoke")
def revoke(request: Request, here: Admin, site_id: str) -> Response:
    """The widget stops working there."""
    with writing(request.app.state.database) as session:
        site = sites.revoke(session, _site(session, here, site_id))
        note(session, here.caller, here.desk, "site.revoke", f"site {site.name}")
    return _back(here)


def _site(session: Session, here: Seat, site_id: str) -> Site:
    site = sites.get(session, site_id)
    if site.assistant_id != here.desk.id:
        raise NotFound(f"There is no site {site_id!r}.")
    return site


def _back(here: Seat) -> Response:
    return RedirectResponse(f"/console/{here.desk.name}/sites", 303)
