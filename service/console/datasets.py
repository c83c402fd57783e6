"""Datasets as they were frozen: the counts at every filter, every row, and where each came from."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from feedback import datasets
from feedback.database import reading
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/datasets", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]

PAGE = 25
FILTERS = {
    "feedback": "corrections, approvals and demonstrations in force",
    "disputed": "two reviewers disagree, and no third has decided yet",
    "outvoted": "a third reviewer has decided otherwise",
    "outdated": "replaced by a newer word on the same question",
    "ticket_conversation": "from a conversation that an exam ticket came from",
    "ticket_customer": "from a customer of an exam ticket",
    "ticket_near_copy": "too close to an exam ticket",
    "without_question_or_answer": "without a question or an answer",
    "rows": "rows frozen; what teaches the same became one",
}
"""The counts of a dataset in the order of the filters, as people say them."""


@router.get("")
def show_all(request: Request, here: Operator) -> HTMLResponse:
    """Every dataset, newest first."""
    with reading(request.app.state.database) as session:
        found = [
            (each, datasets.learned_by(session, each))
            for each in datasets.every(session, here.desk)
        ]
    return page(request, here, "datasets.html", found=found)


@router.get("/{name}")
def show(request: Request, here: Operator, name: str, start: int = 0) -> HTMLResponse:
    """One dataset with its rows, page by page."""
    start = max(0, start)
    with reading(request.app.state.database) as session:
        dataset = datasets.get(session, name, here.desk)
        rows = datasets.page(session, dataset, start, PAGE)
        sources = datasets.sources(session, rows)
        learned_by = datasets.learned_by(session, dataset)
    counts = [(what, dataset.counts.get(key, 0), key) for key, what in FILTERS.items()]
    return page(
        request,
        here,
        "dataset.html",
        dataset=dataset,
        rows=rows,
        sources=sources,
        learned_by=learned_by,
        counts=counts,
        start=start,
        PAGE=PAGE,
        count=dataset.train_rows + dataset.validation_rows,
    )
