"""`understudy training …`: request, watch and stop cycles, or run one here and now."""

import os
import signal
import socket
import threading
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel import Session

from feedback import assistants, audit, cycles
from feedback.database import check_schema, reading, writing
from feedback.errors import Conflict, UnderstudyError
from feedback.settings import feedback_settings
from feedback.tables import Cycle, CycleState, Stage
from training import recipe_commands, search_commands, step_commands
from training.job import MODULES
from training.settings import training_settings
from training.watching import CycleView

app = typer.Typer(
    no_args_is_help=True,
    help="Turn corrections into an adapter: request, watch and stop cycles.",
)
app.command("sft", epilog="Example: understudy training sft sft-0a1b2c3d4e5f --out var/runs/try")(
    step_commands.sft
)
app.command("dpo", epilog="Example: understudy training dpo dpo-0a1b2c3d4e5f --from var/runs/try")(
    step_commands.dpo
)
app.command("kto", epilog="Example: understudy training kto kto-0a1b2c3d4e5f --from var/runs/try")(
    step_commands.kto
)
app.command(
    "publish", epilog="Example: understudy training publish RUN --dataset sft-0a1b2c3d4e5f"
)(step_commands.publish)
app.command(
    "search", epilog="Example: understudy training search --minutes 60 --assistant puddle-and-pine"
)(search_commands.search)
app.add_typer(recipe_commands.app, name="recipe")
console = Console()

AssistantOption = Annotated[
    str | None,
    typer.Option("--assistant", "-a", help="Which assistant; needed if there are several."),
]


@app.command(epilog="Example: understudy training request --watch")
def request(
    assistant: AssistantOption = None,
    by: Annotated[str, typer.Option(help="Who asks.")] = "operator",
    watch: Annotated[bool, typer.Option(help="Stay and show the progress.")] = False,
) -> None:
    """Ask the running loop for a cycle."""
    with writing() as session:
        cycle = cycles.request(session, assistants.only(session, assistant), by)
        _note(session, "cycle.request", cycle, by)
    console.print(
        f"Cycle [bold]{cycle.id}[/] is requested; a running `understudy loop` takes it up."
    )
    if watch:
        show_until_done(cycle.id)


@app.command(epilog="Example: understudy training cycle --assistant puddle-and-pine")
def cycle(
    assistant: AssistantOption = None,
    by: Annotated[str, typer.Option(help="Who asks.")] = "operator",
) -> None:
    """Run one whole cycle in this process, without a loop. The engine must be running."""
    from training import loop  # the pipeline imports the exam and the supervisor: only when needed

    settings = training_settings()
    check_schema()
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with writing() as session:
        requested = cycles.request(session, assistants.only(session, assistant), by)
        _note(session, "cycle.request", requested, by)
        claimed = cycles.claim(session, owner, settings.lease_seconds, requested.id)
    if claimed is None:
        raise Conflict(f"Another loop took cycle {requested.id!r}; watch it with `training show`.")
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    worker = threading.Thread(target=loop.take_turn, args=(claimed, owner, settings, leaving))
    worker.start()
    try:
        ended = show_until_done(claimed.id, worker)
    finally:
        leaving.set()
        worker.join()
    if ended.state == CycleState.FAILED:
        raise typer.Exit(1)


@app.command("list")
def list_cycles(assistant: AssistantOption = None) -> None:
    """All cycles of an assistant, newest first."""
    with reading() as session:
        found = cycles.every(session, assistants.only(session, assistant))
    table = Table("Cycle", "State", "Asked by", "Begun", "Reason")
    for each in found:
        begun = f"{each.created_at:%Y-%m-%d %H:%M}"
        table.add_row(each.id, each.state, each.requested_by, begun, each.reason or "")
    console.print(table)


@app.command()
def show(
    cycle_id: Annotated[str, typer.Argument(help="See `understudy training list`.")],
    watch: Annotated[bool, typer.Option(help="Stay until it has ended.")] = False,
) -> None:
    """How far a cycle got, stage by stage."""
    if watch:
        show_until_done(cycle_id)
        return
    console.print(CycleView(*_load(cycle_id)))


@app.command()
def stop(
    cycle_id: Annotated[str, typer.Argument(help="See `understudy training list`.")],
    by: Annotated[str, typer.Option(help="Who stops it.")] = "operator",
) -> None:
    """Ask a cycle to end at the next good place."""
    with writing() as session:
        stopped = cycles.stop(session, cycles.get(session, cycle_id), by)
        _note(session, "cycle.stop", stopped, by)
    console.print(f"Cycle {cycle_id} is {stopped.state}; it ends within seconds.")


@app.command()
def log(
    cycle_id: Annotated[str, typer.Argument(help="See `understudy training list`.")],
    stage: Annotated[str, typer.Option(help="sft, dpo or kto.")] = "sft",
    lines: Annotated[int, typer.Option(help="How many lines from the end.")] = 40,
) -> None:
    """The end of a trainer's log."""
    if stage not in MODULES:
        known = ", ".join(repr(each) for each in MODULES)
        raise UnderstudyError(f"Found the stage {stage!r}, expected one of {known}.")
    found, _ = _load(cycle_id)
    path = feedback_settings().runs_dir / found.id / stage / "log.txt"
    if not path.exists():
        raise UnderstudyError(f"There is no log of stage {stage!r} of cycle {cycle_id!r} here.")
    for line in path.read_text(errors="replace").splitlines()[-lines:]:
        console.print(line, highlight=False, markup=False)


def show_until_done(cycle_id: str, worker: threading.Thread | None = None) -> Cycle:
    """Live progress of a cycle until it has ended (or `worker`, which does it, has)."""
    from rich.live import Live

    found, stages = _load(cycle_id)
    with Live(CycleView(found, stages), console=console, refresh_per_second=4) as live:
        while found.state in cycles.OPEN and (worker is None or worker.is_alive()):
            time.sleep(0.5)
            found, stages = _load(cycle_id)
            live.update(CycleView(found, stages))
        if worker is not None:
            worker.join()
        found, stages = _load(cycle_id)
        live.update(CycleView(found, stages))
    return found


def _note(session: Session, act: str, about: Cycle, by: str) -> None:
    audit.record(session, audit.here(), act, f"cycle {about.id}", about.assistant_id, by=by)


def _load(cycle_id: str) -> tuple[Cycle, list[Stage]]:
    with reading() as session:
        found = cycles.get(session, cycle_id)
        return found, cycles.stages(session, found)
