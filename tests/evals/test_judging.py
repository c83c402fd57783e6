"""The judge over an exam: once per ticket, kept, gone on with; as scores; on the command line."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals import commands, judging
from evals.settings import EvalsSettings, evals_settings
from feedback import (
    assistants,
    audit,
    conversations,
    corrections,
    decisions,
    judgements,
    tickets,
)
from feedback.assistants import Gate
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, Unavailable
from feedback.exam_tables import Choice, Judgement, Replay, ReplayTurn, Vote
from feedback.judgements import Why
from feedback.tables import Assistant, Decision, EvalRun, FeedbackKind, Message, Role
from tests.evals.conftest import ON_SQLITE, PATIENT, Room, examine, reference_answer
from tests.feedback.said import answered, corrected
from tests.scripted_judge import ScriptedJudge, longer, placed, scripted_judge


@pytest.fixture
def door() -> Iterator[ScriptedJudge]:
    with scripted_judge() as found:
        yield found


@pytest.fixture
def told(door: ScriptedJudge, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of commands lead to the judge."""
    monkeypatch.setenv("EVALS_JUDGE_URL", door.url)
    monkeypatch.setenv("EVALS_JUDGE_MODEL", "solomon")
    monkeypatch.setenv("EVALS_JUDGE_ATTEMPTS", "1")
    monkeypatch.setenv("EVALS_JUDGE_REDACT", "false")
    monkeypatch.setenv("COLUMNS", "200")
    evals_settings.cache_clear()
    yield
    evals_settings.cache_clear()


def settings(door: ScriptedJudge, **more: Any) -> EvalsSettings:
    return PATIENT.model_copy(
        update={
            "judge_url": door.url, "judge_model": "solomon", "judge_redact": False,
            "judge_attempts": 1, **more,
        }
    )  # fmt: skip


def examined(room: Room, tickets: int = 6) -> Decision:
    """The candidate answers as the agent would, live echoes the question, which is longer."""
    room.add_tickets(tickets)
    candidate = room.publish("one")
    room.engine.says[candidate.name] = reference_answer
    return examine(room, candidate, None)


def runs_of(room: Room, decision: Decision) -> tuple[EvalRun, EvalRun]:
    with reading(room.database) as session:
        return decisions.runs_of(session, decision)


def judge_all(room: Room, decision: Decision, told: EvalsSettings, **more: Any) -> int:
    return asyncio.run(
        judging.judge_runs(
            room.database, room.assistant, *runs_of(room, decision), settings=told, **more
        )
    )


def test_where_the_judge_decides_it_also_speaks_on_the_sealed_tickets(
    room: Room, door: ScriptedJudge
) -> None:
    room.add_tickets(6)
    with writing(room.database) as session:
        for ticket in tickets.every(session, room.assistant):
            ticket.sealed = True
        assistants.change(session, room.assistant, gate=Gate(metric="judge").model_dump())
    candidate = room.publish("one")
    room.engine.says[candidate.name] = reference_answer
    room.settings = settings(door)
    decision = examine(room, candidate, None, sealed=True)
    assert decision.gain is not None, decision.reasons
    assert decision.metric == "judge" and decision.tickets == 6


def scores(room: Room, decision: Decision) -> dict[str, float]:
    with reading(room.database) as session:
        return judging.judgements_as_scores(session, *runs_of(room, decision), judge="solomon")


def test_every_ticket_is_judged_once_and_becomes_a_score(room: Room, door: ScriptedJudge) -> None:
    decision = examined(room)
    steps: list[tuple[int, int, float | None]] = []
    told = settings(door)
    assert judge_all(room, decision, told, progress=lambda *step: steps.append(step)) == 6
    assert [step[:2] for step in steps] == [(n, 6) for n in range(1, 7)] and steps[-1][2] == 0
    assert len(door.asked) == 12
    assert judge_all(room, decision, told) == 0 and len(door.asked) == 12
    assert list(scores(room, decision).values()) == [0.0] * 6
    with reading(room.database) as session:
        [tally] = judgements.tallies(session, decision)
    assert (tally.judge, tally.live, tally.score) == ("solomon", 6, 0.0)


@ON_SQLITE
def test_a_judge_that_dies_midway_keeps_what_it_judged_and_goes_on(
    room: Room, door: ScriptedJudge
) -> None:
    decision = examined(room)
    one_by_one = settings(door, judge_concurrency=1)

    def tired(first: str, second: str, dice: object) -> str:
        if len(door.asked) == 7:
            door.failures.append(503)
        return longer(first, second, dice)  # type: ignore[arg-type]

    door.habit = tired
    with pytest.raises(Unavailable):
        judge_all(room, decision, one_by_one)
    kept = scores(room, decision)
    assert 0 < len(kept) < 6
    assert judge_all(room, decision, one_by_one) == 6 - len(kept)
    assert kept.items() <= scores(room, decision).items() and len(scores(room, decision)) == 6


@ON_SQLITE
def test_what_cannot_be_read_or_was_not_answered_has_no_score(
    room: Room, door: ScriptedJudge
) -> None:
    room.add_tickets(2)
    candidate = room.publish("one")

    def broken(question: str) -> str:
        if question.startswith("Question 1"):
            raise RuntimeError("the engine stumbled")
        return "Hm."

    room.engine.says[candidate.name] = broken
    decision = examine(room, candidate, None)
    door.habit = lambda first, second, dice: "Both are fine answers!"
    judge_all(room, decision, settings(door))
    assert scores(room, decision) == {}
    with reading(room.database) as session:
        rows = [row for _, row in judgements.of_runs(session, *runs_of(room, decision))]
        [tally] = judgements.tallies(session, decision)
    assert {row.reason for row in rows} == {Why.UNREADABLE, Why.NO_ANSWER}
    assert (tally.unscored, tally.scored, tally.score) == (2, 0, None)
    assert len(door.asked) == 2


@ON_SQLITE
def test_a_place_that_decides_is_a_tie_and_counted(room: Room, door: ScriptedJudge) -> None:
    decision = examined(room)
    door.habit = placed(1.0)
    judge_all(room, decision, settings(door))
    assert set(scores(room, decision).values()) == {0.5}
    with reading(room.database) as session:
        [tally] = judgements.tallies(session, decision)
    assert (tally.first, tally.second, tally.ties, tally.score) == (6, 0, 6, 0.5)


@ON_SQLITE
def test_an_exam_asks_the_judge_where_one_is_set_and_goes_on_without_it(
    room: Room, door: ScriptedJudge
) -> None:
    room.add_tickets(3)
    room.settings = settings(door)
    decision = examine(room, room.publish("one"), None)
    assert len(scores(room, decision)) == 3
    door.failures = [503] * 50
    other = examine(room, room.publish("two"), None)
    assert scores(room, other) == {}
    assert other.reasons


@ON_SQLITE
def test_a_run_that_is_not_finished_is_not_judged(room: Room, door: ScriptedJudge) -> None:
    decision = examined(room)
    ours, theirs = runs_of(room, decision)
    ours.finished_at = None
    with pytest.raises(Conflict, match="not finished"):
        asyncio.run(
            judging.judge_runs(room.database, room.assistant, ours, theirs, settings=settings(door))
        )


# The command line


def command(*words: str) -> str:
    result = CliRunner().invoke(commands.app, ["judge", *words])
    if result.exception:
        raise result.exception
    return str(result.stdout)


@ON_SQLITE
def test_run_judges_the_newest_decision_and_show_tells_it(
    room: Room, door: ScriptedJudge, told: None
) -> None:
    examined(room)
    printed = command("run")
    assert "Judged now: 6." in printed and "Nobody has checked a judge" in printed
    shown = json.loads(command("show", "--json"))
    assert shown["judgements"] == [
        {"judge": "solomon", "candidate": 0, "live": 6, "ties": 0, "position_driven": 0,
         "unscored": 0, "score": 0.0}
    ]  # fmt: skip
    with reading(room.database) as session:
        [entry] = audit.every(session, act="judge.run")
    assert entry.detail == {"judge": "solomon", "asked": 6}


@ON_SQLITE
def test_check_compares_it_with_corrections(room: Room, door: ScriptedJudge, told: None) -> None:
    with writing(room.database) as session:
        owner = session.get_one(Assistant, room.assistant.id)
        for number in range(4):
            better = "This is a much longer answer." if number else "No."
            corrected(session, owner, f"Is it {number}?", better, f"c{number}", "Maybe it is so.")
    found = json.loads(command("check", "--json"))
    assert (found["source"], found["pairs"], found["agreed"]) == ("corrections", 4, 3)
    assert found["figures"]["agreement"]["value"] == 0.75
    assert "75 % of 4 pairs" in found["sentences"][0] and "Too few" in found["sentences"][0]
    examined(room)
    assert "75 % of 4 pairs" in command("show")


@ON_SQLITE
def test_check_compares_it_with_the_majority_of_votes(
    room: Room, door: ScriptedJudge, told: None
) -> None:
    with writing(room.database) as session:
        owner = session.get_one(Assistant, room.assistant.id)
        voted(session, owner, "Short.", "A long answer.", [Choice.LIVE, Choice.LIVE, Choice.TIE])
        voted(session, owner, "Short!", "A long answer!", [Choice.CANDIDATE])
        voted(session, owner, "Short?", "A long answer?", [Choice.CANDIDATE, Choice.LIVE])
    found = json.loads(command("check", "--against", "votes", "--json"))
    assert (found["pairs"], found["agreed"]) == (2, 1)
    assert found["figures"]["scored"] == 3


def voted(session: Any, owner: Assistant, ours: str, theirs: str, choices: list[Choice]) -> None:
    _, message = answered(session, owner, f"What of {ours}")
    replay = Replay(assistant_id=owner.id, most=1, requested_by="olga")
    session.add(replay)
    session.flush()
    turn = ReplayTurn(
        replay_id=replay.id, message_id=message.id, candidate_text=ours, live_text=theirs
    )
    session.add(turn)
    session.flush()
    for number, choice in enumerate(choices):
        session.add(Vote(replay_turn_id=turn.id, author=f"agent {number}", choice=choice))


@ON_SQLITE
def test_check_compares_it_with_a_file(
    room: Room, door: ScriptedJudge, told: None, tmp_path: Path
) -> None:
    rows = [
        {"id": n, "prompt": "Which?", "chosen": "Yes." * (n + 2), "rejected": "No."}
        for n in range(5)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    mapping = [
        word
        for pair in ("question=prompt", "preferred=chosen", "other=rejected")
        for word in ("--map", pair)
    ]
    printed = command("check", "--against", str(file), *mapping, "--most", "4")
    assert "100 % of 4 pairs" in printed and len(door.asked) == 8
    with pytest.raises(Invalid, match="line 1, column 'preferred': Expected text"):
        command("check", "--against", str(file), *mapping[:2])
    with pytest.raises(Invalid, match="expected one of question"):
        command("check", "--against", str(file), "--map", "answer=chosen")


@ON_SQLITE
def test_commands_say_what_is_missing(room: Room, door: ScriptedJudge, told: None) -> None:
    with pytest.raises(Conflict, match="sat an exam"):
        command("run")
    with pytest.raises(Conflict, match="has no corrections"):
        command("check")
    assert door.asked == []


@ON_SQLITE
def test_a_customers_own_words_are_no_word_of_people_who_judge(room: Room) -> None:
    with writing(room.database) as session:
        owner = session.get_one(Assistant, room.assistant.id)
        _, answer = answered(session, owner, "Is it so?")
        corrections.give(
            session, answer.id, FeedbackKind.CORRECTION, "a customer", Role.CUSTOMER, text="Yes."
        )
        assert judgements.corrected(session, owner, 10) == []
        corrections.give(
            session, answer.id, FeedbackKind.CORRECTION, "mara", Role.AGENT, text="Yes, it is."
        )
        [pair] = judgements.corrected(session, owner, 10)
        said = conversations.messages_of(
            session, session.get_one(Message, answer.id).conversation_id
        )
    assert pair.context == [{"role": "user", "content": said[0].text}]
    assert (pair.preferred, pair.other) == ("Yes, it is.", answer.text)


def test_judgements_of_an_answer_are_unique_per_judge(room: Room, door: ScriptedJudge) -> None:
    decision = examined(room, 1)
    judge_all(room, decision, settings(door))
    judge_all(room, decision, settings(door, judge_model="another"))
    with reading(room.database) as session:
        rows: list[tuple[str, Judgement]] = judgements.of_runs(session, *runs_of(room, decision))
    assert [row.judge for _, row in rows] == ["solomon", "another"]
