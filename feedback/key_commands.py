"""`understudy feedback keys`: who may talk to the service, and in which role."""

from typing import Annotated

import typer
from sqlmodel import Session

from feedback import api_keys, assistants, audit, staff
from feedback.database import reading, writing
from feedback.printing import JsonOption, examples, print_record, print_records, say
from feedback.tables import ApiKey, Role

app = typer.Typer(no_args_is_help=True, help="API keys: made here, shown once, stored as a hash.")


@app.command(
    epilog=examples(
        "understudy feedback keys create --role customer --name website --assistant shop",
        "understudy feedback keys create --role operator --name ops",
        "understudy feedback keys create --role agent --name laptop --staff mara@example.com",
    )
)
def create(
    role: Annotated[Role, typer.Option(help="What the holder may do.")],
    name: Annotated[str, typer.Option(help="Who or what holds it.")],
    assistant: Annotated[
        str | None, typer.Option(help="Only for this assistant; else for all.")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--staff", help="E-mail of the person it acts for.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. Its secret is printed now and never again."""
    with writing() as session:
        limited = assistants.get(session, assistant) if assistant else None
        owner = staff.get(session, person) if person else None
        key, secret = api_keys.create(session, name, role, limited, owner)
        _note(session, "key.create", key)
    if as_json:
        print_record({"id": key.id, "secret": secret}, as_json)
        return
    say(f"Key {key.id} for {name!r}, role {role}. Its secret is shown only now:")
    typer.echo(secret)


@app.command("list", epilog=examples("understudy feedback keys list"))
def list_keys(as_json: JsonOption = False) -> None:
    """All keys, oldest first, without their secrets."""
    with reading() as session:
        names = {assistant.id: assistant.name for assistant in assistants.every(session)}
        keys = api_keys.every(session)
    rows = [
        {
            "id": key.id,
            "name": key.name,
            "role": key.role,
            "assistant": names.get(key.assistant_id or "", "all"),
            "ends_in": key.hint,
            "made_at": key.created_at,
            "revoked_at": key.revoked_at,
        }
        for key in keys
    ]
    print_records(rows, as_json, nothing="No keys yet.")


@app.command(epilog=examples("understudy feedback keys revoke 01m832nhwx7xes4yw7kg3dsrcj"))
def revoke(key_id: Annotated[str, typer.Argument(help="As `keys list` prints it.")]) -> None:
    """A key stops working at once."""
    with writing() as session:
        key = api_keys.revoke(session, key_id)
        _note(session, "key.revoke", key)
    say(f"The key of {key.name!r} no longer works.")


def _note(session: Session, act: str, key: ApiKey) -> None:
    subject = f"key {key.id}"
    audit.record(
        session, audit.here(), act, subject, key.assistant_id, name=key.name, role=str(key.role)
    )
