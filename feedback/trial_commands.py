"""`understudy adapters trials`: a candidate on real customers, as a canary or as a shadow."""

import json
from typing import Annotated, Any

import typer
from sqlmodel import Session

from feedback import adapters, assistants, audit, trials
from feedback.adapter_commands import By, Name, Reason
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.printing import (
    AssistantOption,
    CommandGroup,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
)
from feedback.swap_tables import Trial, TrialKind

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Trials: let a candidate meet real customers before it is live.",
    epilog=examples(
        'understudy adapters trials start shop-v4-1a2b3c4d --share 0.1 --by mara --reason "See it."',
        "understudy adapters trials list",
    ),
)
TrialId = Annotated[str, typer.Argument(help="As `understudy adapters trials list` prints it.")]


@app.command(
    epilog=examples(
        'understudy adapters trials start shop-v4-1a2b3c4d --share 0.05 --policy \'{"grow_to": [0.2, '
        '0.5]}\' --by mara --reason "Carefully."',
        "understudy adapters trials start shop-v4-1a2b3c4d --kind shadow --share 0.5 --by mara "
        '--reason "Look first."',
    )
)
def start(
    name: Name,
    by: By,
    reason: Reason,
    kind: Annotated[
        TrialKind, typer.Option(help="canary: it answers customers; shadow: it answers silently.")
    ] = TrialKind.CANARY,
    share: Annotated[
        float, typer.Option(help="Of new conversations (canary) or of answers (shadow), 0 to 1.")
    ] = 0.1,
    policy: Annotated[
        str,
        typer.Option(
            help="Overrides as JSON: alpha, alpha_pass, margins, window_seconds, slow_ms, grow_to, "
            "promote."
        ),
    ] = "{}",
) -> None:
    """Begin a trial. A candidate that is worse beyond the margin is rolled back by itself."""
    try:
        given = json.loads(policy)
    except ValueError as error:
        raise typer.BadParameter(f"Found {policy!r}, expected a JSON object: {error}.") from None
    with writing() as session:
        adapter = adapters.get(session, name)
        owner = assistants.by_id(session, adapter.assistant_id)
        trial = trials.start(
            session, owner, adapter, kind, share, by, reason, trials.policy_from(given)
        )
        audit.record(
            session, Actor(by, "command line"), "trial.start", name, owner.id, reason=reason
        )
    say(f"Trial {trial.id}: {name} as a {kind} on {share:.0%}.")


@app.command("list", epilog=examples("understudy adapters trials list --json"))
def list_trials(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's trials, newest first."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        rows = [_row(session, each) for each in trials.every(session, owner)]
    print_records(rows, as_json, nothing="None yet.")


@app.command(epilog=examples("understudy adapters trials show 01hx… --json"))
def show(trial_id: TrialId, as_json: JsonOption = False) -> None:
    """One trial with its evidence."""
    with reading() as session:
        trial = trials.get(session, trial_id)
        record = {
            **_row(session, trial),
            "policy": trial.policy,
            "evidence": trial.evidence,
            "outcome": trial.outcome,
        }
    print_record(record, as_json)


@app.command(epilog=examples('understudy adapters trials stop 01hx… --by mara --reason "Enough."'))
def stop(trial_id: TrialId, by: By, reason: Reason) -> None:
    """End a trial. No new conversation meets the candidate; those under way keep it."""
    with writing() as session:
        trial = trials.stop(session, trials.get(session, trial_id), by, reason)
        subject = f"trial {trial.id}"
        audit.record(
            session, Actor(by, "command line"), "trial.stop", subject, trial.assistant_id,
            reason=reason,
        )  # fmt: skip
    say(f"Trial {trial_id} has ended.")


def _row(session: Session, trial: Trial) -> dict[str, Any]:
    adapter = adapters.by_id(session, trial.adapter_id)
    return {
        "id": trial.id,
        "adapter": adapter.name if adapter else adapters.BASE,
        "kind": trial.kind,
        "state": trial.state,
        "share": trial.share,
        "verdict": trial.verdict,
        "by": trial.started_by,
        "at": trial.created_at,
    }
