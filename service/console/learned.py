"""My corrections: what is new since the last visit, who learned each, and is the bot right by now."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import adapters, incidents, learned, news, rechecks
from feedback.database import reading, writing
from feedback.desk_tables import RecheckState
from feedback.errors import NotFound
from service.console import forms, judging, visits
from service.console.pages import page
from service.console.session import Seat, is_https, seat
from service.permissions import OPERATORS, STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Author = Literal["me", "all"]
State = Literal["", "fixed", "not_yet", "regressed"]
PAGE = 30
BAR = 600
"""Width of the bar, in the units of its picture."""


@router.get("/learned")
def show(
    request: Request,
    here: OfStaff,
    author: Author = "me",
    before: str = "",
    state: State = "",
) -> HTMLResponse:
    """The whole page; what changed since the person's last visit stands at its top."""
    since = visits.visit_of(request, here.person.id).began
    with reading(request.app.state.database) as session:
        who = here.person.email
        told = news.since(session, here.desk, who, since) if author == "me" else None
    found = _found(request, here, author, before, state)
    shown = page(request, here, "learned.html", news=told, **found)
    if author == "me":
        visits.look(request, shown, here.person.id, here.desk.name, is_https(request))
    return shown


@router.get("/learned/list")
def show_list(
    request: Request, here: OfStaff, author: Author = "me", before: str = "", state: State = ""
) -> HTMLResponse:
    """Counts and corrections alone, for what changes meanwhile."""
    return page(request, here, "_learned.html", **_found(request, here, author, before, state))


@router.get("/learned/{feedback_id}")
def show_one(request: Request, here: OfStaff, feedback_id: str, done: str = "") -> HTMLResponse:
    """One correction with everything the bot was heard to say to its question, adapter by adapter."""
    with reading(request.app.state.database) as session:
        row, _ = judging.feedback_here(session, here, feedback_id)
        if row.kind not in rechecks.CORRECTIONS:
            raise NotFound(f"There is no correction {feedback_id!r}.")
        one = learned.of_word(session, here.desk, row)
        past = rechecks.of_correction(session, row)
        live = adapters.live_adapter(session, here.desk)
        ticket = incidents.ticket_of(session, row)
    return page(
        request,
        here,
        "correction.html",
        one=one,
        past=past,
        live=live.id if live else None,
        ticket=ticket,
        said=forms.said(done),
    )


def _found(
    request: Request, here: Seat, author: Author, before: str, state: State
) -> dict[str, Any]:
    who = here.person.email if author == "me" else None
    wanted = RecheckState(state) if state else None
    with reading(request.app.state.database) as session:
        rows = learned.by_author(session, here.desk, who, before or None, PAGE + 1, wanted)
        counts = learned.counts(session, here.desk, who)
        live = adapters.live_adapter(session, here.desk)
        progress = rechecks.progress(session, here.desk)
        said_by = {
            row.recheck.adapter_id: adapters.by_id(session, row.recheck.adapter_id)
            for row in rows
            if row.recheck
        }
    return {
        "author": author,
        "before": before,
        "state": state,
        "rows": rows[:PAGE],
        "older": rows[PAGE - 1].feedback.id if len(rows) > PAGE else "",
        "counts": counts,
        "bar": bar(counts),
        "live": live.id if live else None,
        "progress": progress,
        "said_by": said_by,
    }


def bar(counts: dict[str, int]) -> list[tuple[str, int, float, float]]:
    """The parts of the bar: state, how many, where it begins, how wide. What is left was not checked."""
    given = counts["given"]
    parts, start = [], 0.0
    checked = 0
    for state in (RecheckState.FIXED, RecheckState.NOT_YET, RecheckState.REGRESSED):
        count = counts.get(state, 0)
        checked += count
        width = BAR * count / given if given else 0.0
        parts.append((str(state), count, start, width))
        start += width
    parts.append(("not_checked", given - checked, start, BAR - start if given else 0.0))
    return parts


@router.post("/feedback/{feedback_id}/rechecks")
def check_now(
    request: Request, here: OfStaff, feedback_id: str, author: Author = "me", back: str = ""
) -> Response:
    """Ask the correction's question again of what is live; the loop does it within seconds."""
    with writing(request.app.state.database) as session:
        row, conversation = judging.feedback_here(session, here, feedback_id)
        rechecks.request(session, row, here.person.email)
        subject = f"conversation {conversation.id}"
        judging.record(session, here, "feedback.recheck", subject, feedback=row.id)
    onward = f"/{feedback_id}" if back == "one" else f"?author={author}"
    return RedirectResponse(f"/console/{here.desk.name}/learned{onward}", 303)


@router.post("/feedback/{feedback_id}/ticket")
def make_ticket(request: Request, here: Operator, feedback_id: str) -> Response:
    """Make a correction a held-out ticket: from the next cycle on it examines instead of teaching."""
    with writing(request.app.state.database) as session:
        row, _ = judging.feedback_here(session, here, feedback_id)
        ticket = incidents.from_correction(session, here.desk, row)
        subject = f"ticket {ticket.external_id}"
        judging.record(session, here, "ticket.create", subject, feedback=row.id)
    return forms.back(here, f"learned/{feedback_id}", "correction_ticket")
