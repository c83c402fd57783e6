"""My corrections: where each one went, which adapters learned it, and whether the bot is right by now."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import adapters, learned
from feedback.database import reading, writing
from feedback.desk_tables import RecheckState
from service.console import judging
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Author = Literal["me", "all"]
PAGE = 30
BAR = 600
"""Width of the bar, in the units of its picture."""


@router.get("/learned")
def show(request: Request, here: OfStaff, author: Author = "me", before: str = "") -> HTMLResponse:
    """The whole page."""
    return page(request, here, "learned.html", **_found(request, here, author, before))


@router.get("/learned/list")
def show_list(
    request: Request, here: OfStaff, author: Author = "me", before: str = ""
) -> HTMLResponse:
    """Counts and corrections alone, for what changes meanwhile."""
    return page(request, here, "_learned.html", **_found(request, here, author, before))


def _found(request: Request, here: Seat, author: Author, before: str) -> dict[str, Any]:
    who = here.person.email if author == "me" else None
    with reading(request.app.state.database) as session:
        rows = learned.by_author(session, here.desk, who, before or None, PAGE + 1)
        counts = learned.counts(session, here.desk, who)
        live = adapters.live_adapter(session, here.desk)
        said_by = {
            row.recheck.adapter_id: adapters.by_id(session, row.recheck.adapter_id)
            for row in rows
            if row.recheck
        }
    return {
        "author": author,
        "before": before,
        "rows": rows[:PAGE],
        "older": rows[PAGE - 1].feedback.id if len(rows) > PAGE else "",
        "counts": counts,
        "bar": bar(counts),
        "live": live.id if live else None,
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
def check_now(request: Request, here: OfStaff, feedback_id: str, author: Author = "me") -> Response:
    """Ask the correction's question again of what is live; the loop does it within seconds."""
    with writing(request.app.state.database) as session:
        row, conversation = judging.feedback_here(session, here, feedback_id)
        learned.request_recheck(session, row, here.person.email)
        subject = f"conversation {conversation.id}"
        judging.record(session, here, "feedback.recheck", subject, feedback=row.id)
    return RedirectResponse(f"/console/{here.desk.name}/learned?author={author}", 303)
