"""`understudy feedback tickets`: the held-out exam. New tickets come in through `import tickets`."""

from typing import Annotated, Any

import typer

from feedback import (
    assistants,
    audit,
    conversations,
    holding_out,
    incidents,
    probes,
    proposals,
    rechecks,
    tickets,
)
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_records,
    progress_bar,
    say,
    short,
)
from feedback.tables import Expects, FlagReason, Role, Ticket
from feedback.taught import chosen_of

app = typer.Typer(no_args_is_help=True, help="Held-out tickets: what candidates are examined on.")


@app.command(
    "list",
    epilog=examples(
        "understudy feedback tickets list", "understudy feedback tickets list --retired --json"
    ),
)
def list_tickets(
    assistant: AssistantOption = None,
    retired: Annotated[bool, typer.Option("--retired", help="Also those out of use.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The tickets in force, by name."""
    with reading() as session:
        found = tickets.every(session, assistants.only(session, assistant))
    shown = [ticket for ticket in found if retired or ticket.retired_at is None]
    print_records([_row(ticket, whole=as_json) for ticket in shown], as_json)


def _row(ticket: Ticket, whole: bool) -> dict[str, Any]:
    question = tickets.question_of(ticket) or "(erased)"
    row = {
        "id": ticket.external_id,
        "topic": ticket.topic,
        "expects": ticket.expects,
        "origin": ticket.origin,
        "question": question if whole else short(question),
        "reference": ticket.reference if whole else short(ticket.reference),
        "must_say": ticket.must_say,
        "must_not_say": ticket.must_not_say,
        "sealed": ticket.sealed,
        "retired_at": ticket.retired_at,
    }
    return row | ({"context": ticket.context} if whole else {})


@app.command(
    "hold-out",
    epilog=examples(
        "understudy feedback tickets hold-out --dry-run", "understudy feedback tickets hold-out"
    ),
)
def hold_out(
    assistant: AssistantOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make tickets of a share of the corrections that nobody has trained on. A cycle begins with it.

    The share and its limits are the assistant's: see `understudy feedback assistants set-learning`.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
    with progress_bar("Comparing") as progress:
        if dry_run:
            with reading() as session:
                chosen = holding_out.choose(session, owner, progress)
            rows = [
                {"question": word.context[-1]["content"], "reference": chosen_of(word)}
                for word in chosen
            ]
            print_records(rows, as_json, nothing="No correction would become a ticket.")
            return
        made = holding_out.hold_out(None, owner, progress)
    with writing() as session:
        audit.record(session, audit.here(), "ticket.hold_out", f"{len(made)} tickets", owner.id)
    print_records(
        [_row(ticket, whole=as_json) for ticket in made],
        as_json,
        nothing="No correction became a ticket.",
    )


@app.command("add-probes", epilog=examples("understudy feedback tickets add-probes"))
def add_probes(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Add the built-in safety probes: what must be turned down, and look-alikes that must be answered.

    Those that are there already, also retired ones, stay as they are. No gain is measured on probes.
    """
    with writing() as session:
        owner = assistants.only(session, assistant)
        made = probes.add(session, owner)
        audit.record(session, audit.here(), "ticket.probes", f"{len(made)} probes", owner.id)
    print_records(
        [_row(ticket, whole=as_json) for ticket in made],
        as_json,
        nothing="All probes are there already.",
    )


@app.command(epilog=examples("understudy feedback tickets retire t07"))
def retire(
    name: Annotated[str, typer.Argument(help="The ticket's id, as `tickets list` prints it.")],
    assistant: AssistantOption = None,
) -> None:
    """Take a ticket out of the exam. From then on feedback close to it may be trained on."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        tickets.retire(session, tickets.get(session, owner, name))
        audit.record(session, audit.here(), "ticket.retire", f"ticket {name}", owner.id)
    say(f"Ticket {name!r} is no longer in the exam.")


# What went wrong


Proposal = Annotated[str, typer.Argument(help="As `tickets proposed` prints it.")]
By = Annotated[str, typer.Option(help="Who does it.")]


@app.command("proposed", epilog=examples("understudy feedback tickets proposed --json"))
def list_proposed(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Questions that went wrong: incidents, and what was flagged or corrected before a rollback."""
    with reading() as session:
        found = proposals.waiting(session, assistants.only(session, assistant))
    rows = [
        {
            "id": one.proposal.id,
            "origin": one.proposal.origin,
            "why": one.proposal.why,
            "question": _cut(one.context[-1]["content"] if one.context else "", as_json),
            "answer": _cut(one.answer.text, as_json),
            "correction": _cut((one.correction and one.correction.text) or "", as_json),
        }
        for one in found
    ]
    print_records(rows, as_json, nothing="Nothing is proposed.")


def _cut(text: str, whole: bool) -> str:
    return text if whole else short(text)


@app.command(
    epilog=examples(
        "understudy feedback tickets incident 01m832nhwx7xes4yw7kg3dsrcj --reason wrong_fact --by mara"
    )
)
def incident(
    message_id: Annotated[str, typer.Argument(help="The answer's id.")],
    reason: Annotated[FlagReason, typer.Option(help="What was wrong.")],
    by: By,
    note: Annotated[str, typer.Option(help="For colleagues.")] = "",
) -> None:
    """Report an answer that must not be given again: it is flagged, and proposed as a ticket."""
    with writing() as session:
        answer = conversations.message(session, message_id)
        owner = conversations.get(session, answer.conversation_id).assistant_id
        made = incidents.report(session, answer, reason, by, Role.AGENT, note)
        actor = Actor(by, "command line")
        audit.record(
            session, actor, "incident.report", f"message {answer.id}", owner, reason=reason
        )
    say(f"Proposed as {made.id}: understudy feedback tickets accept {made.id} --by {by}")


@app.command(
    epilog=examples(
        "understudy feedback tickets accept 01m832nhwx7xes4yw7kg3dsrcj --by olga "
        "--reference 'You have 40 days.' --must-not-say 'for ever'"
    )
)
def accept(
    proposal_id: Proposal,
    by: By,
    reference: Annotated[
        str, typer.Option(help="The answer it should get. None: as an agent corrected it.")
    ] = "",
    must_say: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    must_not_say: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    topic: Annotated[str | None, typer.Option(help="None: the conversation's.")] = None,
    expects: Annotated[Expects, typer.Option(help="What a good assistant does.")] = Expects.ANSWER,
    assistant: AssistantOption = None,
) -> None:
    """Make a proposed ticket one. It, and what is close to it, will never train."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        proposal = proposals.get(session, owner, proposal_id)
        corrected = proposals.shown(session, proposal).correction
        text = reference or (corrected.text if corrected else "") or ""
        wanted = proposals.Wanted(text, must_say, must_not_say, topic, expects)
        ticket = proposals.accept(session, owner, proposal, wanted, by)
        subject = f"ticket {ticket.external_id}"
        audit.record(session, Actor(by, "command line"), "ticket.create", subject, owner.id)
    say(f"Ticket {ticket.external_id!r} is in the exam.")


@app.command(
    epilog=examples("understudy feedback tickets dismiss 01m832nhwx7xes4yw7kg3dsrcj --by olga")
)
def dismiss(proposal_id: Proposal, by: By, assistant: AssistantOption = None) -> None:
    """A proposed ticket shall be none."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        proposals.dismiss(session, proposals.get(session, owner, proposal_id), by)
        subject = f"proposed ticket {proposal_id}"
        audit.record(session, Actor(by, "command line"), "ticket.dismiss", subject, owner.id)
    say("It will be no ticket.")


@app.command(
    "from-correction",
    epilog=examples(
        "understudy feedback tickets from-correction 01m832nhwx7xes4yw7kg3dsrcj --by olga"
    ),
)
def from_correction(
    feedback_id: Annotated[str, typer.Argument(help="As `understudy feedback learned` prints it.")],
    by: By,
    assistant: AssistantOption = None,
) -> None:
    """Make a correction a ticket: from the next cycle on it examines instead of teaching."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        word = rechecks.get(session, feedback_id)
        about = conversations.get(
            session, conversations.message(session, word.message_id).conversation_id
        )
        if about.assistant_id != owner.id:
            raise NotFound(f"There is no feedback {feedback_id!r} of {owner.name!r}.")
        ticket = incidents.from_correction(session, owner, word)
        subject = f"ticket {ticket.external_id}"
        audit.record(session, Actor(by, "command line"), "ticket.create", subject, owner.id)
    say(f"Ticket {ticket.external_id!r} is in the exam.")
