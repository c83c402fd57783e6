"""Replays: what customers asked, answered again by a candidate and by live; the differences, side by side."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from sqlmodel import Session

from feedback import adapters, audit, replays, votes
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.exam_tables import Replay
from feedback.replays import Turn
from feedback.settings import feedback_settings
from feedback.tables import Adapter
from feedback.votes import Tally
from service.console import charts, forms
from service.console.candidates import own_adapter
from service.console.charts import Interval
from service.console.differences import changes
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS
from service.replay_api import open_for, turns_out

router = APIRouter(prefix="/console/{assistant}/replays", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Text = Annotated[str, Form()]
PAGE = 20
NO_TOPIC = "no topic"


@dataclass(frozen=True)
class Shown:
    """A turn as the page shows it."""

    turn: Turn
    changes: list[tuple[str, str]]
    votes: dict[str, int]


@router.get("")
def show_all(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Every replay, newest first, and the form that asks for one."""
    settings = feedback_settings()
    with reading(request.app.state.database) as session:
        found = [
            (each, replays.names(session, each), votes.figures(session, each))
            for each in replays.every(session, here.desk)
        ]
        candidates = _candidates(session, here)
        live = adapters.live_adapter(session, here.desk)
    return page(
        request,
        here,
        "replays.html",
        found=found,
        candidates=candidates,
        live=live.name if live else "the base model",
        is_open=any(each.state in replays.OPEN for each, _, _ in found),
        days=settings.replay_days,
        most=settings.replay_turns,
        limit=settings.replay_turns_limit,
        said=forms.said(done),
    )


def _candidates(session: Session, here: Seat) -> list[Adapter]:
    """Adapters that can be replayed: with their files, of this base model, not live."""
    live = adapters.live_adapter(session, here.desk)
    return [
        each
        for each in adapters.every(session, here.desk)
        if each.files_removed_at is None
        and each.base_model == here.desk.base_model
        and (live is None or live.id != each.id)
    ]


@router.post("")
def request_one(
    request: Request, here: Operator, adapter: Text = "", days: Text = "", turns: Text = ""
) -> Response:
    """Ask for a replay; the loop does it."""
    with writing(request.app.state.database) as session:
        row = replays.request(
            session,
            here.desk,
            here.caller.name,
            own_adapter(session, here, adapter) if adapter else None,
            forms.whole_number(days, "the number of days") if days else None,
            forms.whole_number(turns, "the number of answers") if turns else None,
        )
        name, _ = replays.names(session, row)
        actor = here.caller.actor(here.desk.id)
        audit.record(session, actor, "replay.request", name, here.desk.id, replay=row.id)
    return forms.back(here, f"replays/{row.id}", "replay_requested")


@router.get("/{replay_id}")
def show(
    request: Request,
    here: Operator,
    replay_id: str,
    topic: str = "",
    same: bool = False,
    start: int = 0,
    done: str = "",
) -> HTMLResponse:
    """One replay: how far it is, the votes, and what was said then, live and candidate now."""
    with reading(request.app.state.database) as session:
        row = _get(session, here, replay_id)
        turns, tally = replays.turns_of(session, row), votes.figures(session, row)
        given = votes.by_side(votes.of_replay(session, row))
        names = replays.names(session, row)
        mine = votes.progress(session, row, here.person.email)
        secret = votes.are_secret(session, row, here.person.email)
        opened_by = votes.opened_by(session, row)
    picked = [
        turn
        for turn in turns
        if (not topic or (turn.topic or NO_TOPIC) == topic) and (same or not turn.is_same)
    ]
    start = max(0, start)
    return page(
        request,
        here,
        "replay.html",
        replay=row,
        candidate=names[0],
        live=names[1],
        is_open=row.state in replays.OPEN,
        tally=tally,
        chart=_chart(tally),
        mine=mine,
        secret=secret,
        opened_by=opened_by,
        shown=[_shown(turn, given) for turn in picked[start : start + PAGE]],
        count=len(picked),
        topics=sorted(Counter(turn.topic or NO_TOPIC for turn in turns).items()),
        topic=topic,
        same=same,
        start=start,
        PAGE=PAGE,
        said=forms.said(done),
        **_counts(turns),
    )


@router.post("/{replay_id}/sides")
def open_sides(request: Request, here: Operator, replay_id: str) -> Response:
    """They want to read whose the answers are, and cannot vote on them from then on."""
    with writing(request.app.state.database) as session:
        open_for(session, _get(session, here, replay_id), here.caller)
    return RedirectResponse(f"/console/{here.desk.name}/replays/{replay_id}#answers", 303)


@router.get("/{replay_id}/export")
def export(request: Request, here: Operator, replay_id: str) -> Response:
    """Every answer with both sides, as GET /v1/replays/{replay_id}/turns has it."""
    with writing(request.app.state.database) as session:
        row = _get(session, here, replay_id)
        open_for(session, row, here.caller)
    with reading(request.app.state.database) as session:
        found = turns_out(session, row)
    body = json.dumps(
        [each.model_dump(mode="json") for each in found], ensure_ascii=False, indent=2
    )
    name = f'attachment; filename="replay-{replay_id}.json"'
    headers = {"Content-Disposition": name, "Cache-Control": "no-store"}
    return Response(body, media_type="application/json", headers=headers)


def _get(session: Session, here: Seat, replay_id: str) -> Replay:
    row = replays.get(session, replay_id)
    if row.assistant_id != here.desk.id:
        raise NotFound(f"There is no replay {replay_id!r}.")
    return row


def _shown(turn: Turn, given: dict[str, dict[str, int]]) -> Shown:
    texts = turn.row.live_text or "", turn.row.candidate_text or ""
    return Shown(turn, changes(*texts), given.get(turn.row.id, {}))


def _counts(turns: list[Turn]) -> dict[str, Any]:
    alike = [turn.row.likeness for turn in turns if turn.row.likeness is not None]
    return {
        "answered": len(alike),
        "identical": sum(turn.is_same for turn in turns),
        "failed": sum(turn.row.error is not None for turn in turns),
        "likeness": sum(alike) / len(alike) if alike else None,
    }


def _chart(tally: Tally) -> Markup | None:
    if tally.win_rate is None or tally.low is None or tally.high is None:
        return None
    row = Interval("The candidate wins", tally.win_rate, tally.low, tally.high)
    return charts.shares("wins", "How often the candidate wins, with its 95 % interval", [row])
