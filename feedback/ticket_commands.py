"""`understudy feedback tickets`: the held-out exam. New tickets come in through `import tickets`."""

from typing import Annotated, Any

import typer

from feedback import assistants, audit, holding_out, tickets
from feedback.database import reading, writing
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_records,
    progress_bar,
    say,
    short,
)
from feedback.tables import Ticket
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
    question = ticket.context[-1]["content"]
    row = {
        "id": ticket.external_id,
        "topic": ticket.topic,
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
