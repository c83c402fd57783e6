"""Exam answers are traced to the corrections whose words they repeat, with what that gained."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import adapters, decisions, exams, freezing, influence, tickets
from feedback.assistants import gate_of
from feedback.tables import Adapter, Assistant
from tests.feedback.said import built_adapter, corrected

AIR = "Air it for a day in the shade, then bring it to the Drip Bench for a new coat."
DUCK = "Only in duck yellow, and only until the moon is full again, sorry about that."


@pytest.fixture
def examined(assistant: Assistant, session: Session, tmp_path: Path) -> Adapter:
    corrected(session, assistant, "My tent smells of wet dog.", AIR, "wren", author="mara")
    corrected(session, assistant, "Do you have red clogs?", DUCK, "otis", author="nils")
    for number in range(4):
        question = f"Exam question {'abcd'[number] * 8}?"
        tickets.create(
            session, assistant, f"t{number}", [{"role": "user", "content": question}], "x"
        )
    learned = list(freezing.freeze(session, assistant)[:2])
    adapter = adapters.publish(session, assistant, built_adapter(tmp_path / "a"), learned, {}, {})
    ours, theirs = exams.open_runs(session, assistant, [adapter, None], None)
    said = [AIR, AIR.replace("a day", "two days"), DUCK, "Something else entirely, of its own."]
    for ticket, text in zip(exams.tickets_of(session, ours), said, strict=True):
        for run, words, value in ((ours, text, 50.0), (theirs, "I do not know.", 30.0)):
            score = {"metric": "chrf", "value": value, "reason": ""}
            exams.keep(session, run, ticket, words, 3, 5, None, [score])
    decisions.record(
        session, assistant, ours, theirs, gate_of(assistant), promote=True, reasons=[], metric="chrf",
        tickets=4,
    )  # fmt: skip
    return adapter


def test_the_row_that_most_answers_repeat_comes_first(session: Session, examined: Adapter) -> None:
    found = influence.influences(session, examined)
    assert [(each.row.chosen, len(each.tickets)) for each in found] == [(AIR, 2), (DUCK, 1)]
    assert [[word.author for word, _ in each.sources] for each in found] == [["mara"], ["nils"]]
    assert [each.gain for each in found] == [20.0, 20.0]
    assert influence.influences(session, examined, limit=1)[0].row.chosen == AIR


def test_an_adapter_without_an_exam_has_none(
    database_engine: Engine, assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    adapter = adapters.publish(session, assistant, built_adapter(tmp_path / "b"), [], {}, {})
    assert influence.influences(session, adapter) == []
