"""Forgetting: what each adapter that went live knows of each group of corrections, and what was lost."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from feedback.database import reading
from feedback.forgetting import By, Cell, Forgetting, forgetting
from feedback.tables import Adapter
from service.console.heat_map import Square, heat_map
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
MOST = 12
"""So many adapters, the newest, fit beside each other."""


@router.get("/forgetting")
def show(request: Request, here: Operator, by: By = By.TOPIC) -> HTMLResponse:
    """The page."""
    with reading(request.app.state.database) as session:
        found = forgetting(session, here.desk, by)
    newest = found.adapters[-MOST:]
    return page(
        request,
        here,
        "forgetting.html",
        found=found,
        newest=newest,
        by=by,
        BY=list(By),
        fixed=_fixed(found, newest) if found.fixed else None,
        exams=_exams(found, newest) if found.exams else None,
        transfer=told_of_transfer(found.backward_transfer),
    )


def _fixed(found: Forgetting, newest: list[Adapter]) -> Markup:
    """Shares of corrections that are fixed, by group and adapter."""
    squares = {
        (group, f"v{adapter.version}"): Square(
            cell.value, f"{cell.value * 100:.0f} %", _note(cell, 100, cell.number)
        )
        for adapter in newest
        for group in found.groups
        if (cell := found.fixed.get((adapter.id, group)))
    }
    columns = [f"v{adapter.version}" for adapter in newest]
    return heat_map("fixed", "Share of corrections fixed", found.groups, columns, squares)


def _exams(found: Forgetting, newest: list[Adapter]) -> Markup:
    """Mean chrF of the exam, by topic and adapter."""
    squares = {
        (topic, f"v{adapter.version}"): Square(
            cell.value / 100, f"{cell.value:.1f}", _note(cell, 1, cell.number)
        )
        for adapter in newest
        for topic in found.topics
        if (cell := found.exams.get((adapter.id, topic)))
    }
    columns = [f"v{adapter.version}" for adapter in newest]
    return heat_map("exams", "Mean chrF of the exam", found.topics, columns, squares)


def _note(cell: Cell, times: float, number: int) -> str:
    """The change against the adapter before, and on how many it rests."""
    if cell.change is None:
        return f"of {number}"
    return f"{cell.change * times:+.0f} · of {number}"


def told_of_transfer(value: float | None) -> str | None:
    """Backward transfer as a sentence; None where it could not be measured."""
    if value is None:
        return None
    points = abs(value) * 100
    if round(points, 1) == 0:
        return "What an adapter was the first to learn, the newest one knows just as well."
    kept = "less" if value < 0 else "more"
    return f"Of what an adapter was the first to learn, the newest one has {points:.1f} points {kept} right."
