"""The operators' door to trials: a candidate on real customers, what came of it, and the tickets it left."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlmodel import Session

from feedback import adapters, assistants, audit, proposals, trials
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.swap_tables import Trial
from feedback.tables import Assistant
from service.operator_api import adapter_for
from service.operator_shapes import TicketOut
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for
from service.trial_shapes import (
    EngineOut,
    NewAnswer,
    NewStop,
    NewTrial,
    ProposalOut,
    TrialOut,
)

router = APIRouter(prefix="/v1", tags=["trials"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.get("/engines")
def list_engines(request: Request, caller: Staff) -> list[EngineOut]:
    """The engines as this service sees them: up or not, how busy, and which adapters they hold.

    Of adapters only those of the caller's assistants are named.
    """
    with reading(request.app.state.database) as session:
        owners = [each for each in assistants.every(session) if caller.role_at(each.id)]
        theirs = {each.name for owner in owners for each in adapters.every(session, owner)}
    return [EngineOut.of(member, theirs) for member in request.app.state.fleet.members]


@router.post("/trials", status_code=201)
def start_trial(request: Request, new: NewTrial, caller: Operator) -> TrialOut:
    """Let an adapter meet real customers: as a canary on a share of new conversations, or silently."""
    with writing(request.app.state.database) as session:
        adapter = adapter_for(session, caller, new.adapter)
        owner = assistants.by_id(session, adapter.assistant_id)
        policy = trials.policy_from(new.policy)
        trial = trials.start(
            session, owner, adapter, new.kind, new.share, caller.name, new.reason, policy
        )
        audit.record(
            session, caller.actor(owner.id), "trial.start", adapter.name, owner.id,
            kind=new.kind, share=str(new.share), reason=new.reason,
        )  # fmt: skip
        return _out(session, trial)


@router.get("/trials")
def list_trials(request: Request, caller: Staff, assistant: str | None = None) -> list[TrialOut]:
    """An assistant's trials, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_out(session, each) for each in trials.every(session, owner)]


@router.get("/trials/{trial_id}")
def read_trial(request: Request, trial_id: str, caller: Staff) -> TrialOut:
    """One trial with its evidence, signal by signal."""
    with reading(request.app.state.database) as session:
        return _out(session, _trial(session, caller, trial_id))


@router.post("/trials/{trial_id}/stop")
def stop_trial(request: Request, trial_id: str, new: NewStop, caller: Operator) -> TrialOut:
    """End a trial. No new conversation meets the candidate; those under way keep it."""
    with writing(request.app.state.database) as session:
        trial = _trial(session, caller, trial_id)
        trials.stop(session, trial, caller.name, new.reason)
        actor = caller.actor(trial.assistant_id)
        subject = f"trial {trial.id}"
        audit.record(session, actor, "trial.stop", subject, trial.assistant_id, reason=new.reason)
        return _out(session, trials.get(session, trial.id))


@router.get("/ticket-proposals")
def list_proposals(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[ProposalOut]:
    """Questions that went wrong, proposed for the exam; oldest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [ProposalOut.of(each) for each in proposals.waiting(session, owner)]


@router.post("/ticket-proposals/{proposal_id}/accept", status_code=201)
def accept_proposal(
    request: Request, proposal_id: str, new: NewAnswer, caller: Operator
) -> TicketOut:
    """Make it a held-out ticket with the answer it should get."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        proposal = proposals.get(session, owner, proposal_id)
        ticket = proposals.accept(session, owner, proposal, new.wanted(), caller.name)
        actor = caller.actor(owner.id)
        audit.record(session, actor, "ticket.create", f"ticket {ticket.external_id}", owner.id)
        return TicketOut.of(ticket)


@router.post("/ticket-proposals/{proposal_id}/dismiss", status_code=204)
def dismiss_proposal(
    request: Request, proposal_id: str, caller: Operator, assistant: str | None = None
) -> None:
    """It shall be no ticket."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        proposal = proposals.get(session, owner, proposal_id)
        proposals.dismiss(session, proposal, caller.name)
        actor = caller.actor(owner.id)
        audit.record(session, actor, "ticket.dismiss", f"proposed ticket {proposal.id}", owner.id)


def _trial(session: Session, caller: Caller, trial_id: str) -> Trial:
    trial = trials.get(session, trial_id)
    if caller.role_at(trial.assistant_id) is None:
        raise NotFound(f"There is no trial {trial_id!r}.")
    return trial


def _out(session: Session, trial: Trial) -> TrialOut:
    live = adapters.by_id(session, trial.live_adapter_id)
    candidate = adapters.by_id(session, trial.adapter_id)
    return TrialOut.of(
        trial,
        assistant=session.get_one(Assistant, trial.assistant_id).name,
        adapter=candidate.name if candidate else adapters.BASE,
        live_adapter=live.name if live else adapters.BASE,
    )
