"""Holds: authors whose words wait, with the reason and examples. Releasing and rejecting them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response

from feedback import audit, holds
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.trust_tables import HoldOutcome
from service.console import forms
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/datasets/holds", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Field = Annotated[str, Form()]
EXAMPLES = 10


@router.get("")
def show(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Who waits, with what they said; who was decided on."""
    with reading(request.app.state.database) as session:
        every = holds.every(session, here.desk)
        waiting = [
            (hold, holds.examples(session, here.desk, hold, EXAMPLES))
            for hold in every
            if hold.outcome is None
        ]
    decided = [hold for hold in every if hold.outcome is not None]
    said = forms.said(done)
    return page(request, here, "holds.html", waiting=waiting, decided=decided, said=said)


@router.post("/{hold_id}")
def decide(request: Request, here: Operator, hold_id: str, outcome: Field = "") -> Response:
    """Release or reject what an author has said so far."""
    if outcome not in list(HoldOutcome):
        raise Invalid(f"Found the outcome {outcome!r}; expected one of {', '.join(HoldOutcome)}.")
    with writing(request.app.state.database) as session:
        hold = holds.get(session, here.desk, hold_id)
        holds.decide(session, hold, HoldOutcome(outcome), here.caller.name)
        actor = here.caller.actor(here.desk.id)
        audit.record(session, actor, f"hold.{outcome}", f"words by {hold.author}", here.desk.id)
    return forms.back(here, "datasets/holds", outcome)
