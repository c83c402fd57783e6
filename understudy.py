"""The one command. It mounts each package's own commands and starts the long-running parts."""

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

import doctor as doctor_checks
from feedback import adapter_commands, trial_commands
from feedback import commands as feedback_commands
from feedback.database import check_schema, migrate
from feedback.errors import UnderstudyError
from feedback.settings import feedback_settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A customer-support chatbot that learns from the people who correct it.",
    epilog="First time here? `make demo` shows the whole loop; `understudy doctor` says what is missing.",
)
console = Console()
app.add_typer(feedback_commands.app, name="feedback")
adapter_commands.app.add_typer(trial_commands.app, name="trials")
app.add_typer(adapter_commands.app, name="adapters")


def _mount_the_rest() -> None:
    from evals import commands as evals_commands
    from training import commands as training_commands
    from training import export_commands

    adapter_commands.app.command("export", epilog=export_commands.EPILOG)(export_commands.export)

    app.add_typer(evals_commands.app, name="evals")
    app.add_typer(training_commands.app, name="training")


_mount_the_rest()


@app.callback()
def configure(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Set up logging for every command."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("httpx", "httpcore", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@app.command()
def setup() -> None:
    """Prepare what is made once: the embedded base model and the database's schema."""
    from service.engine import embedded_model
    from service.settings import EMBEDDED_MODEL, service_settings

    started = time.monotonic()
    if service_settings().model == EMBEDDED_MODEL:
        with console.status("Preparing the embedded model (about 40 s, once) …"):
            folder = embedded_model.prepare(feedback_settings().models_dir)
        console.print(f"The embedded model is in {folder}.")
    migrate()
    console.print(f"The database is ready. ({time.monotonic() - started:.0f} s)")


@app.command()
def engine() -> None:
    """Start vLLM with the flags that the settings ask for, and become it."""
    from service.engine import launch
    from service.settings import service_settings

    launch.run(service_settings(), feedback_settings())


@app.command()
def service() -> None:
    """Start the service: the doors of customers, agents and operators."""
    from evals.doors import DOORS
    from service import serve
    from service.settings import service_settings

    serve.run(service_settings(), DOORS)


@app.command()
def loop() -> None:
    """Start the loop: it runs cycles on request and on schedule."""
    from training import worker

    check_schema()
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    worker.run(leaving)


@app.command()
def up() -> None:
    """Run engine, service and loop on this machine until Ctrl-C; a part that dies is restarted."""
    from service.processes import Processes
    from service.settings import service_settings

    setup()
    settings = service_settings()
    logs = feedback_settings().var_dir / "logs"
    _end_on_signals()
    with Processes(["engine", "service", "loop"], logs, os.environ) as parts:
        parts.start()
        console.print(f"Starting. The logs are in {logs}. Ctrl-C ends everything.")
        address = f"http://{settings.host}:{settings.port}"
        announced = False
        while True:
            for news in parts.keep_alive():
                console.print(news)
            if not announced and doctor_checks.answers(f"{address}/ready"):
                announced = True
                console.print(
                    f"[green]Ready.[/] The consoles are at {address}/console, the API's "
                    f"description at {address}/openapi.json (docs/api.md)"
                )
                _say_who_may_sign_in()
            time.sleep(0.5)


def _say_who_may_sign_in() -> None:
    from feedback import staff
    from feedback.database import reading

    with reading() as session:
        if not staff.every(session):
            console.print(
                "Nobody may sign in yet. Let yourself in: [bold]understudy feedback staff invite "
                "you@example.com --name You --role admin[/]"
            )


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="End when the story is told.")] = False,
) -> None:
    """Show the product learning, on the sample company, in a folder of its own."""
    from examples import demo as story

    _end_on_signals()
    story.tell(once=once)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say what is missing here and how to mend it."""
    found = doctor_checks.examine()
    if as_json:
        typer.echo(json.dumps([check.__dict__ for check in found], indent=2))
    else:
        for check in found:
            console.print(
                f"{'[green]✓[/]' if check.ok else '[red]✗[/]'} {check.what}: {check.found}"
            )
            if not check.ok:
                console.print(f"  → {check.mend}", style="yellow")
    if not all(check.ok or check.optional for check in found):
        raise typer.Exit(1)


def _end_on_signals() -> None:
    """SIGTERM ends us as Ctrl-C does, also in the background: through the `with` blocks, which end
    the children.
    """

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def main() -> None:
    """Run a command; what Understudy refuses is a sentence, not a traceback."""
    try:
        app()
    except UnderstudyError as error:
        Console(stderr=True).print(f"[red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(1)
    except ValidationError as error:
        for problem in error.errors():
            prefix = error.title.removesuffix("Settings").upper()
            name = "_".join([prefix, *(str(part).upper() for part in problem["loc"])])
            found = escape(repr(problem["input"]))
            Console(stderr=True).print(
                f"[red]error:[/] {name} is {found}: {escape(problem['msg'])}."
            )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    # Children are started as `python -m understudy`, with the working directory on the path.
    sys.path.insert(0, str(Path(__file__).parent))
    main()
