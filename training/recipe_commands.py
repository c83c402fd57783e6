"""`understudy training recipe show | set | reset`: what an assistant is trained with, and where from."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from feedback import assistants, audit
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    say,
)
from feedback.recipes import Recipe, check_recipe, recipe_of
from feedback.tables import Assistant
from service.settings import service_settings
from training import fits, search_files
from training.in_force import overridden, settings_of
from training.settings import training_settings

app = typer.Typer(
    no_args_is_help=True,
    help="What of the settings of training an assistant has for itself.",
)
By = Annotated[str, typer.Option("--by", help="Who does this; kept in the audit log.")]
Changed = tuple[Any, Any] | None
"""The recipe before and after, where they differ."""
KNOWN = ", ".join(Recipe.model_fields)


@app.command(epilog=examples("understudy training recipe show --assistant shop"))
def show(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """What the next cycle trains with, which of it is the assistant's own, and who set that when."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        last = _last_change(session, owner)
    own = recipe_of(owner).own
    in_force = settings_of(owner, training_settings()).model_dump(mode="json")
    rows = [
        {"name": name, "value": in_force[name], "from": "recipe" if name in own else "settings"}
        for name in Recipe.model_fields
    ]
    if as_json:
        print_json({"recipe": own, "in_force": {row["name"]: row["value"] for row in rows}})
        return
    print_records([{**row, "value": _shown(row["value"])} for row in rows], as_json)
    say(last or f"{owner.name} has no recipe of its own; all is as the settings say.")


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _last_change(session: Session, owner: Assistant) -> str:
    """Who changed the recipe last, in a sentence; empty where nobody has."""
    entries = audit.every(session, [owner.id], act="assistant.change", limit=None)
    for entry in entries:
        if entry.subject == _subject(owner):
            who = entry.detail.get("by", entry.actor)
            return f"Changed last by {who} on {entry.created_at:%Y-%m-%d %H:%M} UTC."
    return ""


@app.command(
    "set",
    epilog=examples(
        "understudy training recipe set sft_epochs=4 lora_rank=8 --by mara",
        "understudy training recipe set stages=sft,kto --assistant shop --by mara",
        "understudy training recipe set --from-search var/runs/search-01k9 --by mara",
    ),
)
def set_recipe(
    by: By,
    values: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE; `recipe show` prints the names. VALUE null: as set."),
    ] = None,
    from_search: Annotated[
        Path | None, typer.Option(help="The folder of a search, whose winner takes its place.")
    ] = None,
    assistant: AssistantOption = None,
) -> None:
    """Give the assistant a recipe of its own, from its next cycle on. What is not named stays."""
    if bool(values) == bool(from_search):
        raise Invalid("Name values to set, or a search with --from-search, and not both.")
    given = dict(_pair(each) for each in values or [])
    with writing() as session:
        owner = assistants.only(session, assistant)
        if from_search is not None:
            given = search_files.winner(from_search, owner.name)
        wanted = {**recipe_of(owner).own, **given}
        changed = assistants.change(session, owner, recipe=_trainable(wanted)).get("recipe")
        _note(session, owner, changed, by, from_search)
    _tell(owner, changed)


@app.command(epilog=examples("understudy training recipe reset --by mara"))
def reset(
    by: By,
    names: Annotated[
        list[str] | None, typer.Argument(help="What to take away; none: all of it.")
    ] = None,
    assistant: AssistantOption = None,
) -> None:
    """Train the assistant as the settings say again, from its next cycle on."""
    if unknown := [name for name in names or [] if name not in Recipe.model_fields]:
        raise Invalid(f"Found {unknown[0]!r}; expected one of {KNOWN}.")
    gone = names or list(Recipe.model_fields)
    with writing() as session:
        owner = assistants.only(session, assistant)
        own = recipe_of(owner).own
        left = {name: value for name, value in own.items() if name not in gone}
        changed = assistants.change(session, owner, recipe=_trainable(left)).get("recipe")
        _note(session, owner, changed, by)
    _tell(owner, changed)


def _pair(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value in JSON or as it is."""
    name, equals, value = text.partition("=")
    if name not in Recipe.model_fields or not equals:
        raise Invalid(f"Found {text!r}; expected NAME=VALUE with one of these names: {KNOWN}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _trainable(wanted: dict[str, Any]) -> dict[str, Any]:
    """A recipe that can be trained here and served, as it is stored; else Invalid."""
    recipe = check_recipe(wanted)
    fits.check(overridden(training_settings(), recipe.own), service_settings())
    return recipe.own


def _note(
    session: Session, owner: Assistant, changed: Changed, by: str, search: Path | None = None
) -> None:
    if changed:
        audit.record(
            session, audit.here(), "assistant.change", _subject(owner), owner.id,
            before=changed[0], after=changed[1], by=by, search=search.resolve().name if search else None,
        )  # fmt: skip


def _subject(owner: Assistant) -> str:
    return f"{owner.name}: recipe"


def _tell(owner: Assistant, changed: Changed) -> None:
    if changed is None:
        say("Nothing was different.")
    else:
        own = ", ".join(f"{name} {_shown(value)}" for name, value in changed[1].items())
        say(f"{owner.name}, from its next cycle on: {own or 'all as the settings say'}.")
