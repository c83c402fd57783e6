"""The widget's own door: its script, how it looks on a site, and a token for a new visitor.

What a visitor does then goes through the same /v1 routes as everything else. Browsers on other origins
are let in only where a site names them.
"""

import gzip
import re
from functools import cache
from importlib.resources import files
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from sqlmodel import Session

from feedback import sites
from feedback.database import reading, writing
from feedback.desk import desk_of, is_open
from feedback.desk_tables import Site
from feedback.errors import Denied
from feedback.sites import Look
from feedback.tables import Assistant, now
from service import visitors
from service.people_shapes import NewVisitor, VisitorOut, WidgetOut

router = APIRouter(tags=["widget"])
COMMENT = re.compile(rb"^ *//.*\n", re.MULTILINE)


@router.get("/widget.js", include_in_schema=False)
def script(accept_encoding: Annotated[str, Header()] = "") -> Response:
    """The widget: one file for a script tag."""
    text = _without_comments(files("service").joinpath("widget/widget.js").read_bytes())
    headers = {
        "Cache-Control": "public, max-age=300",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in accept_encoding:
        headers["Content-Encoding"] = "gzip"
        text = _compressed(text)
    return Response(text, media_type="text/javascript; charset=utf-8", headers=headers)


@cache
def _without_comments(text: bytes) -> bytes:
    """Lines that are a comment are for readers of the source, not for every visitor."""
    return COMMENT.sub(b"", text)


@cache
def _compressed(text: bytes) -> bytes:
    return gzip.compress(text, 9, mtime=0)


@router.get("/v1/widget/{site_key}")
def read_widget(request: Request, site_key: str) -> WidgetOut:
    """How the widget looks and speaks on a site."""
    with reading(request.app.state.database) as session:
        site = _site(session, request, site_key)
        assistant = session.get_one(Assistant, site.assistant_id)
        look = Look(**site.look).model_dump()
        look["title"] = look["title"] or assistant.title
        open_now = is_open(desk_of(assistant), now())
        return WidgetOut(assistant=assistant.name, people_are_there=open_now, **look)


@router.post("/v1/widget/{site_key}/visitors", status_code=201)
async def welcome(request: Request, site_key: str, new: NewVisitor) -> VisitorOut:
    """A token for a visitor: somebody new, or one of the site's users whom the site vouches for."""
    state = request.app.state
    # Before the database is asked for anything: nobody has shown who they are yet.
    state.newcomers.enter(request.client.host if request.client else None)

    def store() -> VisitorOut:
        with writing(state.database) as session:
            site = _site(session, request, site_key)
            customer, token = visitors.welcome(
                session, state.secret, site, new.user_id, new.user_hash
            )
            return VisitorOut(token=token, customer=customer.external_id)

    return await to_thread.run_sync(store)


def _site(session: Session, request: Request, site_key: str) -> Site:
    """The site; Denied for a page that it does not name."""
    site = sites.of_key(session, site_key)
    origin = request.headers.get("origin")
    own = str(request.base_url).rstrip("/")
    if origin is not None and origin not in site.origins and origin != own:
        raise Denied(
            f"The site {site.name!r} does not name the origin {origin!r}. An admin can add it."
        )
    return site
