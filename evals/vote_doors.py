"""The doors by which operators let the votes on a replay decide: over the API, and in the console."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from evals import by_votes
from feedback import replays
from feedback.database import reading
from feedback.errors import NotFound
from feedback.exam_tables import Replay
from service.console import forms
from service.console.session import Seat, seat
from service.permissions import OPERATORS, Caller, allow
from service.shapes import Shape

api = APIRouter(prefix="/v1/replays", tags=["replays"])
console = APIRouter(prefix="/console/{assistant}/replays", include_in_schema=False)
DOORS = (api, console)
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]
OperatorHere = Annotated[Seat, Depends(seat(*OPERATORS))]


class DecidedOut(Shape):
    """What the votes decided."""

    decision_id: str
    promote: bool
    sentence: str


@api.post("/{replay_id}/decision", status_code=201)
def decide(request: Request, replay_id: str, caller: Operator) -> DecidedOut:
    """Let the agents' votes decide, with the vetoes and guardrails of the exam both sides sat.

    It is a look at the year's chance and is paid for. Nothing is promoted.
    """
    database = request.app.state.database
    with reading(database) as session:
        row = replays.get(session, replay_id)
    if caller.role_at(row.assistant_id) is None:
        raise _unknown(replay_id)
    made = by_votes.decide(database, row, caller.actor(row.assistant_id))
    return DecidedOut(
        decision_id=made.id, promote=made.promote, sentence=by_votes.sentence(database, row, made)
    )


@console.post("/{replay_id}/decision")
def decide_here(request: Request, here: OperatorHere, replay_id: str) -> Response:
    """The same; the candidate's page shows the decision."""
    database = request.app.state.database
    row = _of_desk(request, here, replay_id)
    made = by_votes.decide(database, row, here.caller.actor(here.desk.id))
    with reading(database) as session:
        name, _ = replays.names(session, row)
    return forms.back(
        here, f"candidates/{name}", "votes_passed" if made.promote else "votes_refused"
    )


def _of_desk(request: Request, here: Seat, replay_id: str) -> Replay:
    with reading(request.app.state.database) as session:
        row = replays.get(session, replay_id)
    if row.assistant_id != here.desk.id:
        raise _unknown(replay_id)
    return row


def _unknown(replay_id: str) -> NotFound:
    return NotFound(f"There is no replay {replay_id!r}.")
