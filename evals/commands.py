"""`understudy evals`: sit an exam, compare two adapters, look at runs and decisions.

It promotes nothing: that is `understudy adapters promote`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sqlmodel import Session

from evals import render, report, run, scores
from feedback import adapters, assistants, decisions, exams, looks, tickets
from feedback.adapters import BASE
from feedback.database import database, reading
from feedback.errors import Invalid, Unavailable
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    say,
)
from feedback.tables import Adapter, Assistant
from service.hot_swap import HotSwap, asking_engines
from service.settings import service_settings

LIVE = "live"
"""How commands name whatever is live."""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Exams: is an adapter better than what is live, and may it go live?\n\n"
    "A run is one adapter answering every held-out ticket through the running engine. A decision "
    "compares two runs ticket by ticket.",
    epilog=examples(
        "understudy feedback import tickets examples/puddle_and_pine/tickets.jsonl",
        "understudy evals run --adapter base",
        "understudy evals compare --candidate shop-v3-1a2b3c4d --against live",
        "understudy evals decisions list",
    ),
)
decisions_app = typer.Typer(no_args_is_help=True, help="What the gate said, refusals included.")
app.add_typer(decisions_app, name="decisions")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list.")]
T = TypeVar("T")
Call = Callable[[HotSwap, run.Progress], Awaitable[T]]


@app.command(
    "run",
    epilog=examples(
        "understudy evals run --adapter base",
        "understudy evals run --assistant shop --adapter shop-v3-1a2b3c4d",
    ),
)
def sit(
    adapter: Annotated[
        str, typer.Option(help="As `understudy adapters list` prints it, or 'base', or 'live'.")
    ] = LIVE,
    assistant: AssistantOption = None,
) -> None:
    """Let one adapter sit the exam and print its mean scores.

    The engine must be running; the adapter is loaded and probed first, and customers go on being
    answered. Nothing is decided or promoted.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        sitter = _sitter(session, owner, adapter)
        _need_tickets(session, owner)

    async def call(swaps: HotSwap, progress: run.Progress) -> str:
        return (await run.sit(swaps, database(), owner, sitter, progress=progress)).id

    run_id = _with_engine(f"{_named(sitter)} sits the exam", call)
    with reading() as session:
        sat = report.load_run(session, exams.get_run(session, run_id))
    Console().print(render.means_table([sat]))
    say(f"Every answer: understudy evals show {run_id}")


@app.command(
    epilog=examples(
        "understudy evals compare --candidate shop-v3-1a2b3c4d",
        "understudy evals compare --candidate shop-v3-1a2b3c4d --against base",
    )
)
def compare(
    candidate: Annotated[str, typer.Option(help="The adapter that wants to go live.")],
    against: Annotated[
        str, typer.Option(help="What it is compared with: an adapter, 'base' or 'live'.")
    ] = LIVE,
    assistant: AssistantOption = None,
) -> None:
    """Let two adapters sit the same exam and say what the gate makes of it.

    Both answer every held-out ticket, taking turns. The decision is stored, whatever it is; nothing
    is promoted.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        ours, theirs = _sitter(session, owner, candidate), _sitter(session, owner, against)
        _need_tickets(session, owner)

    async def call(swaps: HotSwap, progress: run.Progress) -> str:
        decision = await run.examine(swaps, database(), owner, ours, theirs, progress=progress)
        return decision.id

    decision_id = _with_engine(f"{_named(ours)} against {_named(theirs)}", call)
    show_decision(decision_id)
    say(f"All of it: understudy evals decisions show {decision_id} --json")


@app.command(epilog=examples("understudy evals budget", "understudy evals budget --json"))
def budget(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """What is left of the chance that a worse adapter passes, and what the next look may cost."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        found = looks.budget_of(session, owner)
        newest = next(iter(looks.every(session, owner, limit=1)), None)
    power = newest.decision.detail.get("power") if newest else None
    if as_json:
        parts = ("of", "days", "planned", "refused", "promoted", "spent", "left", "next")
        told = {part: getattr(found, part) for part in parts}
        print_json({**told, "expected_wrong": found.expected_wrong, "power": power})
        return
    for sentence in render.budget(found, power):
        say(sentence)


@app.command("list", epilog=examples("understudy evals list --limit 5 --json"))
def list_runs(
    assistant: AssistantOption = None, limit: Limit = 20, as_json: JsonOption = False
) -> None:
    """Eval runs, newest first, with their mean scores."""
    with reading() as session:
        found = exams.runs(session, assistants.only(session, assistant))[:limit]
        sats = [report.load_run(session, one) for one in found]
    if as_json:
        print_json([report.run_summary(sat) for sat in sats])
        return
    rows = [
        {
            "run": sat.run.id,
            "when": sat.run.created_at,
            "adapter": sat.name,
            "prompt": sat.prompt_version,
            "answered": f"{len(sat.answers) - sat.failed}/{sat.run.tickets}",
            "chrF": render.number(sat.means[scores.CHRF]),
            "log-prob": render.number(sat.means[scores.MEAN_LOGPROB]),
        }
        for sat in sats
    ]
    print_records(rows, as_json, nothing="None yet. `understudy evals run` sits the first exam.")


@app.command(epilog=examples("understudy evals show 01kb3v0c5w8e1y2m4n6p8r0s2t --json"))
def show(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="As `understudy evals list` has it.")
    ],
    as_json: JsonOption = False,
) -> None:
    """One run: its mean scores, and every answer with its scores (in JSON with the reasons)."""
    with reading() as session:
        sat = report.load_run(session, exams.get_run(session, run_id))
    if as_json:
        print_json(report.run_as_dict(sat))
    else:
        Console().print(render.run(sat))


@decisions_app.command("list", epilog=examples("understudy evals decisions list --json"))
def list_decisions(
    assistant: AssistantOption = None, limit: Limit = 20, as_json: JsonOption = False
) -> None:
    """Decisions, newest first."""
    with reading() as session:
        found = decisions.every(session, assistants.only(session, assistant))[:limit]
        reports = [report.load(session, one) for one in found]
    if as_json:
        print_json([report.summary(one) for one in reports])
        return
    rows = [
        {
            "decision": one.decision.id,
            "when": one.decision.created_at,
            "verdict": report.sentence(one),
        }
        for one in reports
    ]
    print_records(rows, as_json, nothing="None yet. `understudy evals compare` makes the first.")


@decisions_app.command(
    "show", epilog=examples("understudy evals decisions show 01kb3v0c5w8e1y2m4n6p8r0s2t --json")
)
def show_decision(
    decision_id: Annotated[
        str, typer.Argument(metavar="DECISION", help="As `understudy evals decisions list` has it.")
    ],
    as_json: JsonOption = False,
) -> None:
    """One decision: the verdict and why, and the best wins and worst losses side by side."""
    with reading() as session:
        found = report.load(session, decisions.get(session, decision_id))
    if as_json:
        print_json(report.as_dict(found))
    else:
        Console().print(render.decision(found))


@app.command(
    epilog=examples(
        "understudy evals score --answer 'You have 30 days.' "
        "--reference 'You have 40 days to send it back.' --must-say '40 days'"
    )
)
def score(
    answer: Annotated[str, typer.Option(help="What the assistant said.")],
    reference: Annotated[str, typer.Option(help="What an agent would have said.")],
    must_say: Annotated[
        list[str] | None, typer.Option(help="A phrase the answer must contain. Repeatable.")
    ] = None,
    must_not_say: Annotated[
        list[str] | None, typer.Option(help="A phrase it must not contain. Repeatable.")
    ] = None,
) -> None:
    """Score one answer by hand, without an engine: what would the exam make of it?"""
    for one in (
        scores.chrf(answer, reference),
        scores.must_say(answer, must_say or []),
        scores.must_not_say(answer, must_not_say or []),
    ):
        say(f"{one.metric}: {one.reason}")


def _sitter(session: Session, assistant: Assistant, name: str) -> Adapter | None:
    """The adapter of that name; 'base' is the base model, 'live' whatever is live."""
    if name == BASE:
        return None
    if name == LIVE:
        return adapters.live_adapter(session, assistant)
    found = adapters.get(session, name)
    if found.assistant_id != assistant.id:
        raise Invalid(f"Adapter {name!r} belongs to another assistant than {assistant.name!r}.")
    return found


def _need_tickets(session: Session, assistant: Assistant) -> None:
    if not tickets.in_exam(session, assistant):
        raise Invalid(
            f"{assistant.name!r} has no held-out tickets, so there is no exam. "
            "`understudy feedback import tickets` brings them in."
        )


def _with_engine(title: str, call: Call[T]) -> T:
    """What `call` returns, with the engine at hand and a progress bar on stderr."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

    async def go() -> T:
        async with _engines() as swaps:
            with bar:
                task = bar.add_task(title, total=None)

                def progress(done: int, total: int, eta_seconds: float | None) -> None:
                    bar.update(task, completed=done, total=total)

                return await call(swaps, progress)

    return asyncio.run(go())


@asynccontextmanager
async def _engines() -> AsyncIterator[HotSwap]:
    """The running engines; at once an error when there is none."""
    settings = service_settings()
    async with asking_engines(database(), settings) as swaps:
        if not await swaps.fleet.healthy():
            raise Unavailable(
                f"No engine answers at {settings.engine_url}. Start one with `understudy engine`, or "
                "set SERVICE_ENGINE_URL.",
                settings.retry_after_seconds,
            )
        yield swaps


def _named(adapter: Adapter | None) -> str:
    return adapter.name if adapter else BASE
