"""`understudy feedback redact`: personal data in what teaches, ahead of freezing, as a report, on trial."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from feedback import assistants, audit, redactions
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
    short,
)
from feedback.redact_ahead import redact_ahead
from feedback.tables import Assistant

EPILOG = examples(
    "understudy feedback redact",
    "understudy feedback redact --report",
    'understudy feedback redact --text "I am Wren Okafor, my card is 4111 1111 1111 1111"',
)


def redact(
    assistant: AssistantOption = None,
    report: Annotated[
        bool, typer.Option("--report", help="Show what was found so far; redact nothing.")
    ] = False,
    text: Annotated[
        str | None, typer.Option(help="Show what this text becomes; nothing is stored.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Redact ahead what the next datasets need. Safe to repeat and to interrupt.

    Freezing redacts what is missing, too; done ahead, it holds nobody up.
    """
    if report and text is not None:
        raise Invalid("Found both --report and --text; expected one of them.")
    with reading() as session:
        owner = assistants.only(session, assistant)
    if text is not None:
        _try(owner, text, as_json)
    elif report:
        _report(owner, as_json)
    else:
        _ahead(owner, as_json)


def _try(owner: Assistant, text: str, as_json: bool) -> None:
    [result] = redactions.redactor_of(owner).redact([text])
    print_record({"text": result.text, "found": result.found}, as_json)


def _report(owner: Assistant, as_json: bool) -> None:
    with reading() as session:
        told = redactions.report(session, owner)
    rows = [
        {"type": type, "found": one.count, "texts": one.texts, "example": "".join(one.examples[:1])}
        for type, one in told.found.items()
    ]
    summary = {
        "texts": told.texts,
        "looked_through": told.looked_through,
        "with_personal_data": told.with_any,
        "rules": told.rules,
    }
    if as_json:
        print_record({**summary, "found": rows}, as_json)
        return
    print_record(summary, as_json)
    shown = [{**row, "example": short(str(row["example"]))} for row in rows]
    print_records(shown, as_json, nothing="Nothing personal was found.")


def _ahead(owner: Assistant, as_json: bool) -> None:
    with reading() as session:
        total = redactions.count_needed(session, owner)
    texts = new = 0
    with _bar() as bar:
        task = bar.add_task("redacting", total=total)
        for seen, fresh in redact_ahead(owner):
            texts, new = texts + seen, new + fresh
            bar.update(task, advance=seen)
    with writing() as session:
        audit.record(session, audit.here(), "redaction.run", f"{texts} texts", owner.id, new=new)
    if as_json:
        print_record({"texts": texts, "new": new}, as_json)
    else:
        say(f"{texts} texts are ready; {new} of them were looked through now.")


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
