"""The operator's overview: what is live, what waits for a decision, how customers fare, what runs."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from sqlmodel import Session

from feedback import adapters, cycles, excepted, processes, rates
from feedback.database import reading
from feedback.tables import (
    Adapter,
    Assistant,
    Cycle,
    CycleState,
    FeedbackKind,
    Promotion,
    Stage,
    StageState,
    Swap,
    now,
)
from service.console import charts
from service.console.charts import Line, Mark
from service.console.pages import environment, page, percent
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]

DAYS = 30
GATHERED = (
    FeedbackKind.CORRECTION,
    FeedbackKind.DEMONSTRATION,
    FeedbackKind.APPROVAL,
    FeedbackKind.FLAG,
)
RATES = (
    ("satisfaction", "Satisfied customers", "of those who answered gave 4 or 5 of 5"),
    ("handover_rate", "Hand-overs", "of conversations went to a person"),
    ("flag_rate", "Flagged by customers", "of conversations hold an answer a customer disliked"),
)


environment.globals["swatch"] = charts.swatch


@dataclass(frozen=True)
class Live:
    """What speaks with customers now; without an adapter the base model."""

    adapter: Adapter | None
    promotion: Promotion | None
    swap: Swap | None
    exception: str
    """What it does not answer, as people read it; empty: nothing."""
    begun: excepted.Begun | None
    """How conversations began since, where there are topics it does not answer."""

    @property
    def name(self) -> str:
        """As people call it."""
        return self.adapter.name if self.adapter else "the base model"


@dataclass(frozen=True)
class Chart:
    """A rate over time with the same numbers as a table."""

    title: str
    meaning: str
    svg: Markup
    rows: list[tuple[int, str, str, int]]
    """Per adapter: the number of its line, its name, the rate over all days, of how many."""


@router.get("/overview")
def show(request: Request, here: Operator) -> HTMLResponse:
    """The page."""
    with reading(request.app.state.database) as session:
        running = next(
            (each for each in cycles.every(session, here.desk) if each.state in cycles.OPEN), None
        )
        context: dict[str, Any] = {
            "live": live_now(session, here.desk),
            "waiting": [
                (cycle, adapters.of_cycle(session, cycle.id))
                for cycle in cycles.awaiting(session, here.desk)
            ],
            "gathered": _gathered(session, here.desk),
            "running": running,
            "stage": _current(cycles.stages(session, running)) if running else None,
            "next_at": _next_scheduled(session, here.desk),
            "charts": _charts(session, here.desk),
            "promotions": rates.promotions_since(session, here.desk, rates.month_ago()),
            "swaps": _swaps(session, here.desk),
            "own": {each.name for each in adapters.every(session, here.desk)},
            "processes": [
                (report, processes.is_running(report)) for report in processes.every(session)
            ],
        }
    engines = request.app.state.fleet.members
    return page(request, here, "overview.html", engines=engines, DAYS=DAYS, **context)


def live_now(session: Session, assistant: Assistant) -> Live:
    """What is live, with the promotion behind it and the engine's last word on it."""
    adapter = adapters.live_adapter(session, assistant)
    swap = adapters.last_swap(session, adapter) if adapter else None
    promotion = adapters.live(session, assistant)
    exception = excepted.in_words(session, promotion)
    begun = excepted.begun(session, promotion) if promotion and exception else None
    return Live(adapter, promotion, swap, exception, begun)


def _gathered(session: Session, assistant: Assistant) -> dict[str, Any]:
    since = rates.last_learned(session, assistant)
    counted = rates.said_since(session, assistant, since)
    return {"since": since, "counts": [(kind, counted[kind]) for kind in GATHERED]}


def _current(stages: list[Stage]) -> Stage | None:
    return next((stage for stage in stages if stage.state == StageState.RUNNING), None)


def _next_scheduled(session: Session, assistant: Assistant) -> datetime | None:
    """When the schedule has its turn, provided that something new was said; None without one."""
    if assistant.schedule_minutes is None:
        return None
    past: list[Cycle] = cycles.every(session, assistant)
    since = past[0].created_at if past else assistant.created_at
    return max(now(), since + timedelta(minutes=assistant.schedule_minutes))


def _swaps(session: Session, assistant: Assistant) -> list[tuple[Adapter, Swap]]:
    """The engine's last word on each of the newest adapters it was asked to hold."""
    newest = adapters.every(session, assistant)[:6]
    asked = [(adapter, adapters.last_swap(session, adapter)) for adapter in newest]
    return [(adapter, swap) for adapter, swap in asked if swap is not None]


def _charts(session: Session, assistant: Assistant) -> list[Chart]:
    since = rates.month_ago()
    by_adapter = rates.by_adapter(session, assistant, since)
    names = {each.id: each.name for each in adapters.every(session, assistant)}
    found = sorted(
        ((names.get(ident or "", "base model"), days) for ident, days in by_adapter.items()),
        key=lambda one: min(one[1]),
    )
    marks = [
        Mark(
            (promotion.created_at - since) / timedelta(days=1),
            f"{names.get(promotion.adapter_id or '', 'base model')} went live",
        )
        for promotion in rates.promotions_since(session, assistant, since)
    ]
    return [
        _chart(name, title, meaning, found, marks, since.date()) for name, title, meaning in RATES
    ]


def _chart(
    name: str,
    title: str,
    meaning: str,
    found: list[tuple[str, rates.ByDay]],
    marks: list[Mark],
    first: date,
) -> Chart:
    drawn, rows = [], []
    for number, (adapter, days) in enumerate(found):
        points = [
            ((day - first).days + 0.5, value)
            for day in sorted(days)
            if (value := getattr(days[day], name)) is not None
        ]
        drawn.append(Line(adapter, points))
        whole = rates.total(days.values())
        of = whole.asked if name == "satisfaction" else whole.conversations
        rows.append((number, adapter, percent(getattr(whole, name)), of))
    highest = max((y for line in drawn for _, y in line.points), default=1.0)
    told = "; ".join(f"{adapter}: {value} of {of}" for _, adapter, value, of in rows)
    svg = charts.lines(
        name,
        f"{title}, last {DAYS} days",
        told or "Nothing to show yet.",
        drawn,
        (f"{first:%d %b}", "today"),
        x_range=(0, DAYS),
        top=1.0 if name == "satisfaction" else min(1.0, max(0.1, round(highest + 0.05, 1))),
        marks=marks,
        as_percent=True,
        gap=2.0,
    )
    return Chart(title, meaning, svg, rows)


def ended_well(state: str) -> str:
    """The kind of tag for how a cycle stands."""
    kinds = {
        CycleState.PROMOTED: "good",
        CycleState.AWAITING: "warn",
        CycleState.REFUSED: "bad",
        CycleState.FAILED: "bad",
        CycleState.RUNNING: "brand live",
        CycleState.REQUESTED: "info",
    }
    return kinds.get(CycleState(state), "")
