"""`understudy feedback`: what was said and corrected, and who taught what. One file per group."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from feedback import (
    adapters,
    assistants,
    conversations,
    corrections,
    database,
    erasure_commands,
    give_commands,
    hold_commands,
    key_commands,
    learned_commands,
    lineage,
    redact_commands,
)
from feedback.assistant_commands import app as assistant_app
from feedback.database import reading
from feedback.dataset_commands import app as dataset_app
from feedback.desk_commands import app as desk_app
from feedback.errors import NotFound
from feedback.import_commands import app as import_app
from feedback.people_commands import audit_app, sites_app, staff_app
from feedback.policy_commands import app as policy_app
from feedback.printing import (
    AssistantOption,
    CommandGroup,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
    short,
)
from feedback.tables import Conversation, Feedback, FeedbackKind, FeedbackState, Message
from feedback.ticket_commands import app as ticket_app

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Assistants, keys, imports, feedback, datasets and tickets: everything that is remembered.",
    epilog=examples(
        "understudy feedback migrate",
        "understudy feedback assistants create --file examples/puddle_and_pine/assistant.toml",
        "understudy feedback import tickets examples/puddle_and_pine/tickets.jsonl --dry-run",
        "understudy feedback list --kind correction --since 2026-11-01",
    ),
)
app.add_typer(assistant_app, name="assistants")
app.add_typer(key_commands.app, name="keys")
app.add_typer(import_app, name="import")
app.add_typer(give_commands.app, name="give")
app.add_typer(dataset_app, name="datasets")
app.add_typer(ticket_app, name="tickets")
app.add_typer(hold_commands.app, name="holds")
app.add_typer(policy_app, name="policies")
app.add_typer(staff_app, name="staff")
app.add_typer(sites_app, name="sites")
app.add_typer(audit_app, name="audit")
app.add_typer(desk_app, name="desk")
app.add_typer(erasure_commands.app, name="erasures")
app.command("learned", epilog=learned_commands.EPILOG)(learned_commands.show)
app.command("erase", epilog=erasure_commands.ERASE_EXAMPLES)(erasure_commands.erase)
app.command("lineage", epilog=erasure_commands.LINEAGE_EXAMPLES)(erasure_commands.show_lineage)
app.command("redact", epilog=redact_commands.EPILOG)(redact_commands.redact)


@app.command(epilog=examples("understudy feedback migrate"))
def migrate() -> None:
    """Bring the database to the newest schema. Safe to repeat."""
    database.migrate()
    say("The database has the newest schema.")


@app.command(
    "list",
    epilog=examples(
        "understudy feedback list",
        "understudy feedback list --kind flag --since 2026-11-01 --limit 20",
        "understudy feedback list --state withdrawn --json",
    ),
)
def list_feedback(
    assistant: AssistantOption = None,
    kind: Annotated[FeedbackKind | None, typer.Option(help="Only this kind.")] = None,
    state: Annotated[FeedbackState | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only what was said from this time (UTC) on.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What people said about answers, newest first."""
    with reading() as session:
        found = corrections.every(
            session,
            assistants.only(session, assistant),
            kind,
            state,
            since.replace(tzinfo=UTC) if since else None,
            limit,
        )
    print_records([_feedback_row(*row, whole=as_json) for row in found], as_json)


def _feedback_row(
    word: Feedback, message: Message, conversation: Conversation, whole: bool
) -> dict[str, Any]:
    said = _what(word)
    if not whole:
        gone = "" if word.state == FeedbackState.ACTIVE else f" ({word.state})"
        return {
            "at": word.created_at,
            "kind": f"{word.kind}{gone}",
            "author": word.author,
            "message": message.id,
            "said": short(said),
        }
    return {
        "id": word.id,
        "at": word.created_at,
        "kind": word.kind,
        "state": word.state,
        "author": word.author,
        "said": said,
        "note": word.note,
        "message": message.id,
        "about": message.text,
        "topic": conversation.topic,
    }


def _what(word: Feedback) -> str | None:
    if word.kind == FeedbackKind.RATING:
        return "helpful" if word.value == 1 else "not helpful"
    return word.reason if word.kind == FeedbackKind.FLAG else word.text


@app.command(epilog=examples("understudy feedback show 01m832nhwx7xes4yw7kg3dsrcj"))
def show(
    message_id: Annotated[str, typer.Argument(help="As `understudy feedback list` prints it.")],
    as_json: JsonOption = False,
) -> None:
    """One message: what led to it, the adapter that said it, and everything said about it."""
    with reading() as session:
        message = conversations.message(session, message_id)
        said = conversations.messages_of(session, message.conversation_id)
        words = corrections.about_message(session, message_id)
        adapter = adapters.by_id(session, message.adapter_id)
    print_record(
        {
            "message": message.id,
            "conversation": message.conversation_id,
            "said": [f"{m.speaker}: {m.text}" for m in said if m.position <= message.position],
            "state": message.state,
            "adapter": adapter.name if adapter else adapters.BASE,
            "prompt": message.prompt_id,
            "sampling": message.sampling or {},
            "latency_ms": message.latency_ms,
            "feedback": [_sentence(word) for word in words],
        },
        as_json,
    )


def _sentence(word: Feedback) -> str:
    note = f" ({word.note})" if word.note else ""
    return (
        f"{word.kind}, {word.state}, by {word.author}, {word.id}: {_what(word) or 'as it is'}{note}"
    )


@app.command("who-taught", epilog=examples("understudy feedback who-taught shop-v3-1a2b3c4d"))
def who_taught(
    adapter: Annotated[str, typer.Argument(help="An adapter's name.")],
    as_json: JsonOption = False,
) -> None:
    """The customers whose conversations an adapter learned from, and who corrected them."""
    with reading() as session:
        found = adapters.get(session, adapter)
        customers = lineage.customers_behind(session, found)
        authors = sorted({word.author for word in lineage.feedback_behind(session, found)})
    rows = [{"customer": customer.external_id, "rows": rows} for customer, rows in customers]
    if as_json:
        print_record({"adapter": adapter, "customers": rows, "authors": authors}, as_json)
        return
    print_records(rows, as_json, nothing="No named customer is behind this adapter.")
    say(f"Corrected by: {', '.join(authors) or 'nobody'}.")


@app.command("learned-from", epilog=examples("understudy feedback learned-from cust-wren"))
def learned_from(
    customer: Annotated[str, typer.Argument(help="The customer's name, as the site gives it.")],
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """The adapters that learned from one customer's conversations."""
    with reading() as session:
        known = assistants.only(session, assistant)
        found = conversations.find_customer(session, known, customer)
        if found is None:
            raise NotFound(f"{known.name!r} knows no customer {customer!r}.")
        learned = lineage.learned_from(session, found)
    print_records(
        [{"adapter": a.name, "made_at": a.created_at} for a in learned],
        as_json,
        nothing=f"No adapter learned from {customer!r}.",
    )
