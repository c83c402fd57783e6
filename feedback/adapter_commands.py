"""`understudy adapters`: what was learned, what is live, and the way forward and back.

Promoting and rolling back only write a row; the running service notices it and moves the engine.
"""

import time
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlmodel import Session

from feedback import adapter_folder, adapters, assistants, audit
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    CommandGroup,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
)
from feedback.tables import Adapter, Assistant, Promotion, Swap

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Adapters: what an assistant has learned. List, compare, promote, roll back.",
    epilog=examples(
        "understudy adapters list",
        'understudy adapters promote shop-v3-1a2b3c4d --by mara --reason "Better on refunds."',
        'understudy adapters rollback --by mara --reason "It forgot the fees."',
    ),
)

POLL_SECONDS = 0.5

Name = Annotated[str, typer.Argument(help="As `understudy adapters list` prints it.")]
By = Annotated[str, typer.Option("--by", help="Who decides this.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the promotion.")]
Expected = Annotated[
    str | None,
    typer.Option(help="What you saw as live; refused if something else is by now."),
]
Wait = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait for a service to say that its engine holds it."),
]


@app.command("list", epilog=examples("understudy adapters list --json"))
def list_adapters(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's adapters, newest first, and which one is live."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        rows = [_row(session, owner, adapter) for adapter in adapters.every(session, owner)]
    print_records(rows, as_json, nothing="None yet; the base model answers.")


@app.command(epilog=examples("understudy adapters show shop-v3-1a2b3c4d"))
def show(name: Name, as_json: JsonOption = False) -> None:
    """One adapter: its data, its files, its life so far."""
    with reading() as session:
        adapter = adapters.get(session, name)
        owner = assistants.by_id(session, adapter.assistant_id)
        swap = adapters.last_swap(session, adapter)
        record = {
            **_row(session, owner, adapter),
            "digest": adapter.digest,
            "base_model": adapter.base_model,
            "cycle": adapter.cycle_id,
            "datasets": [dataset.name for dataset in adapters.datasets_of(session, adapter)],
            "corrections": len(adapters.feedback_behind(session, adapter)),
            "engine": _word_of(swap) if swap else None,
            "promotions": [
                f"{past.sequence}: by {past.approved_by}, {past.reason}"
                for past in adapters.history(session, owner)
                if past.adapter_id == adapter.id
            ],
        }
    print_record({**record, "files": _state_of_files(adapter)}, as_json)


def _row(session: Session, owner: Assistant, adapter: Adapter) -> dict[str, Any]:
    live = adapters.live_adapter(session, owner)
    return {
        "name": adapter.name,
        "version": adapter.version,
        "live": live is not None and live.id == adapter.id,
        "rank": adapter.rank,
        "size_mb": round(adapter.size_bytes / 1e6, 1),
        "made_at": adapter.created_at,
    }


def _state_of_files(adapter: Adapter) -> str:
    try:
        adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)
    except Invalid as error:
        return str(error)
    return "as they were published"


@app.command(epilog=examples("understudy adapters history --json"))
def history(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Everything that was ever made live, newest first."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        names = {adapter.id: adapter.name for adapter in adapters.every(session, owner)}
        rows = [
            {
                "sequence": past.sequence,
                "adapter": names.get(past.adapter_id or "", adapters.BASE),
                "by": past.approved_by,
                "reason": past.reason,
                "at": past.created_at,
            }
            for past in adapters.history(session, owner)
        ]
    print_records(rows, as_json, nothing="Nothing was ever promoted; the base model answers.")


@app.command(
    epilog=examples(
        'understudy adapters promote shop-v3-1a2b3c4d --by mara --reason "Better on refunds."'
    )
)
def promote(
    name: Name, by: By, reason: Reason, expected: Expected = None, wait: Wait = 30.0
) -> None:
    """Make an adapter live for new conversations. Conversations under way keep their voice."""
    with writing() as session:
        adapter = adapters.get(session, name)
        owner = assistants.by_id(session, adapter.assistant_id)
        adapters.check_expected(session, owner, expected)
        before = adapters.live_adapter(session, owner)
        promotion = adapters.promote(session, owner, adapter, by, reason)
        _note(session, owner, "adapter.promote", adapter, by, reason)
    _tell(promotion, before, adapter, wait)


@app.command(
    epilog=examples(
        'understudy adapters rollback --by mara --reason "It forgot the fees."',
        'understudy adapters rollback --to base --by mara --reason "Start over."',
    )
)
def rollback(
    by: By,
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option(help=f"An adapter's name, or {adapters.BASE!r}; else what was live before."),
    ] = None,
    assistant: AssistantOption = None,
    expected: Expected = None,
    wait: Wait = 30.0,
) -> None:
    """Make live again what was live before, or what you name. The history keeps both."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        adapters.check_expected(session, owner, expected)
        before = adapters.live_adapter(session, owner)
        if to is None:
            promotion = adapters.roll_back(session, owner, by, reason)
        else:
            target = None if to == adapters.BASE else adapters.get(session, to)
            promotion = adapters.promote(session, owner, target, by, reason)
        after = adapters.live_adapter(session, owner)
        _note(session, owner, "adapter.roll_back", after, by, reason)
    _tell(promotion, before, after, wait)


def _note(
    session: Session, owner: Assistant, act: str, now: Adapter | None, by: str, reason: str
) -> None:
    name = now.name if now else adapters.BASE
    audit.record(session, audit.here(), act, name, owner.id, by=by, reason=reason)


def _tell(
    promotion: Promotion, before: Adapter | None, after: Adapter | None, wait_seconds: float
) -> None:
    names = [adapter.name if adapter else adapters.BASE for adapter in (before, after)]
    say(f"Promotion {promotion.sequence}: {names[0]} → {names[1]}, by {promotion.approved_by}.")
    if after is None:
        say("The base model needs no swap; new conversations go to it.")
        return
    swap = _swap_after(after, promotion.created_at, wait_seconds)
    say(_word_of(swap) if swap else "No service has reported yet. Is one running? The row stands.")


def _swap_after(adapter: Adapter, moment: datetime, wait_seconds: float) -> Swap | None:
    deadline = time.monotonic() + wait_seconds
    while True:
        with reading() as session:
            swap = adapters.last_swap(session, adapter)
        if swap is not None and swap.created_at > moment:
            return swap
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL_SECONDS)


def _word_of(swap: Swap) -> str:
    if swap.verified:
        return f"Verified on {swap.engine}: {swap.reason}"
    return f"Refused on {swap.engine}: {swap.reason}"
