"""`understudy feedback import`: past tickets, corrections and exams from CSV and JSONL."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from feedback import assistants, audit
from feedback.database import writing
from feedback.errors import Invalid
from feedback.import_entries import ImportKind
from feedback.imports import CHANNEL, import_file
from feedback.printing import AssistantOption, examples, say

app = typer.Typer(
    no_args_is_help=True,
    help="Bring in what there is already, from CSV or JSONL. All of a file or nothing; a row that "
    "was imported before is left alone, so an import can be repeated. Rows of one customer "
    "stay on one side of the training and validation split: map a dialogue's id to customer where "
    "there is no better name.",
)

File = Annotated[Path, typer.Argument(help="A .csv, .tsv, .jsonl or .ndjson file in UTF-8.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="field=Column, where a column is not named like its field."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, store nothing.")]
AgentOption = Annotated[str, typer.Option("--agent", help="The author where a row names none.")]


@app.command(
    epilog=examples(
        "understudy feedback import conversations past_tickets.csv --dry-run "
        '--map "id=Ticket No" --map question=Question --map answer=Reply --map agent=Agent'
    )
)
def conversations(
    file: File,
    assistant: AssistantOption = None,
    mapping: Map = None,
    agent: AgentOption = CHANNEL,
    dry_run: DryRun = False,
) -> None:
    """Past tickets that people answered: each answer becomes a demonstration to learn from.

    Fields: question or context, answer; id, topic, customer, agent.

    In JSONL a context is a list of {role, content}, the customer (role user) last.
    """
    _import(ImportKind.CONVERSATIONS, file, assistant, mapping, agent, dry_run)


@app.command(
    epilog=examples(
        "understudy feedback import corrections drafts.jsonl --map answer=draft --map correction=final"
    )
)
def corrections(
    file: File,
    assistant: AssistantOption = None,
    mapping: Map = None,
    agent: AgentOption = CHANNEL,
    dry_run: DryRun = False,
) -> None:
    """Drafts and what an agent sent instead: rows for SFT and, as pairs, for DPO.

    Fields: question or context, answer (the draft), correction; id, topic, customer, agent.
    """
    _import(ImportKind.CORRECTIONS, file, assistant, mapping, agent, dry_run)


@app.command(
    epilog=examples(
        "understudy feedback import tickets examples/puddle_and_pine/tickets.jsonl",
        'understudy feedback import tickets exam.csv --map "reference=Model answer"',
    )
)
def tickets(
    file: File,
    assistant: AssistantOption = None,
    mapping: Map = None,
    dry_run: DryRun = False,
) -> None:
    """Held-out tickets: the exam. Nothing close to one of them is ever trained on.

    Fields: question or context, reference; id, topic, customer, must_say, must_not_say; expects (answer,
    handover: it is for a person, or refusal: it must be turned down).

    Rules are a list, or texts between |. To change a ticket, retire it and import it under another id.
    """
    _import(ImportKind.TICKETS, file, assistant, mapping, CHANNEL, dry_run)


def _import(
    kind: ImportKind,
    file: Path,
    assistant: str | None,
    mapping: list[str] | None,
    agent: str,
    dry_run: bool,
) -> None:
    columns = parsed_mapping(mapping or [])
    with _bar() as bar, writing() as session:
        owner = assistants.only(session, assistant)
        task = bar.add_task(file.name)
        result = import_file(
            session,
            owner,
            kind,
            file,
            columns,
            agent,
            dry_run,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
        if not dry_run:
            act, new = f"import.{kind}", result.new
            audit.record(session, audit.here(), act, f"file {file.name}", owner.id, new=new)
    verb = "Would import" if dry_run else "Imported"
    say(f"{verb} {result.new} {kind}; {result.already_there} already there.")
    if result.unused_columns:
        say(f"Columns not used: {', '.join(result.unused_columns)}.")


def parsed_mapping(mapping: list[str]) -> dict[str, str]:
    """What `--map` said, as field to column; Invalid where it cannot be read."""
    columns = {}
    for pair in mapping:
        field, equals, column = pair.partition("=")
        if not (field and equals and column):
            raise Invalid(f"Found --map {pair!r}, expected field=Column, as in question=Question.")
        columns[field.strip()] = column
    return columns


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
