"""`understudy feedback policies`: the rules of the house that corrections and tickets rest on."""

from typing import Annotated, Any

import typer

from feedback import assistants, audit, policies
from feedback.database import reading, writing
from feedback.policies import Rests
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
    short,
)
from feedback.trust_tables import Policy

app = typer.Typer(
    no_args_is_help=True,
    help="Rules of the house. Retire one, and what rests on it neither teaches nor is asked in exams.",
)
Name = Annotated[str, typer.Argument(help="Its name, as `policies list` prints it.")]


@app.command("list", epilog=examples("understudy feedback policies list"))
def list_policies(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's policies with what rests on each, those in force first."""
    with reading() as session:
        found = policies.every(session, assistants.only(session, assistant))
        rows = [_row(each, policies.rests_on(session, each), whole=as_json) for each in found]
    print_records(rows, as_json, "No policies yet.")


def _row(policy: Policy, rests: Rests, whole: bool) -> dict[str, Any]:
    return {
        "name": policy.name,
        "text": policy.text if whole else short(policy.text),
        "words": rests.words,
        "tickets": rests.tickets,
        "adapters": [
            f"{each.adapter.name} (live)" if each.is_live else each.adapter.name
            for each in rests.adapters
        ],
        "retired_at": policy.retired_at,
        "retired_by": policy.retired_by,
    }


@app.command(
    epilog=examples(
        'understudy feedback policies create returns-2026 "Boots go back within 40 days, worn or not."'
    )
)
def create(
    name: Annotated[str, typer.Argument(help="A short name, best with a date or a number.")],
    text: Annotated[str, typer.Argument(help="The rule in a sentence or two.")],
    assistant: AssistantOption = None,
) -> None:
    """A new rule that corrections and tickets may rest on."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        policies.create(session, owner, name, text, audit.here().name)
        audit.record(session, audit.here(), "policy.create", f"policy {name}", owner.id)
    say(f"Corrections and tickets may rest on {name!r} from now on.")


@app.command(epilog=examples("understudy feedback policies show returns-2026"))
def show(name: Name, assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """A policy and what rests on it: words, tickets, and the adapters that learned from them."""
    with reading() as session:
        policy = policies.get(session, assistants.only(session, assistant), name)
        row = _row(policy, policies.rests_on(session, policy), whole=True)
    print_record(row, as_json)


@app.command(epilog=examples("understudy feedback policies retire returns-2025"))
def retire(name: Name, assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Quarantine what rests on a policy, and list the adapters that learned from it."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        policy = policies.get(session, owner, name)
        rests = policies.retire(session, policy, audit.here().name)
        audit.record(session, audit.here(), "policy.retire", f"policy {name}", owner.id)
        row = _row(policy, rests, whole=True)
    print_record(row, as_json)
    if not as_json:
        say(
            "These words no longer teach and these tickets are not asked. Examine the adapters again."
        )


@app.command(epilog=examples("understudy feedback policies restore returns-2025"))
def restore(name: Name, assistant: AssistantOption = None) -> None:
    """Undo a retirement: what rests on the policy counts again."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        rests = policies.restore(session, policies.get(session, owner, name))
        audit.record(session, audit.here(), "policy.restore", f"policy {name}", owner.id)
    say(f"{name!r} is in force again, with {rests.words} words and {rests.tickets} tickets.")
