"""`understudy feedback holds`: authors whose words wait for a person's decision."""

from typing import Annotated, Any

import typer

from feedback import assistants, audit, holds, suspicion
from feedback.database import reading, writing
from feedback.printing import AssistantOption, JsonOption, examples, print_records, say
from feedback.trust_tables import Hold, HoldOutcome

app = typer.Typer(
    no_args_is_help=True,
    help="Authors who flood, push one phrase or approve everything: their new words wait until a "
    "person has looked.",
)
By = Annotated[str, typer.Option("--by", help="Who decides this.")]
HoldId = Annotated[str, typer.Argument(help="As `holds list` prints it.")]


@app.command(
    "list",
    epilog=examples("understudy feedback holds list", "understudy feedback holds list --all"),
)
def list_holds(
    assistant: AssistantOption = None,
    decided: Annotated[bool, typer.Option("--all", help="Also those decided.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Who is held, and why."""
    with reading() as session:
        found = holds.every(session, assistants.only(session, assistant))
    shown = [_row(hold) for hold in found if decided or hold.outcome is None]
    print_records(shown, as_json, nothing="Nobody is held.")


@app.command(epilog=examples("understudy feedback holds check"))
def check(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Look at everybody's new words now. A cycle begins with it."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        found = suspicion.look(session, owner)
    with writing() as session:
        made = holds.place(session, owner, found)
        for hold in made:
            audit.record(session, audit.here(), "hold.place", f"words by {hold.author}", owner.id)
        rows = [_row(hold) for hold in made]
    print_records(rows, as_json, nothing="Nobody's words look one-sided or came in a flood.")


@app.command(epilog=examples("understudy feedback holds release 01kb4n6y --by olga"))
def release(hold: HoldId, by: By, assistant: AssistantOption = None) -> None:
    """What the author has said so far teaches from the next cycle on."""
    _decide(hold, by, assistant, HoldOutcome.RELEASED)


@app.command(epilog=examples("understudy feedback holds reject 01kb4n6y --by olga"))
def reject(hold: HoldId, by: By, assistant: AssistantOption = None) -> None:
    """What the author has said so far never teaches. It stays on record."""
    _decide(hold, by, assistant, HoldOutcome.REJECTED)


def _decide(hold_id: str, by: str, assistant: str | None, outcome: HoldOutcome) -> None:
    with writing() as session:
        owner = assistants.only(session, assistant)
        hold = holds.decide(session, holds.get(session, owner, hold_id), outcome, by)
        told = {"by": by}
        audit.record(
            session, audit.here(), f"hold.{outcome}", f"words by {hold.author}", owner.id, **told
        )
    say(f"The words of {hold.author!r} are {outcome}.")


def _row(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "author": hold.author,
        "reason": hold.reason,
        "at": hold.created_at,
        "outcome": hold.outcome,
        "decided_by": hold.decided_by,
    }
