"""`understudy feedback assistants`: make an assistant, look at it, change its prompt."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from sqlmodel import Session

from feedback import adapters, assistant_file, assistants, audit, excepted
from feedback.assistant_file import AssistantFile
from feedback.assistants import Gate, SwapPolicy
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.learning import Learning, learning_of
from feedback.printing import JsonOption, examples, print_record, print_records, say
from feedback.tables import Assistant

EMBEDDED = "embedded"
"""The base model that ships in a package; the engine's settings use the same word."""

app = typer.Typer(no_args_is_help=True, help="The bots: prompt, base model, sampling and gate.")

By = Annotated[str, typer.Option("--by", help="Who does this; kept with the prompt's version.")]


@app.command(
    epilog=examples(
        "understudy feedback assistants create --file examples/puddle_and_pine/assistant.toml",
        'understudy feedback assistants create shop --prompt "You answer for the shop."',
    )
)
def create(
    name: Annotated[str | None, typer.Argument(help="Lower-case letters, digits, hyphens.")] = None,
    file: Annotated[Path | None, typer.Option(help="An assistant written down as TOML.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    title: Annotated[str | None, typer.Option(help="What people read; else the name.")] = None,
    base_model: Annotated[
        str | None, typer.Option(help=f"A hub id, a path, or {EMBEDDED!r} (the default).")
    ] = None,
    by: By = "command line",
) -> None:
    """Make an assistant from a file, from options, or both; an option wins over the file."""
    written = assistant_file.read(file) if file else AssistantFile()
    name, prompt = name or written.name, prompt or written.prompt
    if not name or not prompt:
        raise Invalid("An assistant needs a name and a prompt; give them, or a --file with both.")
    with writing() as session:
        made = assistants.create(
            session,
            name,
            title or written.title or name,
            base_model or written.base_model or EMBEDDED,
            prompt,
            by,
            written.topics,
            written.sampling,
            written.gate,
            written.auto_promote,
            written.schedule_minutes,
            written.desk.model_dump(mode="json", exclude_defaults=True),
            written.swap,
            written.learning,
            written.recipe,
        )
        audit.record(session, audit.here(), "assistant.create", made.name, made.id, by=by)
    say(f"Made the assistant {made.name!r} on {made.base_model!r}.")


@app.command("list", epilog=examples("understudy feedback assistants list --json"))
def list_assistants(as_json: JsonOption = False) -> None:
    """All assistants and what is live for each."""
    with reading() as session:
        rows = [
            {
                "name": assistant.name,
                "title": assistant.title,
                "base_model": assistant.base_model,
                "live": _live(session, assistant),
            }
            for assistant in assistants.every(session)
        ]
    print_records(
        rows, as_json, nothing="None yet. Make one: understudy feedback assistants create"
    )


@app.command(epilog=examples("understudy feedback assistants show puddle-and-pine"))
def show(
    name: Annotated[str, typer.Argument(help="The assistant's name.")], as_json: JsonOption = False
) -> None:
    """One assistant: prompt in force, sampling, gate and schedule."""
    with reading() as session:
        print_record(_described(session, assistants.get(session, name)), as_json)


def _described(session: Session, assistant: Assistant) -> dict[str, Any]:
    prompt = assistants.prompt_in_force(session, assistant)
    return {
        "name": assistant.name,
        "title": assistant.title,
        "base_model": assistant.base_model,
        "live": _live(session, assistant),
        "live_answers": excepted.in_words(session, adapters.live(session, assistant))
        or "all topics",
        "prompt_version": prompt.version,
        "prompt": prompt.text,
        "prompt_by": prompt.author,
        "sampling": assistant.sampling,
        "gate": assistant.gate,
        "auto_promote": assistant.auto_promote,
        "schedule_minutes": assistant.schedule_minutes,
        "swap": assistant.swap,
        "learning": learning_of(assistant).model_dump(),
        "recipe": assistant.recipe,
        "topics": assistant.topics,
    }


def _live(session: Session, assistant: Assistant) -> str:
    live = adapters.live_adapter(session, assistant)
    return live.name if live else adapters.BASE


@app.command(
    "set-prompt",
    epilog=examples(
        'understudy feedback assistants set-prompt shop "You answer for the shop." --by mara'
    ),
)
def set_prompt(
    name: Annotated[str, typer.Argument(help="The assistant's name.")],
    prompt: Annotated[str, typer.Argument(help="The new system prompt.")],
    by: By,
) -> None:
    """Put a new version of the prompt in force. Old answers keep naming the version they had."""
    with writing() as session:
        owner = assistants.get(session, name)
        before = assistants.prompt_in_force(session, owner).text
        version = assistants.set_prompt(session, owner, prompt, by).version
        told = {"before": {"text": before}, "after": {"text": prompt}, "by": by}
        subject = f"{owner.name}: prompt"
        audit.record(session, audit.here(), "assistant.change", subject, owner.id, **told)
    say(f"Version {version} of the prompt of {name!r} is in force.")


@app.command(
    "set-topics",
    epilog=examples(
        "understudy feedback assistants set-topics shop returns shipping opening_hours --by mara",
        "understudy feedback assistants set-topics shop --by mara",
    ),
)
def set_topics(
    name: Annotated[str, typer.Argument(help="The assistant's name.")],
    by: By,
    topics: Annotated[
        list[str] | None, typer.Argument(help="All of them; none: requests have no topics.")
    ] = None,
) -> None:
    """What requests may be about. Conversations keep theirs, also one that is gone from the list."""
    with writing() as session:
        owner = assistants.get(session, name)
        changed = assistants.change(session, owner, topics=topics or [])
        _note(session, owner, by, changed)
    said = ", ".join(topics or []) or "no topics"
    say(f"{name}: {said}." if changed else "Nothing was different.")


@app.command(
    "set-learning",
    epilog=examples(
        "understudy feedback assistants set-learning shop held_out_percent=20 --by mara",
        "understudy feedback assistants set-learning shop "
        '\'patterns={"ORDER_NUMBER": "PP-[0-9]{6}"}\' rows_per_author=null --by mara',
    ),
)
def set_learning(
    name: Annotated[str, typer.Argument(help="The assistant's name.")],
    rules: Annotated[
        list[str],
        typer.Argument(help="NAME=VALUE, the value in JSON; `assistants show` prints the names."),
    ],
    by: By,
) -> None:
    """How an assistant learns: what is held out, limited, held and kept, and what counts as personal."""
    with writing() as session:
        owner = assistants.get(session, name)
        wanted = {**owner.learning, **dict(_rule(each) for each in rules)}
        changed = assistants.change(session, owner, learning=wanted)
        _note(session, owner, by, changed)
    say(f"{name}: {changed['learning'][1]}." if changed else "Nothing was different.")


@app.command(
    "set-gate",
    epilog=examples(
        "understudy feedback assistants set-gate shop min_gain=2 candidates_planned=365 --by mara",
        "understudy feedback assistants set-gate shop "
        '\'guardrails={"refused": 0.1, "similarity": 5}\' --by mara',
    ),
)
def set_gate(
    name: Annotated[str, typer.Argument(help="The assistant's name.")],
    rules: Annotated[
        list[str],
        typer.Argument(help="NAME=VALUE, the value in JSON; `assistants show` prints the names."),
    ],
    by: By,
) -> None:
    """What a candidate must show before it may go live. `understudy evals budget` shows what is left."""
    with writing() as session:
        owner = assistants.get(session, name)
        given = dict(_rule(each, Gate, {"metric"}) for each in rules)
        changed = assistants.change(session, owner, gate={**owner.gate, **given})
        _note(session, owner, by, changed)
    say(f"{name}: {changed['gate'][1]}." if changed else "Nothing was different.")


def _note(session: Session, owner: Assistant, by: str, changed: dict[str, tuple[Any, Any]]) -> None:
    """Each change goes into the audit log with the value before and after."""
    for name, (before, after) in changed.items():
        told = {"before": before, "after": after, "by": by}
        subject = f"{owner.name}: {name}"
        audit.record(session, audit.here(), "assistant.change", subject, owner.id, **told)


def _rule(
    text: str, shape: type[BaseModel] = Learning, words: Collection[str] = ()
) -> tuple[str, Any]:
    """A name of the shape's and a value in JSON; of `words` the value is taken as it is."""
    name, equals, value = text.partition("=")
    if name not in shape.model_fields or not equals:
        known = ", ".join(shape.model_fields)
        raise Invalid(f"Found {text!r}; expected NAME=VALUE with one of these names: {known}.")
    if name in words:
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        raise Invalid(f"Found {value!r} for {name}; expected JSON, such as 20 or null.") from None


@app.command(
    "set-swap",
    epilog=examples(
        "understudy feedback assistants set-swap shop --move-after-minutes 30 --by mara",
        "understudy feedback assistants set-swap shop --stay-with-withdrawn --by mara",
    ),
)
def set_swap(
    name: Annotated[str, typer.Argument(help="The assistant's name.")],
    by: By,
    move_after_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Running conversations take the live adapter once it has been live this long; "
            "without it they keep theirs.",
        ),
    ] = None,
    leave_withdrawn: Annotated[
        bool,
        typer.Option(
            "--leave-withdrawn/--stay-with-withdrawn",
            help="Whether conversations leave an adapter that was rolled back.",
        ),
    ] = True,
) -> None:
    """When conversations under way change their voice: only ever between two turns."""
    policy = SwapPolicy(move_after_minutes=move_after_minutes, leave_withdrawn=leave_withdrawn)
    with writing() as session:
        owner = assistants.get(session, name)
        changed = assistants.change(session, owner, swap=policy.model_dump())
        _note(session, owner, by, changed)
    say(f"{name}: {policy.model_dump()}." if changed else "Nothing was different.")
