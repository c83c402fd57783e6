"""An exam's record: what stands in it, that it is one page that needs nothing, and that words stay words."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals import commands, page, record
from evals.record_shapes import VERSION, ExamRecord
from feedback import adapters, assistants, decisions
from feedback.database import reading, writing
from feedback.exam_tables import Choice, JudgeCheck, Judgement, Replay, ReplayTurn, Vote
from feedback.tables import Decision, ExamAnswer, Ticket, now
from tests.evals.conftest import Room, examine, reference_answer
from tests.feedback.said import answered

HOSTILE = '<script>alert("x")</script><img src=//evil.example/x onerror=y>\u202e & "quotes"\x1b[31m'
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "circle", "rect", "polygon"}


class Page(HTMLParser):
    """Reads a page: its tags and attributes, its text, and whether everything that opens also closes."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == [], "tags that nothing closes"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def decision(room: Room) -> Decision:
    """A candidate that knows the answers but for two tickets, on one of which it says hostile things."""
    room.add_tickets(24)
    candidate, live = room.publish("good"), room.publish("old")
    with writing(room.database) as session:
        adapters.promote(session, room.assistant, live, "olga@example.com", "the first one")
    room.engine.says[candidate.name] = lambda question: (
        HOSTILE
        if question.startswith("Question 1:")
        else "You have it for ever."
        if question.startswith("Question 2:")
        else reference_answer(question)
    )
    return examine(room, candidate, live)


def told_of(room: Room, decision: Decision) -> ExamRecord:
    with reading(room.database) as session:
        return record.load(session, decisions.get(session, decision.id))


def test_the_record_holds_the_verdict_the_people_and_the_hashes(
    room: Room, decision: Decision
) -> None:
    told = told_of(room, decision)
    assert told.shape == VERSION and told.promote is False
    assert told.outcome.state == "refused" and "Nobody" in told.outcome.sentence
    for side in (told.candidate, told.live):
        assert re.fullmatch("[0-9a-f]{64}", side.weights.digest or "")
        assert re.fullmatch("[0-9a-f]{64}", side.run.prompt_sha256)
        assert side.weights.files.keys() >= {"adapter_model.safetensors", "probe.json"}
        assert side.run.answered == 24 and side.run.cached == 0
    numbers = told.statistics
    assert numbers.better + numbers.worse + numbers.same + numbers.unscored == 24
    assert numbers.gain == pytest.approx(sum(pair.gain or 0 for pair in told.pairs) / 24)


def test_a_metrics_interval_is_the_gates_own_where_it_is_the_gates_metric(
    room: Room, decision: Decision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALS_BOOTSTRAP_SAMPLES", str(room.settings.bootstrap_samples))
    told = told_of(room, decision)
    assert told.metrics[0].metric == "chrf"
    assert told.metrics[0].low == pytest.approx(decision.gain_low)
    assert told.metrics[0].high == pytest.approx(decision.gain_high)
    assert {each.metric for each in told.metrics} == {
        name for pair in told.pairs for name in pair.candidate.scores
    }


def test_rules_are_told_by_ticket_and_those_newly_broken_come_first(
    room: Room, decision: Decision
) -> None:
    rules = told_of(room, decision).rules
    assert rules.checked == rules.kept_by_both + rules.only_candidate + rules.only_live + rules.both
    assert {row.ticket for row in rules.broken if row.candidate} == {"t01", "t02"}
    assert {row.ticket for row in rules.broken[:2]} == {"t01", "t02"}
    assert any("for ever" in reason for row in rules.broken for reason in row.candidate)


def test_the_same_facts_have_the_same_hash_and_another_fact_another(
    room: Room, decision: Decision
) -> None:
    first, second = told_of(room, decision), told_of(room, decision)
    assert first.sha256 == second.sha256 == record.fingerprint(first)
    again = ExamRecord.model_validate_json(first.model_dump_json())
    assert again == first and record.fingerprint(again) == first.sha256
    with writing(room.database) as session:
        candidate = adapters.get(session, first.candidate.weights.name)
        adapters.promote(session, room.assistant, candidate, "olga@example.com", "I know better")
    promoted = told_of(room, decision)
    assert promoted.sha256 != first.sha256
    assert promoted.outcome.state == "live" and "although" in promoted.outcome.sentence
    assert [(act.who, act.why) for act in promoted.acts] == [("olga@example.com", "I know better")]
    with writing(room.database) as session:
        adapters.promote(session, room.assistant, None, "jon@example.com", "no")
    assert told_of(room, decision).outcome.state == "was live"


def test_the_page_parses_loads_nothing_and_runs_nothing(room: Room, decision: Decision) -> None:
    source = page.html(told_of(room, decision))
    read = Page(source)
    assert not {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object", "base"}
    for tag, attributes in read.tags:
        assert not {name for name in attributes if name.startswith("on")}, tag
        assert not attributes.keys() & {"src", "srcset", "action", "data", "style", "xlink:href"}
        assert (attributes.get("href") or "#").startswith("#"), "only to places on the page"
    css = source.partition("<style>")[2].partition("</style>")[0]
    assert css == page.style() and "url(" not in css and "@import" not in css
    metas = {one.get("http-equiv"): one.get("content") for tag, one in read.tags if tag == "meta"}
    assert metas["Content-Security-Policy"] == page.policy()
    assert len(source.encode()) < 400_000
    anchors = {one["href"] for tag, one in read.tags if tag == "a"}
    ids = [one["id"] for _, one in read.tags if one.get("id")]
    assert {f"#{each}" for each in ids} >= anchors and len(ids) == len(set(ids))


def test_others_words_are_text_and_steer_nothing(room: Room, decision: Decision) -> None:
    with writing(room.database) as session:
        row = session.get_one(Decision, decision.id)
        row.topics = [{**each, "topic": HOSTILE} for each in row.topics]
        row.reasons, row.losing_topics = [HOSTILE], [HOSTILE]
        row.detail = {"vetoes": [HOSTILE], HOSTILE: {HOSTILE: HOSTILE}, "loose": HOSTILE}
        row.guardrails = [{"metric": HOSTILE, "passed": False, "sentence": HOSTILE}]
        session.add(row)
        candidate = session.get_one(ExamAnswer, _answers(room, decision)[0])
        session.add(Judgement(
            candidate_answer_id=candidate.id, live_answer_id=_answers(room, decision, False)[0],
            judge=HOSTILE[:200], choice=Choice.TIE, reason="",
        ))  # fmt: skip
        for ticket in (session.get_one(ExamAnswer, each) for each in _answers(room, decision)):
            asked = session.get_one(Ticket, ticket.ticket_id)
            asked.context = [{"role": "user", "content": HOSTILE}]
            asked.reference, asked.topic = HOSTILE, HOSTILE[:120]
            session.add(asked)
        owner = assistants.get(session, "shop")
        owner.title = HOSTILE
        session.add(owner)
    source = page.html(told_of(room, decision))
    read = Page(source)
    assert "<script" not in source and "<img" not in source
    assert '<script>alert("x")</script>' in read.text, "it is shown as it was said"
    assert "\u202e" not in source and "\x1b" not in source


def _answers(room: Room, decision: Decision, ours: bool = True) -> list[str]:
    with reading(room.database) as session:
        run = decisions.runs_of(session, decision)[0 if ours else 1]
        from feedback import exams

        return [one.answer.id for one in exams.answers(session, run)]


def test_what_the_gate_wrote_down_beside_the_verdict_is_shown_and_what_is_absent_left_out(
    room: Room, decision: Decision
) -> None:
    with writing(room.database) as session:
        row = session.get_one(Decision, decision.id)  # as decisions were before these columns
        row.alpha, row.evidence, row.guardrails, row.detail = None, None, [], {}
    bare = page.html(told_of(room, decision))
    for heading in ("Guardrails", "Not tolerated", "Budget for wrong", "judging model", "sealed t"):
        assert heading not in bare
    with writing(room.database) as session:
        row = session.get_one(Decision, decision.id)
        row.alpha, row.evidence = 0.004, 312.5
        row.detail = {
            "needed": 250.0,
            "power": {"smallest_gain": 2.25, "more_for": {"1": 340}},
            "budget": {"spent": 0.012, "left": 0.038, "of": 0.05, "days": 365},
            "batching": {"tickets": 4, "differ": 1, "mean_difference": 0.0125},
            "vetoes": ["On ticket 't02' it invents the price 12.50."],
        }
        row.guardrails = [
            {
                "metric": "rouge_l", "title": "ROUGE-L", "candidate": 41.0, "live": 44.5,
                "difference": -3.5, "low": -6.0, "high": -1.0, "margin": 2.0, "passed": False,
                "sentence": "ROUGE-L may be worse by more than 2.",
            }
        ]  # fmt: skip
        row.topics = [
            {**each, "low": -4.5, "high": -1.5, "p": 0.003, "loses": True} for each in row.topics
        ]
        row.losing_topics = ["fees"]
        session.add(row)
    told = told_of(room, decision)
    assert (told.statistics.needed, told.findings) == (
        250.0,
        ["On ticket 't02' it invents the price 12.50."],
    )
    shown = Page(page.html(told)).text
    for words in (
        "Guardrails", "may be worse by more than 2", "invents the price 12.50", "more for, 1", "340",
        "Budget for wrong promotions", "How far batching moves", "312", "250 was needed", "It loses on",
    ):  # fmt: skip
        assert words in shown, words


def test_judges_and_votes_are_counted(room: Room, decision: Decision) -> None:
    ours, theirs = _answers(room, decision), _answers(room, decision, False)
    choices = [Choice.CANDIDATE, Choice.CANDIDATE, Choice.LIVE, None]
    with writing(room.database) as session:
        for mine, other, choice in zip(ours, theirs, choices, strict=False):
            session.add(Judgement(
                candidate_answer_id=mine, live_answer_id=other, judge="j", choice=choice, reason="",
            ))  # fmt: skip
        session.add(JudgeCheck(judge="j", source="votes", pairs=40, agreed=31))
        run, against = decisions.runs_of(session, decision)
        replay = Replay(
            assistant_id=decision.assistant_id, adapter_id=run.adapter_id,
            against_id=against.adapter_id, since=now() - timedelta(days=7), until=now(), most=5,
            requested_by="olga",
        )  # fmt: skip
        session.add(replay)
        session.flush()
        _, said = answered(session, assistants.get(session, "shop"), "And now?")
        turn = ReplayTurn(replay_id=replay.id, message_id=said.id)
        session.add(turn)
        session.flush()
        for author in ("mara", "jon"):
            session.add(Vote(replay_turn_id=turn.id, author=author, choice=Choice.CANDIDATE))
    told = told_of(room, decision)
    [judge], [vote] = told.judges, told.votes
    assert (judge.candidate, judge.tie, judge.live, judge.unreadable) == (2, 0, 1, 1)
    assert (judge.agreed, judge.checked_on) == (31, 40)
    assert (vote.candidate, vote.tie, vote.live, vote.voters) == (2, 0, 0, 2)
    assert "31 of 40 pairs" in page.html(told)


def test_a_record_can_still_be_made_when_files_and_words_are_gone(
    room: Room, decision: Decision
) -> None:
    with writing(room.database) as session:
        for answer_id in _answers(room, decision):
            answer = session.get_one(ExamAnswer, answer_id)
            ticket = session.get_one(Ticket, answer.ticket_id)
            answer.text, ticket.context, ticket.reference = "", [], ""
            session.add_all([answer, ticket])
    told = told_of(room, decision)
    for file in adapters.folder_of(_adapter(room, told)).iterdir():
        file.unlink()
    told = told_of(room, decision)
    assert told.candidate.weights.versions == {} and told.candidate.weights.files == {}
    assert "(erased)" in Page(page.html(told)).text


def _adapter(room: Room, told: ExamRecord) -> Any:
    with reading(room.database) as session:
        return adapters.get(session, told.candidate.weights.name)


def test_a_model_kept_in_a_folder_goes_by_its_name_alone(room: Room, decision: Decision) -> None:
    with writing(room.database) as session:
        candidate = adapters.get(session, told_of(room, decision).candidate.weights.name)
        candidate.base_model = "/srv/secret-place/models/some-model"
        session.add(candidate)
    told = told_of(room, decision)
    assert told.candidate.weights.base_model == "some-model"
    assert "secret-place" not in page.html(told) + told.model_dump_json()


def test_the_command_writes_both_files_and_json_alone_goes_to_standard_output(
    room: Room, decision: Decision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "report.html", tmp_path / "report.json"
    monkeypatch.setattr(commands, "reading", lambda: reading(room.database))
    run = CliRunner().invoke(
        commands.app, ["report", decision.id, "--html", str(files[0]), "--json", str(files[1])]
    )
    assert run.exit_code == 0, run.output
    written = ExamRecord.model_validate_json(files[1].read_text(encoding="utf-8"))
    assert written.sha256 in files[0].read_text(encoding="utf-8")
    run = CliRunner().invoke(commands.app, ["report", decision.id])
    assert json.loads(run.stdout) == written.model_dump(mode="json")
