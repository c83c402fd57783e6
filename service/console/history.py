"""What was live when, by whom and why; and the way back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response

from feedback import adapters, audit, excepted, promotions, prune
from feedback.database import reading, writing
from feedback.swap_tables import RequestState
from feedback.tables import Adapter, Promotion, now
from service.console import charts, forms
from service.console.charts import Span
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
BASE = "the base model"


@dataclass(frozen=True)
class Reign:
    """A promotion with how long it held."""

    promotion: Promotion
    adapter: Adapter | None
    until: datetime | None
    exception: str
    """What it did not answer: "all but refunds (this stays with shop-v3-…)"; empty: nothing."""

    @property
    def name(self) -> str:
        """The adapter's name, or that of the base model."""
        return self.adapter.name if self.adapter else BASE

    @property
    def seconds(self) -> float:
        """How long it was, or has been, live."""
        return ((self.until or now()) - self.promotion.created_at).total_seconds()


@router.get("/history")
def show(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Every promotion, newest first, drawn on a line of time."""
    with reading(request.app.state.database) as session:
        past = adapters.history(session, here.desk)
        before = adapters.back_to(session, here.desk, past) if past else None
        reigns = [
            Reign(
                promotion,
                adapters.by_id(session, promotion.adapter_id),
                past[number - 1].created_at if number else None,
                excepted.in_words(session, promotion),
            )
            for number, promotion in enumerate(past)
        ]
        back_to = adapters.by_id(session, before.adapter_id) if before else None
        asked = [
            (each, adapters.by_id(session, each.adapter_id))
            for each in promotions.every(session, here.desk, 20)
            if each.state in (RequestState.WAITING, RequestState.REFUSED)
        ]
        disk = prune.plan(session, here.desk, now())
    spans = [
        Span(each.name, each.promotion.created_at, each.until or now(), each.until is None)
        for each in reversed(reigns)
    ]
    return page(
        request,
        here,
        "history.html",
        reigns=reigns,
        timeline=charts.timeline("live", "What was live when", spans) if spans else None,
        back_to=back_to.name if back_to else BASE,
        asked=asked,
        expected=reigns[0].adapter.name if reigns and reigns[0].adapter else adapters.BASE,
        to=back_to.name if back_to else adapters.BASE,
        disk=disk,
        said=forms.said(done),
    )


@router.post("/rollback")
def roll_back(
    request: Request,
    here: Operator,
    reason: Annotated[str, Form(max_length=2000)] = "",
    expected: Annotated[str, Form(max_length=200)] = "",
    to: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Make live again what was live before, if what the page named is still what would change."""
    why = forms.reason_given(reason)
    with writing(request.app.state.database) as session:
        adapters.check_expected(session, here.desk, expected or None, to or None)
        left = adapters.live_adapter(session, here.desk)
        row = promotions.request_rollback(session, here.desk, here.caller.name, why)
        adapter = adapters.by_id(session, row.adapter_id)
        name = adapter.name if adapter else adapters.BASE
        before = left.name if left else adapters.BASE
        actor = here.caller.actor(here.desk.id)
        audit.record(
            session, actor, "adapter.roll_back", name, here.desk.id, reason=why, before=before
        )
    return forms.back(here, "history", forms.became(request, row.id, "rolled_back"))


@router.post("/prune")
def remove_files(
    request: Request, here: Operator, names: Annotated[list[str] | None, Form()] = None
) -> Response:
    """Remove the files of the adapters that the form named, as far as nothing names them by now."""
    with writing(request.app.state.database) as session:
        actor = here.caller.actor(here.desk.id)
        removed = prune.mark(session, here.desk, actor, now(), names or [])
    with reading(request.app.state.database) as session:
        left = prune.sweep(session)
    done = "removed_soon" if left else "removed" if removed else "same"
    return forms.back(here, "history", done)
