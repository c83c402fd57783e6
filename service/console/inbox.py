"""The inbox: saved views with their counts, search over all that was said, page by page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from feedback import inbox, reviews, search
from feedback.database import reading
from feedback.desk import desk_of
from feedback.handovers import waiting_minutes
from feedback.inbox import View
from feedback.tables import now
from service.console import judging
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}/inbox", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Words = Annotated[str, Query(max_length=200)]
PAGE = 50
FIRST = (View.WAITING, View.FLAGGED, View.NOT_REVIEWED)
"""Where an agent begins: the first of these that holds something."""
NOTHING = {
    View.WAITING: ("Nobody is waiting", "Every customer who asked for a person has one."),
    View.FLAGGED: (
        "No complaints",
        "When a customer flags an answer, it is here until somebody has looked at it.",
    ),
    View.UNSURE: (
        "The bot was sure of itself",
        "Answers it found hard to say come here. A good moment for Review.",
    ),
    View.NOT_REVIEWED: ("All looked at", "Every conversation has been seen by a person."),
    View.MINE: (
        "You have no open conversations",
        "Take one from “Waiting for a person”; it stays here until you close it or hand it back.",
    ),
    View.ALL: ("No conversations yet", "They appear here as soon as a customer writes."),
}


@router.get("")
def show(
    request: Request,
    here: OfStaff,
    view: View | None = None,
    q: Words = "",
    after: str = "",
    given: str = "",
) -> HTMLResponse:
    """The whole page; `given` is the word the person has just given."""
    with reading(request.app.state.database) as session:
        told = judging.told(session, here, given)
    found = _found(request, here, view, q, after)
    return page(request, here, "inbox.html", given=told, **found)


@router.get("/list")
def show_list(
    request: Request, here: OfStaff, view: View | None = None, q: Words = "", after: str = ""
) -> HTMLResponse:
    """Tabs and rows alone, for what is typed and for what changes meanwhile."""
    return page(request, here, "_inbox.html", **_found(request, here, view, q, after))


def _found(
    request: Request, here: Seat, view: View | None, words: str, after: str
) -> dict[str, Any]:
    with reading(request.app.state.database) as session:
        counts = inbox.counts(session, here.desk, here.person.id)
        view = view or next((each for each in FIRST if counts[each]), View.ALL)
        rows = _rows(session, here, view, words.strip(), after)
        names = {person.id: person.name for person in reviews.reviewers(session, here.desk)}
    at = now()
    return {
        "view": view,
        "views": list(inbox.TITLES.items()),
        "title": inbox.TITLES[view],
        "counts": counts,
        "counted": inbox.COUNTED,
        "q": words.strip(),
        "after": after,
        "rows": rows[:PAGE],
        "older": rows[PAGE - 1].conversation.id if len(rows) > PAGE else "",
        "nothing": NOTHING[view],
        "names": names,
        "low": desk_of(here.desk).low_confidence,
        "minutes": {row.conversation.id: waiting_minutes(row.conversation, at) for row in rows},
    }


def _rows(session: Session, here: Seat, view: View, words: str, after: str) -> list[inbox.Row]:
    if words:
        return search.find(session, here.desk, words, PAGE + 1, after or None)
    return inbox.page(session, here.desk, view, here.person.id, after or None, PAGE + 1)
