"""Which would you send? One pair of answers at a time, blind; a key votes, and the next one comes.

Nothing here says which answer is whose before its person has seen every pair: not the page, not its
source, not its address.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from feedback import replays, votes
from feedback.database import reading, writing
from feedback.errors import NotFound
from feedback.exam_tables import Replay
from feedback.votes import Pair
from service.console import judging
from service.console.differences import marked
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}/vote", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
SHOWN = 50
"""Pairs whose sides are shown in the end."""


@router.get("")
def show(request: Request, here: OfStaff, voted: bool = False) -> HTMLResponse:
    """The next pair for this person; when there is none, what became of their votes."""
    author = here.person.email
    with reading(request.app.state.database) as session:
        replay = votes.open_to(session, here.desk, author)
        pair = votes.next_pair(session, replay, author) if replay else None
        ended = None if pair else votes.last_seen(session, here.desk, author)
        context = {
            "progress": votes.progress(session, replay, author) if replay else None,
            **_shown(pair),
            **_ended(session, ended, author),
        }
    return page(request, here, "vote.html", voted=voted, **context)


def _shown(pair: Pair | None) -> dict[str, Any]:
    if pair is None:
        return {"pair": None}
    first, second = marked(pair.first, pair.second)
    return {"pair": pair, "sides": [("first", "1", first), ("second", "2", second)]}


def _ended(session: Session, replay: Replay | None, author: str) -> dict[str, Any]:
    """How somebody who has seen every pair voted, and how all did."""
    if replay is None:
        return {"tally": None}
    tally = votes.figures(session, replay)
    candidate, live = replays.names(session, replay)
    mine = {
        row.replay_turn_id: row.choice or "" for row in votes.by_author(session, replay, author)
    }
    turns = [turn for turn in replays.turns_of(session, replay) if turn.row.id in mine]
    return {
        "tally": tally,
        "opened": votes.progress(session, replay, author).opened,
        "mine": tally.by_author[author],
        "chosen": [(turn, mine[turn.row.id]) for turn in turns[:SHOWN]],
        "candidate": candidate,
        "live": live,
    }


@router.post("/{turn_id}")
def vote(
    request: Request, here: OfStaff, turn_id: str, choice: Annotated[str, Form()] = ""
) -> Response:
    """Keep what they say; the next pair comes."""
    with writing(request.app.state.database) as session:
        turn, replay = replays.turn(session, turn_id)
        if replay.assistant_id != here.desk.id:
            raise NotFound(f"There is no replayed answer {turn_id!r}.")
        votes.vote(session, turn, here.person.email, votes.ballot_from(choice))
        judging.record(session, here, "replay.vote", f"replay {replay.id}")
    return RedirectResponse(f"/console/{here.desk.name}/vote?voted=true", 303)
