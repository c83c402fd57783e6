"""`understudy feedback staff`, `sites`, `audit`: who may sign in, where the widget is, what was done."""

from pathlib import Path
from typing import Annotated

import typer

from feedback import assistants, audit, sites, staff
from feedback.audit import here
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
)
from feedback.sites import Look
from feedback.tables import Role

staff_app = typer.Typer(
    no_args_is_help=True, help="Members of staff: who may sign in, and as what."
)
sites_app = typer.Typer(no_args_is_help=True, help="Websites with the widget on them.")
audit_app = typer.Typer(no_args_is_help=True, help="What members of staff did. Never changed.")

Person = Annotated[str, typer.Argument(help="The person's e-mail address.")]
RoleOption = Annotated[Role, typer.Option(help="agent, operator or admin.")]
ForAssistant = Annotated[
    str | None, typer.Option("--assistant", "-a", help="For this assistant; else for all.")
]
SiteId = Annotated[str, typer.Argument(help="As `understudy feedback sites list` prints it.")]
LINK = "/console/password/"


@staff_app.command(
    epilog=examples(
        "understudy feedback staff invite ada@example.com --name Ada --role admin",
        "understudy feedback staff invite mara@example.com --name Mara --role agent -a shop",
    )
)
def invite(
    email: Person,
    name: Annotated[str, typer.Option(help="As customers and colleagues read it.")],
    role: RoleOption,
    assistant: ForAssistant = None,
    as_json: JsonOption = False,
) -> None:
    """Let somebody in. Prints the path of a page where they choose a password, once."""
    with writing() as session:
        scope = assistants.get(session, assistant) if assistant else None
        person, secret = staff.invite(session, email, name, here().name)
        staff.grant(session, person, role, scope, here().name)
        audit.record(
            session,
            here(),
            "staff.invite",
            person.email,
            scope.id if scope else None,
            role=str(role),
        )
    _show_link(person.email, secret, as_json)


def _show_link(email: str, secret: str, as_json: bool) -> None:
    if as_json:
        print_record({"email": email, "password_path": LINK + secret}, as_json)
        return
    say(f"{email} chooses a password at this path of the service, within some days, once:")
    typer.echo(LINK + secret)


@staff_app.command("list", epilog=examples("understudy feedback staff list"))
def list_staff(as_json: JsonOption = False) -> None:
    """Everybody who may sign in, with their roles."""
    with reading() as session:
        names: dict[str | None, str] = {each.id: each.name for each in assistants.every(session)}
        names[None] = "every assistant"
        rows = [
            {
                "name": person.name,
                "email": person.email,
                "roles": [
                    f"{role} of {names[scope]}"
                    for scope, role in staff.roles_of(session, person).items()
                ],
                "password": person.password_hash is not None,
                "disabled_at": person.disabled_at,
            }
            for person in staff.every(session)
        ]
    nothing = "Nobody yet. `understudy feedback staff invite` lets somebody in."
    print_records(rows, as_json, nothing)


@staff_app.command(
    epilog=examples(
        "understudy feedback staff role mara@example.com --role operator -a shop",
        "understudy feedback staff role mara@example.com -a shop",
    )
)
def role(
    email: Person,
    role: Annotated[Role | None, typer.Option(help="None: the role is taken away.")] = None,
    assistant: ForAssistant = None,
) -> None:
    """Give a person a role, or take it away."""
    with writing() as session:
        person = staff.get(session, email)
        scope = assistants.get(session, assistant) if assistant else None
        if role is None:
            staff.take_role(session, person, scope)
        else:
            staff.grant(session, person, role, scope, here().name)
        where = scope.id if scope else None
        audit.record(session, here(), "staff.role", person.email, where, role=str(role or "none"))
    say(f"{email} is now {role or 'without a role'} for {assistant or 'every assistant'}.")


@staff_app.command(
    "password-link", epilog=examples("understudy feedback staff password-link mara@example.com")
)
def password_link(email: Person, as_json: JsonOption = False) -> None:
    """A new path where a person chooses a password; older ones end."""
    with writing() as session:
        person = staff.get(session, email)
        secret = staff.make_reset(session, person, here().name)
        audit.record(session, here(), "staff.password_link", person.email)
    _show_link(person.email, secret, as_json)


@staff_app.command(epilog=examples("understudy feedback staff disable mara@example.com"))
def disable(
    email: Person,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
) -> None:
    """Shut a person out at once, on every device."""
    with writing() as session:
        person = staff.get(session, email)
        staff.disable(session, person, not undo)
        audit.record(session, here(), "staff.enable" if undo else "staff.disable", person.email)
    say(f"{email} may sign in again." if undo else f"{email} is shut out.")


@sites_app.command(
    "create",
    epilog=examples(
        "understudy feedback sites create --name Shop --origin https://shop.example -a shop"
    ),
)
def create_site(
    name: Annotated[str, typer.Option(help="For people.")],
    origin: Annotated[list[str], typer.Option(help="Where its pages come from; repeat for more.")],
    assistant: AssistantOption = None,
    colour: Annotated[str, typer.Option(help="The brand's colour.")] = Look().colour,
    as_json: JsonOption = False,
) -> None:
    """A website for the widget. Prints the line that goes into its pages."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        site = sites.create(session, owner, name, origin, sites.check_look({"colour": colour}))
        audit.record(session, here(), "site.create", f"site {site.name}", owner.id)
    if as_json:
        print_record({"id": site.id, "key": site.public_key, "origins": site.origins}, as_json)
        return
    say("Put this line into the site's pages (with your service's address):")
    typer.echo(
        f'<script src="https://SERVICE/widget.js" data-site="{site.public_key}" async></script>'
    )


@sites_app.command(
    "change",
    epilog=examples(
        "understudy feedback sites change 01m832nhwx7xes4yw7kg3dsrcj --text 'person: Talk to Mara'",
        "understudy feedback sites change 01m832nhwx7xes4yw7kg3dsrcj --look language=de",
        "understudy feedback sites change 01m832nhwx7xes4yw7kg3dsrcj --no-texts",
    ),
)
def change_site(
    site_id: SiteId,
    origin: Annotated[
        list[str] | None, typer.Option(help="In place of the present ones; repeat for more.")
    ] = None,
    look: Annotated[
        list[str] | None,
        typer.Option(help="'field=value': title, greeting, colour, theme, position or language."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="An own wording of the widget's: 'name: wording'; repeat for more."),
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Forget the site's own wordings first.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Other origins, another look, own wordings; what is not named stays, and so does the key."""
    with writing() as session:
        site = sites.get(session, site_id)
        texts = {} if no_texts else site.look.get("texts", {})
        given: dict[str, object] = {**site.look, **_fields(look or [])}
        given["texts"] = {**texts, **sites.read_texts(text or [])}
        sites.change(session, site, origin or site.origins, sites.check_look(given))
        audit.record(session, here(), "site.change", f"site {site.name}", site.assistant_id)
        record = {"id": site.id, "origins": site.origins, **site.look}
    print_record(record, as_json)


def _fields(given: list[str]) -> dict[str, str]:
    """Pairs from 'field=value', or Invalid."""
    pairs = [each.partition("=") for each in given]
    for name, equals, value in pairs:
        if not equals or name == "texts":
            raise Invalid(f"Found --look {name + equals + value!r}; expected 'field=value'.")
    return {name: value for name, _, value in pairs}


@sites_app.command("list", epilog=examples("understudy feedback sites list"))
def list_sites(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's sites, newest first."""
    with reading() as session:
        found = sites.every(session, assistants.only(session, assistant))
    rows = [
        {
            "id": site.id,
            "name": site.name,
            "key": site.public_key,
            "origins": site.origins,
            "revoked_at": site.revoked_at,
        }
        for site in found
    ]
    print_records(rows, as_json, "No sites yet.")


@sites_app.command(
    "revoke", epilog=examples("understudy feedback sites revoke 01m832nhwx7xes4yw7kg3dsrcj")
)
def revoke_site(site_id: SiteId) -> None:
    """The widget stops working there at once."""
    with writing() as session:
        site = sites.revoke(session, sites.get(session, site_id))
        audit.record(session, here(), "site.revoke", f"site {site.name}", site.assistant_id)
    say(f"The widget no longer works on {site.name!r}.")


@audit_app.command(
    "list",
    epilog=examples(
        "understudy feedback audit list", "understudy feedback audit list --act adapter.promote"
    ),
)
def list_audit(
    actor: Annotated[str | None, typer.Option(help="Only by this person or key.")] = None,
    act: Annotated[str | None, typer.Option(help="Only this act.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """What was done, newest first."""
    with reading() as session:
        found = audit.every(session, None, actor, act, limit=limit)
    rows = [
        {
            "at": entry.created_at,
            "actor": entry.actor,
            "role": entry.role,
            "act": entry.act,
            "subject": entry.subject,
            "detail": entry.detail,
        }
        for entry in found
    ]
    print_records(rows, as_json)


@audit_app.command(epilog=examples("understudy feedback audit export audit.csv"))
def export(path: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """The whole log as a CSV file."""
    with reading() as session:
        text = audit.as_csv(audit.every(session, limit=None))
    path.write_text(text, encoding="utf-8")
    say(f"Written to {path}.")
