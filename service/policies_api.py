"""The door to policies: rules of the house, what rests on each, retiring one and taking that back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlmodel import Session

from feedback import audit, policies
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.trust_tables import Policy
from service.desk_shapes import NewPolicy, PolicyOut
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for

router = APIRouter(prefix="/v1/policies", tags=["operations"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.get("")
def list_policies(request: Request, caller: Staff, assistant: str | None = None) -> list[PolicyOut]:
    """An assistant's policies with what rests on each, those in force first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_out(session, each) for each in policies.every(session, owner)]


@router.post("", status_code=201)
def create_policy(request: Request, new: NewPolicy, caller: Operator) -> PolicyOut:
    """A new rule of the house that corrections and tickets may rest on."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        policy = policies.create(session, owner, new.name, new.text, caller.name)
        _note(session, caller, "policy.create", policy)
        return _out(session, policy)


@router.get("/{policy_id}")
def read_policy(request: Request, policy_id: str, caller: Staff) -> PolicyOut:
    """One policy: what rests on it, and which adapters learned from that."""
    with reading(request.app.state.database) as session:
        return _out(session, _policy_for(session, caller, policy_id))


@router.post("/{policy_id}/retirement", status_code=201)
def retire_policy(request: Request, policy_id: str, caller: Operator) -> PolicyOut:
    """Quarantine what rests on it: it no longer teaches, nor is it asked. Names adapters to re-examine."""
    with writing(request.app.state.database) as session:
        policy = _policy_for(session, caller, policy_id)
        policies.retire(session, policy, caller.name)
        _note(session, caller, "policy.retire", policy)
        return _out(session, policy)


@router.post("/{policy_id}/restoration", status_code=201)
def restore_policy(request: Request, policy_id: str, caller: Operator) -> PolicyOut:
    """Undo a retirement: what rests on the policy counts again."""
    with writing(request.app.state.database) as session:
        policy = _policy_for(session, caller, policy_id)
        policies.restore(session, policy)
        _note(session, caller, "policy.restore", policy)
        return _out(session, policy)


def _policy_for(session: Session, caller: Caller, policy_id: str) -> Policy:
    """The policy, or the same NotFound whether it is another assistant's or nobody's."""
    found = policies.by_id(session, policy_id)
    if caller.role_at(found.assistant_id) is None:
        raise NotFound(f"There is no policy {policy_id!r}.")
    return found


def _out(session: Session, policy: Policy) -> PolicyOut:
    return PolicyOut.of(policy, policies.rests_on(session, policy))


def _note(session: Session, caller: Caller, act: str, policy: Policy) -> None:
    owner = policy.assistant_id
    audit.record(session, caller.actor(owner), act, f"policy {policy.name}", owner)
