"""`understudy evals judge`: ask a judging model about a decision's answers, and see how far to trust it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlmodel import Session

from evals import calibration, judge, preferences
from evals.calibration import Figures
from evals.judging import Progress, judge_runs
from evals.settings import evals_settings
from feedback import assistants, audit, decisions, judge_figures, judgements, redactions
from feedback.database import database, reading, writing
from feedback.errors import Conflict, Invalid
from feedback.import_commands import Map, parsed_mapping
from feedback.judgements import Preferred
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_json,
    print_records,
    progress_bar,
    say,
)
from feedback.tables import Assistant, Decision

CORRECTIONS, VOTES, FILE = "corrections", "votes", "file"
T = TypeVar("T")
DecisionOption = Annotated[
    str | None,
    typer.Option(
        "--decision", help="As `understudy evals decisions list` has it; else the newest."
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="A judging model's opinion: which of two answers is better? It sees them without names and in "
    "both orders, so that a place decides nothing. Set EVALS_JUDGE_URL and EVALS_JUDGE_MODEL.",
    epilog=examples("understudy evals judge check", "understudy evals judge run"),
)


@app.command(
    epilog=examples(
        "understudy evals judge run",
        "understudy evals judge run --decision 01kb3v0c5w8e1y2m4n6p8r0s2t",
    )
)
def run(decision: DecisionOption = None, assistant: AssistantOption = None) -> None:
    """Have a decision's answers judged, ticket by ticket. What is judged already is not asked again.

    The gate's decision stays as it is; an exam asks the judge by itself where one is set.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        about = _decision(session, owner, decision)
        runs = decisions.runs_of(session, about)

    def call(progress: Progress) -> Awaitable[int]:
        return judge_runs(database(), owner, *runs, progress=progress)

    asked = _with_bar("the judge compares", call)
    with writing() as session:
        subject, name = f"decision {about.id}", evals_settings().judge_model
        audit.record(session, audit.here(), "judge.run", subject, owner.id, judge=name, asked=asked)
    say(f"Judged now: {asked}.")
    show(about.id, assistant)


@app.command(
    epilog=examples(
        "understudy evals judge check",
        "understudy evals judge check --against votes",
        "understudy evals judge check --against pairs.jsonl --map question=prompt "
        "--map preferred=chosen --map other=rejected",
    )
)
def check(
    against: Annotated[
        str,
        typer.Option(
            help="corrections (preferred over the answer they replaced), votes (on replayed answers), "
            "or a CSV or JSONL file with question, preferred, other."
        ),
    ] = CORRECTIONS,
    mapping: Map = None,
    most: Annotated[
        int, typer.Option(min=1, help="At most so many pairs, two questions each.")
    ] = 200,
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far does the judge agree with people? The figures are kept and shown beside its votes.

    Without the agent's answer as a reference, which the judge has in an exam.
    """
    with reading() as session:
        owner = assistants.only(session, assistant)
        source, pairs = _settled(session, owner, against, mapping or [], most)

    async def call(progress: Progress) -> Figures:
        settings = evals_settings()
        async with judge.opened(settings, redactions.redactor_of(owner)) as asked:
            said = await calibration.check(asked, pairs, settings.judge_concurrency, progress)
        return calibration.figures(said)

    found = _with_bar("the judge is checked", call)
    name, rate = evals_settings().judge_model, found.agreement
    with writing() as session:
        row = judgements.keep_check(
            session, owner, name, source, rate.of, rate.found, calibration.as_dict(found)
        )
        audit.record(session, audit.here(), "judge.check", f"judge {name}", owner.id, source=source)
        told = judge_figures.check_as_dict(row)
    if as_json:
        print_json(told)
    else:
        for sentence in judge_figures.sentences(row):
            say(sentence)


@app.command(epilog=examples("understudy evals judge show --json"))
def show(
    decision: DecisionOption = None,
    assistant: AssistantOption = None,
    as_json: JsonOption = False,
) -> None:
    """What judges made of a decision's answers, and how far each agreed with people when checked."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        tallies = judgements.tallies(session, _decision(session, owner, decision))
        checks = judgements.latest_checks(session, owner)
    if as_json:
        print_json(
            {
                "judgements": [judge_figures.tally_as_dict(each) for each in tallies],
                "checks": [judge_figures.check_as_dict(each) for each in checks],
            }
        )
        return
    rows = [judge_figures.tally_as_dict(each) for each in tallies]
    print_records(rows, False, nothing="No judge was asked. `understudy evals judge run` asks one.")
    for row in checks:
        for sentence in judge_figures.sentences(row):
            say(sentence)
    if not checks:
        say("Nobody has checked a judge against people: `understudy evals judge check`.")


def _decision(session: Session, owner: Assistant, decision_id: str | None) -> Decision:
    if decision_id is None:
        if newest := decisions.every(session, owner)[:1]:
            return newest[0]
        raise Conflict(
            f"No candidate of {owner.name!r} sat an exam; there are no answers to judge."
        )
    found = decisions.get(session, decision_id)
    if found.assistant_id != owner.id:
        raise Invalid(f"Decision {decision_id!r} is about another assistant than {owner.name!r}.")
    return found


def _settled(
    session: Session, owner: Assistant, against: str, mapping: list[str], most: int
) -> tuple[str, list[Preferred]]:
    """Whose word it is compared with, and the pairs."""
    if against not in (CORRECTIONS, VOTES):
        return FILE, preferences.load(Path(against), parsed_mapping(mapping), most)
    if mapping:
        raise Invalid(f"--map belongs to a file; found it with --against {against}.")
    of = judgements.corrected if against == CORRECTIONS else judgements.voted
    pairs = of(session, owner, most)
    if not pairs:
        raise Conflict(f"{owner.name!r} has no {against} that settle a pair of answers yet.")
    return against, pairs


def _with_bar(title: str, call: Callable[[Progress], Awaitable[T]]) -> T:
    async def go() -> T:
        with progress_bar(title) as tell:
            return await call(lambda done, total, eta_seconds: tell(done, total))

    return asyncio.run(go())
