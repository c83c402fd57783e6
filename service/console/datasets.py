"""Datasets as they were frozen: the counts at every filter, every row, and where each came from."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from feedback import dataset_diff, datasets, leaks
from feedback.database import reading
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/datasets", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]

PAGE = 25


@router.get("")
def show_all(request: Request, here: Operator) -> HTMLResponse:
    """Every dataset, newest first."""
    with reading(request.app.state.database) as session:
        found = [
            (each, datasets.learned_by(session, each))
            for each in datasets.every(session, here.desk)
        ]
    return page(request, here, "datasets.html", found=found)


@router.get("/near-copies")
def near_copies(request: Request, here: Operator, start: int = 0) -> HTMLResponse:
    """What was left out as too close to an exam ticket, beside the ticket, page by page."""
    start = max(0, start)
    with reading(request.app.state.database) as session:
        pairs = leaks.pairs(session, here.desk, start, PAGE)
        count = leaks.count(session, here.desk)
    return page(request, here, "near_copies.html", pairs=pairs, start=start, PAGE=PAGE, count=count)


@router.get("/{name}")
def show(request: Request, here: Operator, name: str, start: int = 0) -> HTMLResponse:
    """One dataset with its rows, page by page."""
    start = max(0, start)
    with reading(request.app.state.database) as session:
        dataset = datasets.get(session, name, here.desk)
        rows = datasets.page(session, dataset, start, PAGE)
        sources = datasets.sources(session, rows)
        learned_by = datasets.learned_by(session, dataset)
        others = [
            each
            for each in datasets.every(session, here.desk)
            if each.kind == dataset.kind and each.id != dataset.id
        ]
    return page(
        request,
        here,
        "dataset.html",
        dataset=dataset,
        rows=rows,
        sources=sources,
        learned_by=learned_by,
        counts=datasets.explain(dataset),
        others=others,
        start=start,
        PAGE=PAGE,
        count=dataset.train_rows + dataset.validation_rows,
    )


@router.get("/{name}/diff/{newer}")
def compare(request: Request, here: Operator, name: str, newer: str) -> HTMLResponse:
    """What changed from one dataset to another."""
    with reading(request.app.state.database) as session:
        older, later = (datasets.get(session, each, here.desk) for each in (name, newer))
        diff = dataset_diff.diff(session, older, later)
    return page(request, here, "dataset_diff.html", diff=diff, most=PAGE)
