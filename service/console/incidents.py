"""An answer that harmed: anybody on the staff reports it, an operator makes it a ticket on the same page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from feedback import adapters, incidents, proposals
from feedback.conversations import check_name
from feedback.database import reading, writing
from feedback.errors import Denied, Invalid
from feedback.proposals import Wanted
from feedback.tables import Expects, FlagReason, Speaker
from service.console import forms, judging
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Field = Annotated[str, Form()]


@router.get("/messages/{message_id}/incident")
def show(request: Request, here: OfStaff, message_id: str) -> HTMLResponse:
    """What was asked and answered, and the form."""
    with reading(request.app.state.database) as session:
        answer, conversation = judging.message_here(session, here, message_id)
        if answer.speaker != Speaker.ASSISTANT:
            raise Invalid("Only an answer of the bot can be an incident.")
        context: dict[str, Any] = {
            "answer": answer,
            "conversation": conversation,
            "context": proposals.context_of(session, answer),
            "correction": proposals.correction_of(session, answer),
            "known": proposals.of_answer(session, answer),
            "adapter": adapters.by_id(session, answer.adapter_id),
        }
    return page(request, here, "incident.html", reasons=list(FlagReason), **context)


@router.post("/messages/{message_id}/incident")
def report(
    request: Request,
    here: OfStaff,
    message_id: str,
    reason: Field = "",
    note: Field = "",
    ticket: Field = "",
    reference: Field = "",
    must_say: Field = "",
    must_not_say: Field = "",
    topic: Field = "",
    expects: Field = "answer",
) -> Response:
    """Flag and propose it; with `ticket` an operator puts it into the exam at once."""
    if ticket and not here.may("operator"):
        raise Denied("Operators make tickets. Report it; they find it among the proposed ones.")
    with writing(request.app.state.database) as session:
        answer, _ = judging.message_here(session, here, message_id)
        proposal = incidents.report(
            session, answer, judging.reason_of(reason), here.person.email, here.role, note.strip()
        )
        judging.record(session, here, "incident.report", f"message {answer.id}", reason=reason)
        if ticket:
            wanted = wanted_of(reference, must_say, must_not_say, topic, expects)
            made = proposals.accept(session, here.desk, proposal, wanted, here.caller.name)
            judging.record(session, here, "ticket.create", f"ticket {made.external_id}")
    if ticket:
        return forms.back(here, "tickets", "incident_ticket")
    path = f"/console/{here.desk.name}/conversations/{answer.conversation_id}"
    return RedirectResponse(f"{path}?done=incident_reported", 303)


def wanted_of(reference: str, must_say: str, must_not_say: str, topic: str, expects: str) -> Wanted:
    """What the fields of a form ask of a ticket, or Invalid."""
    try:
        expected = Expects(expects or Expects.ANSWER)
    except ValueError:
        raise Invalid(f"Found {expects!r}; expected one of {', '.join(Expects)}.") from None
    return Wanted(
        reference,
        forms.lines_of(must_say),
        forms.lines_of(must_not_say),
        check_name(topic, "topic", 120) if topic.strip() else None,
        expected,
    )
