"""`understudy evals`: sit an exam, compare two adapters, look at runs and decisions.

It promotes nothing: that is `understudy adapters promote`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlmodel import Session

from evals import (
    forgetting_commands,
    judge_commands,
    knowledge,
    page,
    record,
    render,
    replay_commands,
    report,
    run,
    scores,
    steadiness,
)
from evals.asking import Asking
from evals.at_hand import with_engine
from evals.settings import EvalsSettings, evals_settings
from feedback import adapters, assistants, decisions, exams, looks, measures
from feedback import tickets as exam_tickets
from feedback.adapters import BASE
from feedback.database import database, reading
from feedback.desk import Desk, desk_of
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    say,
)
from feedback.tables import Adapter, Assistant, Expects, Ticket
from service.hot_swap import HotSwap

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
        "understudy evals report 01kb3v0c5w8e1y2m4n6p8r0s2t --html report.html",
    ),
)
decisions_app = typer.Typer(no_args_is_help=True, help="What the gate said, refusals included.")
app.add_typer(decisions_app, name="decisions")
app.add_typer(judge_commands.app, name="judge")
app.add_typer(replay_commands.app, name="replay")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list.")]
CacheOption = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Take answers that an earlier exam got from the same weights, prompt and sampling. "
        "Without the option: as the setting EVALS_CACHE says.",
    ),
]


app.command("forgetting", epilog=forgetting_commands.EPILOG)(forgetting_commands.show)


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
    cache: CacheOption = None,
) -> None:
    """Let one adapter sit the exam and print its mean scores.

    The engine must be running; the adapter is loaded and probed first, and customers go on being
    answered. Nothing is decided or promoted, so nothing of the year's chance is paid for: whoever sits
    many adapters and compares only the best of them promises more than the gate can keep.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        sitter = _sitter(session, owner, adapter)
        _need_tickets(session, owner)

    async def call(swaps: HotSwap, progress: run.Progress) -> str:
        sat = await run.sit(
            swaps, database(), owner, sitter, progress=progress, settings=_settings(cache)
        )
        return sat.id

    run_id = with_engine(f"{_named(sitter)} sits the exam", call)
    with reading() as session:
        sat = report.load_run(session, exams.get_run(session, run_id))
    Console().print(render.means_table([sat]))
    if sat.cached:
        say(f"{sat.cached} of {len(sat.answers)} answers were known from earlier exams.")
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
    cache: CacheOption = None,
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
        decision = await run.examine(
            swaps, database(), owner, ours, theirs, progress=progress, settings=_settings(cache)
        )
        return decision.id

    decision_id = with_engine(f"{_named(ours)} against {_named(theirs)}", call)
    show_decision(decision_id)
    say(f"All of it: understudy evals report {decision_id} --html report.html")


@app.command(epilog=examples("understudy evals confirm --candidate shop-v3-1a2b3c4d"))
def confirm(
    candidate: Annotated[str, typer.Option(help="The adapter that has passed an exam or a vote.")],
    against: Annotated[
        str, typer.Option(help="What it is compared with: an adapter, 'base' or 'live'.")
    ] = LIVE,
    assistant: AssistantOption = None,
) -> None:
    """Ask a candidate that has passed the sealed tickets; cycles do so by themselves.

    They can only speak against it, so it costs nothing of the year's chance. Nothing is promoted.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        ours, theirs = _sitter(session, owner, candidate), _sitter(session, owner, against)
        sealed = exam_tickets.sealed_asked(session, owner)
    if not exam_tickets.can_confirm(sealed):
        raise Invalid(
            f"{len(sealed)} tickets are sealed, too few to ask; expected "
            f"{exam_tickets.SEALED_LEAST} or more, from more than one customer."
        )

    async def call(swaps: HotSwap, progress: run.Progress) -> str:
        decision = await run.examine(
            swaps, database(), owner, ours, theirs, progress=progress, sealed=True
        )
        return decision.id

    title = f"{_named(ours)} against {_named(theirs)}, sealed tickets"
    show_decision(with_engine(title, call))


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
            "chrF": render.number(sat.means[measures.CHRF]),
            "log-prob": render.number(sat.means[measures.MEAN_LOGPROB]),
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
    "report",
    epilog=examples(
        "understudy evals report 01kb3v0c5w8e1y2m4n6p8r0s2t --html report.html --json report.json",
        "understudy evals report 01kb3v0c5w8e1y2m4n6p8r0s2t | jq .outcome",
    ),
)
def write_report(
    decision_id: Annotated[
        str, typer.Argument(metavar="DECISION", help="As `understudy evals decisions list` has it.")
    ],
    html: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write one page that needs nothing else, to be printed."),
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the same as JSON.")
    ] = None,
) -> None:
    """The whole exam as a decision record: verdict, people, hashes, scores, answers, lineage, costs.

    Also of candidates that were refused. Without a file to write, the JSON goes to standard output.
    """
    with reading() as session:
        told = record.load(session, decisions.get(session, decision_id))
    if html is None and as_json is None:
        typer.echo(told.model_dump_json(indent=2))
    if html:
        html.write_text(page.html(told), encoding="utf-8")
        say(f"{html}: the page, to be read in a browser and printed.")
    if as_json:
        as_json.write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
        say(f"{as_json}: the same as JSON, SHA-256 {told.sha256[:16]}…")


@app.command(
    epilog=examples(
        "understudy evals score --answer 'You have 30 days.' "
        "--reference 'You have 40 days to send it back.' --must-say '40 days'",
        "understudy evals score --question 'Do you ship to Norway?' --answer 'Yes, for 12 euros.' "
        "--reference 'Yes, for 9 euros.' --assistant shop",
    )
)
def score(
    answer: Annotated[str, typer.Option(help="What the assistant said.")],
    reference: Annotated[str, typer.Option(help="What an agent would have said.")],
    question: Annotated[str, typer.Option(help="What the customer had asked.")] = "",
    must_say: Annotated[
        list[str] | None, typer.Option(help="A phrase the answer must contain. Repeatable.")
    ] = None,
    must_not_say: Annotated[
        list[str] | None, typer.Option(help="A phrase it must not contain. Repeatable.")
    ] = None,
    expects: Annotated[
        Expects, typer.Option(help="What a good assistant does with the question.")
    ] = Expects.ANSWER,
    assistant: Annotated[
        str | None,
        typer.Option(help="Whose knowledge and desk count. Without it nothing else is known."),
    ] = None,
) -> None:
    """Score one answer by hand, without an engine: what would the exam make of it?

    All scores but the log-probability, which only an engine can tell, and the topic, which it chooses.
    """
    known, desk = frozenset[str](), Desk()
    if assistant is not None:
        with reading() as session:
            owner = assistants.only(session, assistant)
            known, desk = knowledge.of(session, owner), desk_of(owner)
    ticket = Ticket(
        assistant_id="",
        external_id="",
        context=[{"role": "user", "content": question}],
        reference=reference,
        must_say=must_say or [],
        must_not_say=must_not_say or [],
        expects=expects,
    )
    for one in scores.every(scores.Subject(ticket, answer, known, desk, "No engine was asked.")):
        if one.metric != measures.MEAN_LOGPROB:
            say(f"{one.metric}: {one.reason}")


@app.command(
    "steadiness",
    epilog=examples(
        "understudy evals steadiness",
        "understudy evals steadiness --adapter base --tickets 40 --json",
    ),
)
def show_steadiness(
    adapter: Annotated[str, typer.Option(help="An adapter's name, or 'base', or 'live'.")] = LIVE,
    tickets: Annotated[int, typer.Option(min=1, help="How many tickets to ask twice.")] = 20,
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far do others in the same batch move an answer?

    Asks tickets among others, as an exam does, and once more alone, and compares: how many answers
    change, from which token on, and by how much references become more or less likely. Nothing is stored.
    """
    settings = evals_settings()
    with reading() as session:
        owner = assistants.only(session, assistant)
        sitter = _sitter(session, owner, adapter)
        _need_tickets(session, owner)
        prompt = assistants.prompt_in_force(session, owner).text
        listed = exam_tickets.in_exam(session, owner)[:tickets]
    sampling = run.greedy(owner)
    questions = [run.question(ticket, sitter, prompt, sampling) for ticket in listed]

    async def call(swaps: HotSwap, progress: run.Progress) -> dict[str, Any]:
        asking = Asking(swaps, settings)
        progress(0, 2 * len(questions), None)
        among = await steadiness.among_others(asking, questions, settings.concurrency)
        progress(len(questions), 2 * len(questions), None)
        found = await steadiness.compare(asking, questions, among)
        return {**found, "at_once": settings.concurrency}

    found = with_engine(f"{_named(sitter)} is asked twice", call)
    if as_json:
        print_json(found)
    else:
        say(steadiness.sentence(found))


def _settings(cache: bool | None) -> EvalsSettings:
    settings = evals_settings()
    return settings if cache is None else settings.model_copy(update={"cache": cache})


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
    if not exam_tickets.in_exam(session, assistant):
        raise Invalid(
            f"{assistant.name!r} has no held-out tickets, so there is no exam. "
            "`understudy feedback import tickets` brings them in."
        )


def _named(adapter: Adapter | None) -> str:
    return adapter.name if adapter else BASE
