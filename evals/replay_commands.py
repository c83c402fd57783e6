"""`understudy evals replay`: real conversations through a candidate, and blind votes on the differences."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from sqlmodel import Session

from evals import by_votes
from evals.at_hand import running_engines
from evals.replay import replay as do_replay
from feedback import adapters, assistants, audit, replays, votes
from feedback.adapter_commands import By
from feedback.audit import Actor
from feedback.database import database, reading, writing
from feedback.errors import Invalid, Unavailable
from feedback.exam_tables import Replay, ReplayState
from feedback.printing import (
    AssistantOption,
    CommandGroup,
    JsonOption,
    examples,
    print_json,
    print_records,
    progress_bar,
    say,
    short,
)
from feedback.replays import Turn
from feedback.votes import Ballot, Pair, Tally

KEYS = {"1": Ballot.FIRST, "2": Ballot.SECOND, "t": Ballot.TIE, "n": Ballot.SKIP}
SHOWN = 20

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Replays: what customers asked, answered again by a candidate and by what is live.",
    epilog=examples(
        "understudy evals replay run --days 7 --turns 50",
        "understudy evals replay list",
        "understudy evals replay vote --by mara@example.com",
    ),
)
ReplayId = Annotated[
    str, typer.Argument(metavar="REPLAY", help="As `understudy evals replay list` has it.")
]


@app.command(
    epilog=examples(
        "understudy evals replay run",
        "understudy evals replay run --adapter shop-v4-1a2b3c4d --days 30 --turns 200",
    )
)
def run(
    adapter: Annotated[
        str | None, typer.Option(help="The candidate. Default: the newest that is not live.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Default: FEEDBACK_REPLAY_DAYS.")] = None,
    turns: Annotated[
        int | None, typer.Option(help="At most so many answers. Default: FEEDBACK_REPLAY_TURNS.")
    ] = None,
    assistant: AssistantOption = None,
) -> None:
    """Replay real conversations here and now, with a progress bar. The engine must be running.

    Cut off, it is taken up by a loop. Nothing is decided or promoted, and no customer sees any of it.
    """
    who = audit.here()
    with writing() as session:
        owner = assistants.only(session, assistant)
        candidate = adapters.get(session, adapter) if adapter else None
        asked = replays.request(session, owner, who.name, candidate, days, turns)
        name, _ = replays.names(session, asked)
        audit.record(session, who, "replay.request", name, owner.id, replay=asked.id)
        claimed = replays.claim(session, f"{who.name} at the command line", asked.id)
    if claimed is not None:
        asyncio.run(_do(claimed, name))
    show(asked.id)


async def _do(claimed: Replay, name: str) -> Replay:
    async with AsyncExitStack() as open_ones:
        try:
            swaps = await open_ones.enter_async_context(running_engines())
        except Unavailable:
            with writing() as session:
                replays.end(session, claimed, "No engine answered when it was asked for.")
                owner_id = claimed.assistant_id
                audit.record(
                    session, audit.here(), "replay.give_up", name, owner_id, replay=claimed.id
                )
            raise
        with progress_bar(f"{name} answers again") as bar:
            return await do_replay(swaps, database(), claimed, lambda row: bar(row.done, row.total))


@app.command("list", epilog=examples("understudy evals replay list --json"))
def list_replays(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's replays, newest first."""
    with reading() as session:
        found = replays.every(session, assistants.only(session, assistant))
        rows = [_row(session, each) for each in found]
    print_records(rows, as_json, nothing="None yet. `understudy evals replay run` does the first.")


@app.command(epilog=examples("understudy evals replay show 01kb3v0c5w8e1y2m4n6p8r0s2t --json"))
def show(replay_id: ReplayId, as_json: JsonOption = False) -> None:
    """One replay: the votes by side and by agent, and the answers that differ most (in JSON all)."""
    with reading() as session:
        row = replays.get(session, replay_id)
        facts = _row(session, row)
        turns, tally = replays.turns_of(session, row), votes.figures(session, row)
    if as_json:
        print_json({**facts, "votes": tally.__dict__, "turns": [_turn(each) for each in turns]})
        return
    differing = [turn for turn in turns if turn.is_answered and not turn.is_same]
    same = sum(turn.is_same for turn in turns)
    say(
        f"Replay {row.id}, {row.state}: {facts['adapter']} against {facts['against']}. "
        f"{len(differing)} of {len(turns)} answers differ, {same} are the same."
    )
    if row.error:
        say(f"It failed: {row.error}")
    say(_sentence(tally))
    shown = [
        {
            "likeness": round(turn.row.likeness or 0.0),
            "question": short(turn.question, 40),
            "live now": short(turn.row.live_text, 60),
            "candidate now": short(turn.row.candidate_text, 60),
        }
        for turn in differing[:SHOWN]
    ]
    print_records(shown, False, nothing="")


@app.command(epilog=examples("understudy evals replay decide 01kb3v0c5w8e1y2m4n6p8r0s2t"))
def decide(replay_id: ReplayId) -> None:
    """Let the agents' votes decide, with the vetoes and guardrails of the exam both sat.

    The decision is kept and is a look of its own, so it spends its part of the year's chance. Nothing is
    promoted.
    """
    with reading() as session:
        row = replays.get(session, replay_id)
    made = by_votes.decide(database(), row, audit.here())
    say(by_votes.sentence(database(), row, made))
    say(f"All of it: understudy evals report {made.id} --html report.html")


@app.command(epilog=examples("understudy evals replay vote --by mara@example.com"))
def vote(by: By, assistant: AssistantOption = None) -> None:
    """Which would you send? One pair after the other, blind: 1, 2, t for a tie, n to skip, q to stop."""
    while True:
        with reading() as session:
            owner = assistants.only(session, assistant)
            row = votes.open_to(session, owner, by)
            pair = votes.next_pair(session, row, by) if row else None
            progress = votes.progress(session, row, by) if row else None
        if row is None or pair is None or progress is None:
            say("Nothing is left for you to vote on. `understudy evals replay show` has the sides.")
            return
        _print_pair(pair, progress.seen + 1, progress.pairs)
        key = typer.prompt("Which would you send? [1/2/t/n/q]", err=True).strip().lower()
        if key == "q":
            return
        if key not in KEYS:
            raise Invalid(f"Found {key!r}; expected 1, 2, t, n or q.")
        with writing() as session:
            turn, _ = replays.turn(session, pair.turn_id)
            votes.vote(session, turn, by, KEYS[key])
            actor = Actor(by, "command line")
            audit.record(session, actor, "replay.vote", f"replay {row.id}", row.assistant_id)


def _print_pair(pair: Pair, number: int, pairs: int) -> None:
    """Texts are shown as they are: nothing in them is markup here."""
    console = Console()
    console.rule(Text(f"Pair {number} of {pairs}"))
    for turn in pair.context[-3:]:
        console.print(Text(f"{'Customer' if turn['role'] == 'user' else 'Bot'}: {turn['content']}"))
    for name, text in (("1", pair.first), ("2", pair.second)):
        console.print(Panel(Text(text), title=name, title_align="left"))


def _row(session: Session, row: Replay) -> dict[str, Any]:
    candidate, against = replays.names(session, row)
    tally = votes.figures(session, row)
    return {
        "id": row.id,
        "at": row.created_at,
        "adapter": candidate,
        "against": against,
        "state": str(row.state),
        "answers": f"{row.done}/{row.total}" if row.state != ReplayState.REQUESTED else "-",
        "votes": tally.votes,
        "wins": None if tally.win_rate is None else f"{tally.win_rate:.0%}",
    }


def _sentence(tally: Tally) -> str:
    if tally.win_rate is None:
        return "Nobody has voted yet: `understudy evals replay vote` or the page Vote."
    between = "" if tally.low is None else f" (95 % interval {tally.low:.0%} to {tally.high:.0%})"
    sides = ", ".join(f"{name} {number}" for name, number in tally.sides.items())
    return (
        f"The candidate wins {tally.win_rate:.0%}{between} over {tally.turns} pairs; {sides}, "
        f"by {tally.voters} people."
    )


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "id": turn.row.id,
        "topic": turn.topic,
        "question": turn.question,
        "said_then": turn.said_then,
        "spoke_then": turn.spoke_then,
        "live": turn.row.live_text,
        "candidate": turn.row.candidate_text,
        "likeness": turn.row.likeness,
        "error": turn.row.error,
    }
