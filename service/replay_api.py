"""The door to replays: operators ask for them and see both sides, agents vote without knowing whose is whose.

A vote is a person's act: over the API that needs a personal key.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlmodel import Session

from feedback import adapters, audit, replays, votes
from feedback.database import reading, writing
from feedback.errors import Invalid, NotFound
from feedback.exam_tables import Replay, ReplayTurn
from service.operator_api import adapter_for
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for, person_of
from service.replay_shapes import (
    NewReplay,
    NewVote,
    PairOut,
    ReplayFigures,
    ReplayOut,
    TurnOut,
    VotedOut,
)

router = APIRouter(prefix="/v1", tags=["replays"])
OfStaff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.post("/replays", status_code=201)
def request_replay(request: Request, new: NewReplay, caller: Operator) -> ReplayOut:
    """Ask for real conversations to be answered again, by a candidate and by what is live now.

    The loop takes it up within seconds. One runs per assistant at a time.
    """
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        if new.adapter == adapters.BASE:
            raise Invalid(
                f"Found {new.adapter!r} as the candidate; expected an adapter's name. A replay compares "
                "an adapter with what is live."
            )
        adapter = adapter_for(session, caller, new.adapter) if new.adapter else None
        row = replays.request(session, owner, caller.name, adapter, new.days, new.turns)
        names = replays.names(session, row)
        actor = caller.actor(owner.id)
        audit.record(session, actor, "replay.request", names[0], owner.id, replay=row.id)
        return ReplayOut.of(row, names)


@router.get("/replays")
def list_replays(
    request: Request, caller: OfStaff, assistant: str | None = None
) -> list[ReplayOut]:
    """An assistant's replays, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        found = replays.every(session, owner)
        return [ReplayOut.of(each, replays.names(session, each)) for each in found]


@router.get("/replays/{replay_id}")
def read_replay(request: Request, replay_id: str, caller: Operator) -> ReplayFigures:
    """One replay: how far it is, and what the votes on it say."""
    with reading(request.app.state.database) as session:
        row = _replay(session, caller, replay_id)
        turns, tally = replays.turns_of(session, row), votes.figures(session, row)
        return ReplayFigures.with_votes(row, replays.names(session, row), turns, tally)


@router.get("/replays/{replay_id}/turns")
def read_turns(request: Request, replay_id: str, caller: Operator) -> list[TurnOut]:
    """Every replayed answer with both sides, those least alike first.

    Whoever reads them before voting on every pair is kept, and cannot vote on this replay any more.
    """
    with writing(request.app.state.database) as session:
        row = _replay(session, caller, replay_id)
        open_for(session, row, caller)
    with reading(request.app.state.database) as session:
        return turns_out(session, row)


@router.get("/replays/{replay_id}/pairs/next")
def next_pair(request: Request, replay_id: str, caller: OfStaff) -> PairOut | None:
    """The next pair for you to vote on, the least alike first; null when you have seen all, or the sides."""
    with reading(request.app.state.database) as session:
        row = _replay(session, caller, replay_id)
        author = person_of(session, caller).email
        pair = votes.next_pair(session, row, author)
        return PairOut.of(pair, votes.progress(session, row, author)) if pair else None


@router.post("/replay-turns/{turn_id}/votes", status_code=201)
def vote(request: Request, turn_id: str, new: NewVote, caller: OfStaff) -> VotedOut:
    """Which of the two would you send? One vote per pair; it stays as it is."""
    with writing(request.app.state.database) as session:
        turn, row = _turn(session, caller, turn_id)
        author = person_of(session, caller).email
        votes.vote(session, turn, author, new.choice)
        actor = caller.actor(row.assistant_id)
        audit.record(session, actor, "replay.vote", f"replay {row.id}", row.assistant_id)
        progress = votes.progress(session, row, author)
        mine = None if progress.left else votes.figures(session, row).by_author[author]
        return VotedOut(left=progress.left, pairs=progress.pairs, mine=mine)


def open_for(session: Session, row: Replay, caller: Caller) -> None:
    """Keep that they read whose the answers are, where pairs were left for them to vote on."""
    if votes.open_sides(session, row, caller.name):
        actor = caller.actor(row.assistant_id)
        audit.record(session, actor, "replay.open", f"replay {row.id}", row.assistant_id)


def turns_out(session: Session, row: Replay) -> list[TurnOut]:
    """What is exported of a replay, here and on its page."""
    given = votes.by_side(votes.of_replay(session, row))
    return [TurnOut.of(each, given.get(each.row.id, {})) for each in replays.turns_of(session, row)]


def _replay(session: Session, caller: Caller, replay_id: str) -> Replay:
    row = replays.get(session, replay_id)
    if caller.role_at(row.assistant_id) is None:
        raise NotFound(f"There is no replay {replay_id!r}.")
    return row


def _turn(session: Session, caller: Caller, turn_id: str) -> tuple[ReplayTurn, Replay]:
    turn, row = replays.turn(session, turn_id)
    if caller.role_at(row.assistant_id) is None:
        raise NotFound(f"There is no replayed answer {turn_id!r}.")
    return turn, row
