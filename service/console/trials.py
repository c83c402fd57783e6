"""Trials: a candidate on real customers, signal by signal, and what the silent one would have said."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from feedback import adapters, audit, conversations, trials
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.swap_tables import Trial, TrialKind
from feedback.tables import Message
from feedback.trials import TrialPolicy
from service.console import charts, forms
from service.console.candidates import own_adapter
from service.console.charts import Interval
from service.console.differences import word_diff
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Text = Annotated[str, Form()]
SHOWN_PAIRS = 40
SIGNALS = {
    "thumbs_down": "Thumbs down",
    "flag": "Flagged by customers",
    "handover": "Handed over",
    "error": "Failed answers",
    "slow": "Slow first word",
}


@router.get("/trials")
def show_all(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Every trial, newest first."""
    with reading(request.app.state.database) as session:
        found = [(each, _names(session, each)) for each in trials.every(session, here.desk)]
    return page(request, here, "trials.html", found=found, said=forms.said(done))


@router.get("/trials/{trial_id}")
def show(request: Request, here: Operator, trial_id: str, done: str = "") -> HTMLResponse:
    """One trial: the verdict, the difference per signal with its interval, and what it left."""
    with reading(request.app.state.database) as session:
        trial = _get(session, here, trial_id)
        context: dict[str, Any] = {
            "trial": trial,
            "names": _names(session, trial),
            "pairs": _pairs(session, trial),
            "proposed": trials.proposed_by(session, trial),
        }
    signals = trial.evidence.get("signals", {})
    rows = [
        Interval(SIGNALS.get(name, name), each["mean"] * 100, each["low"] * 100, each["high"] * 100)
        for name, each in signals.items()
    ]
    return page(
        request,
        here,
        "trial.html",
        policy=trials.policy_of(trial),
        signals=[(name, SIGNALS.get(name, name), each) for name, each in signals.items()],
        forest=charts.intervals("signals", "More often with the candidate, in points", rows)
        if rows
        else None,
        said=forms.said(done),
        **context,
    )


@router.post("/candidates/{name}/trial")
def start(
    request: Request,
    here: Operator,
    name: str,
    kind: Text = TrialKind.CANARY,
    percent: Text = "10",
    grow_to: Text = "",
    promote: Text = "",
    reason: Text = "",
) -> Response:
    """Let a candidate meet real customers."""
    why = forms.reason_given(reason)
    shares = [forms.number(each, "a share in percent") / 100 for each in grow_to.split()]
    with writing(request.app.state.database) as session:
        adapter = own_adapter(session, here, name)
        trial = trials.start(
            session,
            here.desk,
            adapter,
            trials.kind_from(kind),
            forms.number(percent, "the share in percent") / 100,
            here.caller.name,
            why,
            TrialPolicy(grow_to=shares, promote=bool(promote)),
        )
        _note(session, here, "trial.start", name, kind=kind, share=f"{percent} %", reason=why)
    return forms.back(here, f"trials/{trial.id}", "trial_started")


@router.post("/trials/{trial_id}/stop")
def stop(request: Request, here: Operator, trial_id: str, reason: Text = "") -> Response:
    """End a trial: no further conversation meets the candidate."""
    why = forms.reason_given(reason)
    with writing(request.app.state.database) as session:
        trial = _get(session, here, trial_id)
        trials.stop(session, trial, here.caller.name, why)
        _note(session, here, "trial.stop", f"trial {trial.id}", reason=why)
    return forms.back(here, f"trials/{trial_id}", "trial_stopped")


def _get(session: Session, here: Seat, trial_id: str) -> Trial:
    trial = trials.get(session, trial_id)
    if trial.assistant_id != here.desk.id:
        raise NotFound(f"There is no trial {trial_id!r}.")
    return trial


def _names(session: Session, trial: Trial) -> tuple[str, str]:
    """The candidate, and what was live when it began."""
    candidate = adapters.by_id(session, trial.adapter_id)
    live = adapters.by_id(session, trial.live_adapter_id)
    return candidate.name if candidate else "?", live.name if live else "the base model"


def _pairs(session: Session, trial: Trial) -> list[tuple[str, Message, Message, Any]]:
    """Question, what the customer was told, what the shadow would have said, and the difference."""
    if trial.kind != TrialKind.SHADOW:
        return []
    found = trials.pairs(session, trial, SHOWN_PAIRS)[::-1]
    return [
        (
            conversations.message(session, shadow.reply_to_id or shadow.id).text,
            live,
            shadow,
            word_diff(live.text, shadow.text),
        )
        for live, shadow in found
    ]


def _note(session: Session, here: Seat, act: str, subject: str, **detail: str) -> None:
    actor = here.caller.actor(here.desk.id)
    audit.record(session, actor, act, subject, here.desk.id, **detail)
