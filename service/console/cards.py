"""An adapter's model card as a page, and as Markdown to be kept."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from feedback import model_card
from feedback.card_shape import Card, Code, Part, Table, markdown
from feedback.database import reading
from service.console.candidates import own_adapter
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}/candidates", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]


@router.get("/{name}/card")
def show(request: Request, here: OfStaff, name: str) -> HTMLResponse:
    """What the adapter is for, learned, showed and cost, on one page."""
    card = _card(request, here, name)
    sections = [
        (each.title, [(_kind(part), part) for part in each.parts]) for each in card.sections
    ]
    return page(request, here, "card.html", card=card, sections=sections)


@router.get("/{name}/card.md")
def download(request: Request, here: OfStaff, name: str) -> Response:
    """The same as README.md of a hub repository."""
    file = f'attachment; filename="{name}.md"'
    return Response(
        markdown(_card(request, here, name)),
        media_type="text/markdown",
        headers={"Content-Disposition": file, "Cache-Control": "no-store"},
    )


def _card(request: Request, here: Seat, name: str) -> Card:
    with reading(request.app.state.database) as session:
        return model_card.card(session, own_adapter(session, here, name))


def _kind(part: Part) -> str:
    match part:
        case str():
            return "sentence"
        case Table():
            return "table"
        case Code():
            return "code"
        case _:
            return "list"
