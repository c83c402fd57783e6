"""The gate: what it promises about a year of candidates, what of that is spent, what the tickets can tell."""

import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from feedback import assistants, looks, tickets
from feedback.database import reading
from feedback.looks import Look
from feedback.spending import Budget, in_words
from service.console import charts
from service.console.charts import Line, Mark
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}/gate", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
SHOWN = 60
"""How many looks are listed."""


@router.get("")
def show(request: Request, here: OfStaff) -> HTMLResponse:
    """The promise, the budget, every look, and the smallest gain that is found."""
    with reading(request.app.state.database) as session:
        gate = assistants.gate_of(here.desk)
        budget = looks.budget_of(session, here.desk, gate)
        every = looks.every(session, here.desk)
        wear = looks.wear(session, here.desk)
        asked = len(tickets.in_exam(session, here.desk))
        sealed = len(tickets.sealed_asked(session, here.desk))
    return page(
        request,
        here,
        "gate.html",
        gate=gate,
        budget=budget,
        in_words=in_words,
        looks=every[:SHOWN],
        more=max(len(every) - SHOWN, 0),
        free_again=looks.free_again(every, gate.budget_days),
        power=_newest_power(every),
        wear=sorted(wear.items()),
        fresh=max(asked - sealed - wear.total(), 0),
        tickets=asked - sealed,
        sealed=sealed,
        evidence=_evidence(every),
        spent=_spent(every, budget),
    )


def _newest_power(every: list[Look]) -> dict[str, Any] | None:
    """What the last exam's tickets can tell, as its decision has it."""
    found: list[dict[str, Any]] = [
        look.decision.detail["power"] for look in every if "power" in look.decision.detail
    ]
    return found[0] if found else None


def _evidence(every: list[Look]) -> Markup | None:
    """Each look's evidence as a share of what was needed, on a logarithmic scale; above 1 is enough."""
    if not every:
        return None
    points = [
        (float(number), math.log10(max(look.decision.evidence or 0.0, 1.0)))
        for number, look in enumerate(reversed(every), 1)
    ]
    needed = [
        (float(number), math.log10(1 / (look.decision.alpha or 1.0)))
        for number, look in enumerate(reversed(every), 1)
    ]
    told = "; ".join(
        f"{look.adapter} {in_words(look.decision.evidence or 0)} of "
        f"{in_words(1 / (look.decision.alpha or 1))}"
        for look in every[:10]
    )
    return charts.lines(
        "evidence",
        "Evidence and what was needed, in powers of ten",
        f"Newest first: {told}.",
        [Line("evidence", points), Line("needed", needed)],
        ("first look", "newest"),
        size=(640, 220),
    )


def _spent(every: list[Look], budget: Budget) -> Markup | None:
    """How the year's chance was spent, look by look."""
    counting = [look for look in reversed(every) if look.counts]
    if not counting:
        return None
    total, points = 0.0, [(0.0, 0.0)]
    for number, look in enumerate(counting, 1):
        total += look.decision.alpha or 0.0
        points.append((float(number), total))
    return charts.lines(
        "spent",
        "The chance that was spent",
        f"{total:.2%} of {budget.of:.2%} by {len(counting)} refused candidates.",
        [Line("spent", points)],
        ("none", f"{len(counting)} refused"),
        top=budget.of,
        marks=[Mark(float(budget.planned), "planned")] if len(counting) >= budget.planned else (),
        as_percent=False,
        size=(640, 180),
    )
