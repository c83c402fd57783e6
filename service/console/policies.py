"""Policies: the rules of the house, what rests on each, and which adapters learned from a retired one."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from feedback import audit, policies
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.trust_tables import Policy
from service.console import forms
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/policies", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Field = Annotated[str, Form()]


@router.get("")
def show(request: Request, here: Operator, done: str = "") -> HTMLResponse:
    """Every policy with what rests on it, those in force first."""
    with reading(request.app.state.database) as session:
        found = [
            (policy, policies.rests_on(session, policy))
            for policy in policies.every(session, here.desk)
        ]
    return page(request, here, "policies.html", found=found, said=forms.said(done))


@router.post("")
def add(request: Request, here: Operator, name: Field = "", text: Field = "") -> Response:
    """A new rule that corrections and tickets may rest on."""
    with writing(request.app.state.database) as session:
        policy = policies.create(session, here.desk, name.strip(), text.strip(), here.person.email)
        _note(session, here, "policy.create", policy)
    return forms.back(here, "policies", "policy_added")


@router.post("/{policy_id}/retire")
def retire(request: Request, here: Operator, policy_id: str) -> Response:
    """Quarantine what rests on it."""
    with writing(request.app.state.database) as session:
        policy = _policy(session, here, policy_id)
        policies.retire(session, policy, here.person.email)
        _note(session, here, "policy.retire", policy)
    return forms.back(here, "policies", "policy_retired")


@router.post("/{policy_id}/restore")
def restore(request: Request, here: Operator, policy_id: str) -> Response:
    """Undo a retirement."""
    with writing(request.app.state.database) as session:
        policy = _policy(session, here, policy_id)
        policies.restore(session, policy)
        _note(session, here, "policy.restore", policy)
    return forms.back(here, "policies", "policy_restored")


def _policy(session: Session, here: Seat, policy_id: str) -> Policy:
    """A policy of the assistant in the path, or NotFound."""
    found = policies.by_id(session, policy_id)
    if found.assistant_id != here.desk.id:
        raise NotFound(f"There is no policy {policy_id!r}.")
    return found


def _note(session: Session, here: Seat, act: str, policy: Policy) -> None:
    actor = here.caller.actor(here.desk.id)
    audit.record(session, actor, act, f"policy {policy.name}", here.desk.id)
