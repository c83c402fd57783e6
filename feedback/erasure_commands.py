"""`understudy feedback erase`, `erasures` and `lineage`: who is behind an answer, and taking them out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from feedback import (
    adapters,
    assistants,
    audit,
    certificate,
    conversations,
    erasing,
    erasure,
    erasures,
    lineage,
    whose_words,
)
from feedback.audit import Actor
from feedback.database import database, reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_record,
    print_records,
    say,
)
from feedback.trust_tables import Erasure

app = typer.Typer(no_args_is_help=True, help="Erasures with their certificates.")

ERASE_EXAMPLES = examples(
    "understudy feedback erase --customer cust-wren --dry-run",
    'understudy feedback erase --customer cust-wren --by mara --reason "Asked on 2 November."',
    'understudy feedback erase --conversation 01m8… --by mara --reason "Wrong chat." --yes',
    "understudy feedback erase --expired",
)
LINEAGE_EXAMPLES = examples(
    "understudy feedback lineage --customer cust-wren",
    "understudy feedback lineage --adapter shop-v3-1a2b3c4d",
    "understudy feedback lineage --message 01m832nhwx7xes4yw7kg3dsrcj --json",
)


def erase(
    customer: Annotated[
        str | None, typer.Option(help="The customer's name, as the site gives it.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(help="One conversation alone, say of somebody without a name.")
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="What is older than the assistant keeps it.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who does it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept in the certificate.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show exactly what would go.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a person's words out of everything: conversations, feedback, datasets, tickets, exports.

    For good. Lists every adapter that learned from them, asks for a cycle without them, and leaves a
    certificate: `understudy feedback erasures show`.
    """
    actor = Actor(by, "command line") if by else audit.here()
    with reading() as session:
        owner = assistants.only(session, assistant)
    if expired:
        if customer or conversation or dry_run:
            raise Invalid("Found --expired with something else; expected it alone.")
        done = erasing.erase_expired(database(), owner, actor)
        if done is None:
            say("Nothing is older than the assistant keeps it (rule keep_conversations_days).")
            return
    else:
        with writing() as session:
            subject = whose_words.subject_of(session, owner, customer, conversation)
            shown = erasure.preview(session, owner, subject, actor)
        if dry_run:
            print_record(certificate.counted(shown), as_json)
            return
        if not yes:
            print_record(certificate.counted(shown), as_json)
            typer.confirm("Erase all of this, for good?", abort=True)
        if not reason:
            raise Invalid("Found no --reason; expected a few words why, for the certificate.")
        done = erasing.erase(database(), owner, subject, actor, reason)
    _show(erasing.finish(database(), done.id), as_json)


def _show(row: Erasure, as_json: bool) -> None:
    if as_json:
        print_json(certificate.as_record(row))
        return
    typer.echo(certificate.as_text(row))
    if row.finished_at is None:
        say(f"Not finished: {erasing.wait_reason(row)}")


@app.command("list", epilog=examples("understudy feedback erasures list --json"))
def list_erasures(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Every erasure, newest first. Of the people only hashes are kept."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        rows = [certificate.row(each) for each in erasures.every(session, owner)]
    print_records(rows, as_json, nothing="Nobody was erased yet.")


@app.command(
    epilog=examples(
        "understudy feedback erasures show 01m8…",
        "understudy feedback erasures show 01m8… --certificate wren.md",
    )
)
def show(
    erasure_id: Annotated[str, typer.Argument(help="As `erasures list` prints it.")],
    to: Annotated[
        Path | None, typer.Option("--certificate", help="Write the certificate to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """One erasure with its certificate."""
    with reading() as session:
        row = erasures.get(session, erasure_id)
    if to is not None:
        to.write_text(certificate.as_text(row), encoding="utf-8")
        say(f"Wrote the certificate to {to}.")
        return
    _show(row, as_json)


@app.command(epilog=examples("understudy feedback erasures finish"))
def finish() -> None:
    """Go on with erasures that were cut off; the loop does this, too."""
    waiting = erasing.finish_all()
    say(f"{len(waiting)} wait still." if waiting else "Every erasure has come to its end.")


def show_lineage(
    customer: Annotated[
        str | None, typer.Option(help="Which adapters learned from this customer?")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Who is behind this adapter's weights?")
    ] = None,
    message: Annotated[
        str | None, typer.Option(help="Who is behind the weights this answer was made with?")
    ] = None,
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """From a person to the adapters that learned from them, and from an answer back to the people."""
    if sum(each is not None for each in (customer, adapter, message)) != 1:
        raise Invalid("Name one of --customer, --adapter and --message.")
    with reading() as session:
        if customer is not None:
            owner = assistants.only(session, assistant)
            found = whose_words.of_customer(session, owner, customer).customer
            assert found is not None
            record: dict[str, Any] = {
                "customer": customer,
                "datasets": [each.name for each in lineage.datasets_with(session, found)],
                "adapters": [
                    erasure.standing(session, owner, each)
                    for each in lineage.learned_from(session, found)
                ],
            }
        elif adapter is not None:
            record = _behind(lineage.people_behind(session, adapters.get(session, adapter)))
        else:
            said = conversations.message(session, message or "")
            record = {"message": said.id, **_behind(lineage.behind_answer(session, said))}
    print_record(record, as_json)


def _behind(found: lineage.Behind) -> dict[str, Any]:
    return {
        "adapter": found.adapter.name if found.adapter else adapters.BASE,
        "customers": {customer.external_id: rows for customer, rows in found.customers},
        "rows_without_a_name": found.without_name,
        "rows_erased": found.erased,
        "authors": {f"{each.name} ({each.role})": each.rows for each in found.authors},
    }
