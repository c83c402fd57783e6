"""Agreement: how far people agree, how reliable each is, and which answers wait for somebody to decide."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from feedback import reliability, reviews
from feedback.database import reading
from feedback.reliability import Person
from feedback.tables import Role
from service.console import charts
from service.console.pages import NONE, page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]


@router.get("/agreement")
def show(request: Request, here: OfStaff) -> HTMLResponse:
    """The figures; an agent sees of single people only themselves, and no list of what others dispute."""
    sees_all = here.may(Role.OPERATOR)
    with reading(request.app.state.database) as session:
        found = reliability.figures(session, here.desk).seen_by(here.person.email, sees_all)
        items = reviews.disputed(session, here.desk) if sees_all else []
        disputes = [(item, reviews.in_dispute(session, item.review)) for item in items]
    return page(
        request,
        here,
        "agreement.html",
        sees_all=sees_all,
        together=found.agreement,
        people=found.people,
        noise=found.noise,
        disputes=disputes,
        alpha=_alpha(found.agreement.alpha, found.agreement.low, found.agreement.high),
        chart=_chart(found.people),
        fewest=reliability.FEWEST_ITEMS,
        fewest_pairs=reliability.FEWEST_PAIRS,
    )


def _alpha(alpha: float | None, low: float | None, high: float | None) -> str:
    """Alpha as people write it."""
    if alpha is None or low is None or high is None:
        return NONE
    return f"{alpha:.2f} ({low:.2f} to {high:.2f})"


def _chart(people: list[Person]) -> Markup | None:
    rows = [
        charts.Interval(one.author, one.accuracy, one.low, one.high)
        for one in people
        if one.accuracy is not None and one.low is not None and one.high is not None
    ]
    title = "Estimated share of right verdicts, with its 95 % interval"
    return charts.shares("reliability", title, rows) if rows else None
