"""`understudy feedback datasets`: freeze what may teach, look at it, take it elsewhere."""

from pathlib import Path
from typing import Annotated, Any

import typer

from feedback import assistants, audit, dataset_diff, datasets, exports, freezing, leaks, redactions
from feedback.database import reading, writing
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_record,
    print_records,
    progress_bar,
    say,
    short,
)
from feedback.redact_ahead import redact_ahead
from feedback.tables import Dataset

app = typer.Typer(
    no_args_is_help=True, help="Frozen training rows, named by their content, never changed."
)

Name = Annotated[str, typer.Argument(help="As `datasets list` prints it.")]


@app.command(epilog=examples("understudy feedback datasets freeze"))
def freeze(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Make the SFT, DPO and KTO datasets of all that may teach today. The same feedback, the same names."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        total = redactions.count_needed(session, owner)
    with progress_bar("Redacting") as progress:
        done = 0
        for texts, _ in redact_ahead(owner):
            done += texts
            progress(done, total)
    with progress_bar("Freezing") as progress:
        frozen = freezing.freeze_in_steps(None, owner, progress=progress)
    with writing() as session:
        names = ", ".join(dataset.name for dataset in frozen)
        audit.record(session, audit.here(), "dataset.freeze", names, owner.id)
    print_records([_row(dataset) for dataset in frozen], as_json)


@app.command("list", epilog=examples("understudy feedback datasets list"))
def list_datasets(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's datasets, newest first."""
    with reading() as session:
        found = datasets.every(session, assistants.only(session, assistant))
    print_records([_row(dataset) for dataset in found], as_json)


@app.command(
    epilog=examples(
        "understudy feedback datasets show sft-54d54a34f2d5",
        "understudy feedback datasets show dpo-ea2cb5dba5f7 --rows 3 --json",
    )
)
def show(
    name: Name,
    assistant: AssistantOption = None,
    rows: Annotated[int, typer.Option(min=0, help="How many rows to show.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """What is in a dataset, what was left out and why, and its first rows."""
    with reading() as session:
        dataset = datasets.get(session, name, assistants.only(session, assistant))
        items = datasets.items(session, dataset)[:rows]
    first = [
        {"question": i.prompt[-1]["content"], "chosen": i.chosen, "rejected": i.rejected}
        for i in items
    ]
    if as_json:
        print_record({**_row(dataset), "sha256": dataset.sha256, "first": first}, as_json)
        return
    print_record({**_row(dataset), "sha256": dataset.sha256}, as_json)
    print_records([{k: short(v) for k, v in row.items()} for row in first], as_json, nothing="")


@app.command(epilog=examples("understudy feedback datasets explain sft-54d54a34f2d5"))
def explain(name: Name, assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """How all feedback became these rows: what each filter left out, in numbers that add up."""
    with reading() as session:
        dataset = datasets.get(session, name, assistants.only(session, assistant))
    print_records(
        [
            {"count": key, "number": n, "meaning": what}
            for key, n, what in datasets.explain(dataset)
        ],
        as_json,
    )


@app.command("near-copies", epilog=examples("understudy feedback datasets near-copies --json"))
def near_copies(
    assistant: AssistantOption = None,
    rows: Annotated[int, typer.Option(min=1, help="How many pairs to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """What the newest freeze left out as too close to an exam ticket: both questions, most similar first."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        count = leaks.count(session, owner)
        found = leaks.pairs(session, owner, limit=count if as_json else rows)
    if as_json:
        print_records([_pair(each) for each in found], as_json)
        return
    rows_shown = [
        {
            "asked": pair.question,
            "exam_ticket": pair.exam_question,
            "alike": f"{pair.similarity:.0%}",
            "by": pair.method,
        }
        for pair in found
    ]
    print_records(rows_shown, as_json)
    if count > len(found):
        say(f"{count - len(found)} more; see --rows and --json.")


@app.command(
    epilog=examples(
        "understudy feedback datasets diff sft-54d54a34f2d5 sft-9c1185a5c5e9",
        "understudy feedback datasets diff sft-54d54a34f2d5 sft-9c1185a5c5e9 --json",
    )
)
def diff(
    older: Name,
    newer: Name,
    assistant: AssistantOption = None,
    rows: Annotated[int, typer.Option(min=0, help="How many changed rows to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """What changed from one dataset to another: rows that came, went or moved to the other split, and why."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        found = dataset_diff.diff(
            session, datasets.get(session, older, owner), datasets.get(session, newer, owner)
        )
    summary = {
        "same": found.same,
        "added": len(found.added),
        "removed": len(found.removed),
        "moved": len(found.moved),
    }
    changes = [
        {
            "change": what,
            "question": change.question,
            "chosen": change.row.chosen,
            "rejected": change.row.rejected,
            "by": ", ".join(change.authors),
            "why": change.why,
        }
        for what, changed in (
            ("added", found.added),
            ("removed", found.removed),
            ("moved", found.moved),
        )
        for change in changed
    ]
    if as_json:
        print_record({**summary, "counts": found.counts, "changes": changes}, as_json)
        return
    print_record(summary, as_json)
    print_records(
        [{k: short(v, 40) for k, v in row.items()} for row in changes[:rows]], as_json, nothing=""
    )
    if len(changes) > rows:
        say(f"{len(changes) - rows} more; see --rows and --json.")


@app.command(
    epilog=examples(
        "understudy feedback datasets export sft-54d54a34f2d5 --to sft.jsonl",
        "understudy feedback datasets export sft-54d54a34f2d5 --format parquet --to sft.parquet",
        "understudy feedback datasets export dpo-ea2cb5dba5f7 --format folder --to shared/dpo",
    )
)
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="The file to write, or the folder.")],
    form: Annotated[
        exports.Format,
        typer.Option(
            "--format",
            help="jsonl: what TRL reads, a row per line. parquet: the same columns. folder: a file for "
            "each split with a data card, for the datasets library. messages: such a folder for "
            "LLaMA-Factory and axolotl, with the settings that they read it by.",
        ),
    ] = exports.Format.JSONL,
    assistant: AssistantOption = None,
) -> None:
    """Write a dataset for whoever trains elsewhere, in the columns TRL reads."""
    with reading() as session:
        dataset = datasets.get(session, name, assistants.only(session, assistant))
        exports.export(session, dataset, to, form)
    say(f"Wrote {dataset.train_rows + dataset.validation_rows} rows to {to}.")


def _pair(pair: leaks.Pair) -> dict[str, Any]:
    return {
        "question": pair.question,
        "exam_question": pair.exam_question,
        "similarity": round(pair.similarity, 3),
        "method": pair.method,
        "ticket": pair.ticket.external_id,
        "by": pair.feedback.author,
        "feedback": pair.feedback.id,
    }


def _row(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "train_rows": dataset.train_rows,
        "validation_rows": dataset.validation_rows,
        "made_at": dataset.created_at,
        "counts": dataset.counts,
    }
