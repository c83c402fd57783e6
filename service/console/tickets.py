"""The exam's tickets: held-out questions with reference answers and rules. Adding and retiring them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response

from feedback import audit, policies, probes, proposals, tickets
from feedback.conversations import check_name
from feedback.database import reading, writing
from feedback.tables import Expects, Ticket
from service.console import forms
from service.console.incidents import wanted_of
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS

router = APIRouter(prefix="/console/{assistant}/tickets", include_in_schema=False)
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Words = Annotated[str, Query(max_length=200)]
Field = Annotated[str, Form()]
PAGE = 40


@router.get("")
def show(
    request: Request, here: Operator, q: Words = "", retired: bool = False, start: int = 0,
    done: str = "",
) -> HTMLResponse:  # fmt: skip
    """The tickets in force, or all; those that hold the words looked for."""
    start = max(0, start)
    with reading(request.app.state.database) as session:
        every = tickets.every(session, here.desk)
        proposed = proposals.waiting(session, here.desk, PAGE)
        rules = policies.every(session, here.desk)
    gone = {policy.id for policy in rules if policy.retired_at is not None}
    found = [
        ticket
        for ticket in every
        if (retired or ticket.retired_at is None) and _holds(ticket, q.strip().casefold())
    ]
    return page(
        request,
        here,
        "tickets.html",
        proposed=proposed,
        tickets=found[start : start + PAGE],
        count=len(found),
        in_force=sum(each.retired_at is None and each.policy_id not in gone for each in every),
        policies=rules,
        lacks_probes=_lacks_probes(every),
        q=q,
        retired=retired,
        start=start,
        PAGE=PAGE,
        said=forms.said(done),
    )


def _lacks_probes(every: list[Ticket]) -> bool:
    known = {ticket.external_id for ticket in every}
    return any(probe["id"] not in known for probe in probes.built_in())


def _holds(ticket: Ticket, words: str) -> bool:
    said = " ".join(turn["content"] for turn in ticket.context)
    rules = " ".join([*ticket.must_say, *ticket.must_not_say])
    text = f"{ticket.external_id} {ticket.topic or ''} {said} {ticket.reference} {rules}"
    return words in text.casefold()


@router.post("")
def add(
    request: Request,
    here: Operator,
    name: Field = "",
    question: Field = "",
    reference: Field = "",
    topic: Field = "",
    customer: Field = "",
    must_say: Field = "",
    must_not_say: Field = "",
    policy: Field = "",
    expects: Field = Expects.ANSWER,
) -> Response:
    """A new ticket. It, and anything close to it, will never train."""
    with writing(request.app.state.database) as session:
        ticket = tickets.create(
            session,
            here.desk,
            check_name(name, "ticket's name"),
            [{"role": "user", "content": question.strip()}],
            reference,
            forms.lines_of(must_say),
            forms.lines_of(must_not_say),
            check_name(topic, "topic", 120) if topic.strip() else None,
            customer.strip() or None,
            policy=policy or None,
            expects=tickets.expected(expects),
        )
        actor = here.caller.actor(here.desk.id)
        audit.record(session, actor, "ticket.create", f"ticket {ticket.external_id}", here.desk.id)
    return forms.back(here, "tickets", "added")


@router.post("/probes")
def add_probes(request: Request, here: Operator) -> Response:
    """Add the built-in safety probes that the assistant lacks."""
    with writing(request.app.state.database) as session:
        made = probes.add(session, here.desk)
        actor = here.caller.actor(here.desk.id)
        audit.record(session, actor, "ticket.probes", f"{len(made)} probes", here.desk.id)
    return forms.back(here, "tickets", "probes")


@router.post("/retire")
def retire(request: Request, here: Operator, name: Field = "") -> Response:
    """Take a ticket out of the exam."""
    with writing(request.app.state.database) as session:
        ticket = tickets.retire(session, tickets.get(session, here.desk, name))
        actor = here.caller.actor(here.desk.id)
        audit.record(session, actor, "ticket.retire", f"ticket {ticket.external_id}", here.desk.id)
    return forms.back(here, "tickets", "retired")


@router.post("/proposed/{proposal_id}")
def decide(
    request: Request,
    here: Operator,
    proposal_id: str,
    reference: Field = "",
    must_say: Field = "",
    must_not_say: Field = "",
    topic: Field = "",
    expects: Field = "",
    dismissed: Field = "",
) -> Response:
    """A proposed ticket: with the answer it should get it joins the exam, or it is dismissed."""
    with writing(request.app.state.database) as session:
        proposal = proposals.get(session, here.desk, proposal_id)
        actor = here.caller.actor(here.desk.id)
        if dismissed:
            proposals.dismiss(session, proposal, here.caller.name)
            subject, act = f"proposed ticket {proposal.id}", "ticket.dismiss"
        else:
            wanted = wanted_of(reference, must_say, must_not_say, topic, expects)
            ticket = proposals.accept(session, here.desk, proposal, wanted, here.caller.name)
            subject, act = f"ticket {ticket.external_id}", "ticket.create"
        audit.record(session, actor, act, subject, here.desk.id)
    return forms.back(here, "tickets", "dismissed" if dismissed else "accepted")
