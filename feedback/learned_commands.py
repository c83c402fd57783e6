"""`understudy feedback learned`: what became of corrections, and what changed since a day."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from feedback import assistants, learned, news, rechecks
from feedback.database import reading
from feedback.desk_tables import RecheckState
from feedback.learned import Learned
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    say,
    short,
)
from feedback.tables import now

EPILOG = examples(
    "understudy feedback learned --author mara@example.com",
    "understudy feedback learned --state regressed --since 2026-11-01 --json",
)
SINCE_DAYS = 30


def show(
    assistant: AssistantOption = None,
    author: Annotated[str | None, typer.Option(help="Only this person's corrections.")] = None,
    state: Annotated[
        RecheckState | None, typer.Option(help="Only those whose last check ended so.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="What changed since this time (UTC); else in 30 days.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What was learned and lost, how far the rechecks are, and each correction with what became of it."""
    when = since.replace(tzinfo=UTC) if since else now() - timedelta(days=SINCE_DAYS)
    with reading() as session:
        owner = assistants.only(session, assistant)
        progress = rechecks.progress(session, owner)
        told = news.since(session, owner, author, when)
        found = learned.by_author(session, owner, author, state=state)
    rows = [row(one, whole=as_json) for one in found]
    if as_json:
        changed = {
            "lost": [each.feedback.id for each in told.lost],
            "learned": [each.feedback.id for each in told.learned],
        }
        sentence = progress.sentence if progress else None
        print_json({"since": when, **changed, "progress": sentence, "corrections": rows})
        return
    say(f"Since {when:%Y-%m-%d}: {told.sentence}")
    if progress:
        say(f"{progress.sentence}.")
    print_records(rows, False, "No corrections yet.")


def row(one: Learned, whole: bool) -> dict[str, Any]:
    """A correction with what became of it, for a table or, whole, for JSON."""
    return {
        "id": one.feedback.id,
        "author": one.feedback.author,
        "question": one.question if whole else short(one.question),
        "datasets": [dataset.name for dataset in one.datasets],
        "adapters": [adapter.name for adapter in one.adapters],
        "now": one.recheck.state if one.recheck else None,
    }
