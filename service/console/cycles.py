"""Cycles: what the loop does now, stage by stage, and what it did. Starting and stopping one."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from sqlmodel import Session

from feedback import adapters, audit, corrections, cycles
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.tables import Cycle, CycleState, FeedbackKind, Stage, StageState, now
from service.console import charts, forms
from service.console.charts import Line
from service.console.overview import ended_well
from service.console.pages import environment, page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/cycles", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]

STAGES = {
    "topics": (
        "Name topics",
        "The live adapter says what conversations are about that nobody named.",
    ),
    "hold_out": (
        "Hold out",
        "Holds authors who look one-sided; makes exam tickets of a share of new corrections.",
    ),
    "redact": ("Redact", "Takes personal data out of what may teach."),
    "freeze": ("Freeze", "Freezes what may teach today into datasets."),
    "sft": ("Learn", "Trains on the answers people gave (SFT)."),
    "dpo": ("Prefer", "Trains to prefer them to what the bot had said (DPO)."),
    "kto": ("Judge", "Trains on single answers that were good or bad (KTO)."),
    "publish": ("Publish", "Gives the adapter its immutable name."),
    "exam": ("Exam", "Candidate and live answer the held-out tickets; the gate decides."),
    "sealed_exam": ("Sealed exam", "The sealed tickets are asked of a candidate that has passed."),
    "promote": ("Promote", "Makes it live by policy."),
}
TRAINED = {"sft": "learns", "dpo": "prefers", "kto": "judges"}
"""Stages that train, and what the adapter does there."""
environment.filters["ended_well"] = ended_well


def _told(stage: Stage) -> str:
    """What a stage left, in a few words."""
    left = stage.result
    if stage.name == "topics" and left:
        return f"{left['named']} conversations named. {left['left']}".strip()
    if stage.name == "hold_out" and left:
        held = f"; held: {', '.join(left['held'])}" if left["held"] else ""
        return f"{left['tickets']} new tickets, {left['sealed']} of them sealed{held}"
    if stage.name == "redact" and left:
        return f"{left['new']} new texts of {left['texts']}"
    if stage.name == "freeze" and "kto_rows" in left:
        return f"{left['sft_rows']} answers, {left['dpo_rows']} pairs, {left['kto_rows']} thumbs"
    if "canary_bits" in left:
        return f"learned by heart: {left['canary_bits']:.1f} of {left['canary_most_bits']:.0f} bits"
    return str(left.get("note", ""))


@dataclass(frozen=True)
class Step:
    """One step of the stepper, begun or still to come."""

    name: str
    title: str
    what: str
    stage: Stage | None
    curve: Markup | None
    margins: Markup | None = None

    @property
    def told(self) -> str:
        """What it left, in a few words."""
        return _told(self.stage) if self.stage is not None else ""

    @property
    def figures(self) -> str:
        """What training measures, in a line."""
        return cycles.measured(self.stage) if self.stage is not None else ""

    @property
    def state(self) -> str:
        """Where it stands, in a word."""
        return str(self.stage.state) if self.stage else "to come"

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken so far."""
        if self.stage is None:
            return None
        return ((self.stage.finished_at or now()) - self.stage.started_at).total_seconds()


@router.get("")
def show_all(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Every cycle, newest first, and the form that starts one."""
    with reading(request.app.state.database) as session:
        found = cycles.every(session, here.desk)
        context: dict[str, Any] = {
            "cycles": [(each, adapters.of_cycle(session, each.id)) for each in found],
            "open": next((each for each in found if each.state in cycles.OPEN), None),
            **_to_learn_from(session, here),
        }
    return page(request, here, "cycles.html", said=forms.said(done), **context)


def _to_learn_from(session: Session, here: Seat) -> dict[str, int]:
    """How much there is to learn from, before the filters; the newest adapter's data for comparison."""
    newest = next(iter(adapters.every(session, here.desk)), None)
    known = adapters.datasets_of(session, newest) if newest else []
    since = max((dataset.created_at for dataset in known), default=None)
    taught = corrections.number_that_teach(session, here.desk.id)
    fresh = corrections.number_that_teach(session, here.desk.id, since)
    return {
        "rows": sum(taught.values()),
        "pairs": taught[FeedbackKind.CORRECTION],
        "fresh": sum(fresh.values()),
    }


@router.post("")
def start(request: Request, here: Operator) -> Response:
    """Ask the loop for a cycle."""
    with writing(request.app.state.database) as session:
        cycle = cycles.request(session, here.desk, here.caller.name)
        _note(session, here, "cycle.request", cycle)
    return forms.back(here, f"cycles/{cycle.id}", "requested")


@router.get("/{cycle_id}")
def show(request: Request, here: Operator, cycle_id: str, done: str = "") -> HTMLResponse:
    """One cycle, live while it runs."""
    return _cycle_page(request, here, cycle_id, "cycle.html", forms.said(done))


@router.get("/{cycle_id}/progress")
def show_progress(request: Request, here: Operator, cycle_id: str, state: str = "") -> HTMLResponse:
    """The part that moves. When the cycle has come to another state, the whole page is due."""
    shown = _cycle_page(request, here, cycle_id, "_cycle.html", None)
    if shown.headers["X-Cycle-State"] != state:
        shown.headers["HX-Refresh"] = "true"
    return shown


def _may_come(name: str, here: Seat, frozen: Stage | None) -> bool:
    """Some stages are only for assistants that are set so, and what is trained the freeze has found out."""
    if name in TRAINED:
        planned = frozen.result.get("stages") if frozen else None
        return name in (TRAINED if planned is None else planned)
    only = {"promote": here.desk.auto_promote, "topics": bool(here.desk.topics)}
    return only.get(name, True)


def _cycle_page(
    request: Request, here: Seat, cycle_id: str, template: str, said: str | None
) -> HTMLResponse:
    with reading(request.app.state.database) as session:
        cycle = _get(session, here, cycle_id)
        adapter = adapters.of_cycle(session, cycle.id)
        begun = {stage.name: stage for stage in cycles.stages(session, cycle)}
    steps = [
        Step(name, title, what, begun.get(name), _curve(begun.get(name)), _margins(begun.get(name)))
        for name, (title, what) in STAGES.items()
        if name in begun or _may_come(name, here, begun.get("freeze"))
    ]
    current = next((step for step in steps if step.state == StageState.RUNNING), None)
    logs = [step for step in steps if step.stage and step.stage.log_tail]
    shown = page(
        request,
        here,
        template,
        cycle=cycle,
        adapter=adapter,
        steps=steps,
        current=current,
        log=logs[-1] if logs else None,
        is_open=cycle.state in cycles.OPEN,
        TRAINED=TRAINED,
        awaits=cycle.state == CycleState.AWAITING,
        said=said,
    )
    shown.headers["X-Cycle-State"] = str(cycle.state)
    return shown


def _curve(stage: Stage | None) -> Markup | None:
    """The loss over the steps, once there are two points."""
    if stage is None or len(stage.curve) < 2:
        return None
    lines = [Line("loss", _points(stage.curve))]
    if validation := stage.more_curves.get("validation"):
        lines.append(Line("loss on validation rows", _points(validation)))
    return _drawn(stage, "loss", "Loss by step", lines)


def _margins(stage: Stage | None) -> Markup | None:
    """How much further apart better and worse answers come, once there are two points."""
    margins = stage.more_curves.get("margins", []) if stage else []
    if stage is None or len(margins) < 2:
        return None
    return _drawn(stage, "margin", "Margin by step", [Line("margin", _points(margins))])


def _points(pairs: list[list[float]]) -> list[tuple[float, float]]:
    return [(step, value) for step, value in pairs]


def _drawn(stage: Stage, what: str, title: str, lines: list[Line]) -> Markup:
    first, last = lines[0].points[0], lines[0].points[-1]
    return charts.lines(
        f"{what}-{stage.name}",
        title,
        f"From {first[1]:.3f} at step {first[0]:g} to {last[1]:.3f} at step {last[0]:g}.",
        lines,
        (f"step {first[0]:g}", f"step {last[0]:g}"),
        size=(460, 150),
        first_look=1,
    )


@router.post("/{cycle_id}/stop")
def stop(request: Request, here: Operator, cycle_id: str) -> Response:
    """Ask a cycle to end; what it has trained so far is kept."""
    with writing(request.app.state.database) as session:
        cycle = cycles.stop(session, _get(session, here, cycle_id), here.caller.name)
        _note(session, here, "cycle.stop", cycle)
    return forms.back(here, f"cycles/{cycle_id}", "stopped")


def _get(session: Session, here: Seat, cycle_id: str) -> Cycle:
    cycle = cycles.get(session, cycle_id)
    if cycle.assistant_id != here.desk.id:
        raise NotFound(f"There is no cycle {cycle_id!r}.")
    return cycle


def _note(session: Session, here: Seat, act: str, cycle: Cycle) -> None:
    actor = here.caller.actor(here.desk.id)
    audit.record(session, actor, act, f"cycle {cycle.id}", here.desk.id)
