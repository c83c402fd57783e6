"""`understudy evals replay`, over a stand-in engine on a real socket."""

import json

import pytest
from typer.testing import CliRunner

from evals import commands
from feedback import audit, replays
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, NotFound, Unavailable
from tests.evals.conftest import ON_SQLITE, Room
from tests.evals.test_commands import as_json, command, engine
from tests.evals.test_replay import talk
from tests.stand_in_engine import StandInEngine

__all__ = ["engine"]


def vote(keys: str) -> str:
    result = CliRunner().invoke(
        commands.app, ["replay", "vote", "--by", "mara@example.com"], input="\n".join(keys) + "\n"
    )
    if result.exception:
        raise result.exception
    return str(result.stdout)


@ON_SQLITE
def test_a_replay_is_done_voted_on_and_shown(room: Room, engine: StandInEngine) -> None:
    adapter = room.publish("one")
    with writing(room.database) as session:
        for number in range(3):
            talk(session, room, f"[red]Question {number}?")
    assert "3 of 3 answers differ" in command("replay", "run", "--days", "3")
    [listed] = as_json("replay", "list")
    assert (listed["adapter"], listed["against"], listed["answers"]) == (
        adapter.name,
        "base",
        "3/3",
    )
    assert "Nobody has voted yet" in command("replay", "show", listed["id"])
    printed = vote("1tq")
    assert "Pair 1 of 3" in printed and "Pair 3 of 3" in printed
    assert "[red]Question" in printed and adapter.name not in printed
    assert "Nothing is left for you" in vote("n")
    shown = as_json("replay", "show", listed["id"])
    assert shown["votes"]["sides"]["tie"] == 1 and shown["votes"]["sides"]["skipped"] == 1
    assert len(shown["turns"]) == 3 and shown["turns"][0]["said_then"].startswith("Then: ")
    assert "The candidate wins" in command("replay", "show", listed["id"])
    with reading() as session:
        acts = [entry.act for entry in audit.every(session)]
    assert sorted(acts) == ["replay.request", *["replay.vote"] * 3]


@ON_SQLITE
def test_votes_decide_with_the_exam_s_rules_and_are_paid_for(
    room: Room, engine: StandInEngine
) -> None:
    room.add_tickets(24)
    room.publish("one")
    with writing(room.database) as session:
        for number in range(3):
            talk(session, room, f"Question {number}?")
    command("replay", "run", "--days", "3")
    [listed] = as_json("replay", "list")
    with pytest.raises(NotFound, match="have sat no exam together"):
        command("replay", "decide", listed["id"])
    command("compare", "--candidate", listed["adapter"], "--against", "base")
    told = command("replay", "decide", listed["id"])
    assert "may not go live. There are 0" in told, "nobody has voted"
    assert len(as_json("decisions", "list")) == 2
    with reading() as session:
        assert [each.act for each in audit.every(session)].count("replay.decide") == 1
    with pytest.raises(Invalid, match="0 tickets are sealed, too few to ask"):
        command("confirm", "--candidate", listed["adapter"], "--against", "base")


@ON_SQLITE
def test_what_cannot_be_replayed_or_said_is_told(room: Room, engine: StandInEngine) -> None:
    assert "does the first" in command("replay", "list")
    with pytest.raises(Conflict, match="no candidate"):
        command("replay", "run")
    room.publish("one")
    with writing(room.database) as session:
        talk(session, room, "Question?")
    engine.down = True
    with pytest.raises(Unavailable, match="No engine answers"):
        command("replay", "run")
    engine.down = False
    command("replay", "run")
    with pytest.raises(Invalid, match="expected 1, 2, t, n or q"):
        vote("x")
    with reading() as session:
        states = [str(each.state) for each in replays.every(session, room.assistant)]
    assert states == ["finished", "failed"]
    assert json.loads(json.dumps(as_json("replay", "list")))[0]["state"] == "finished"
