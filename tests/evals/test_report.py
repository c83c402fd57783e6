"""What people and programs are shown of a decision."""

import pytest
from rich.console import Console, RenderableType

from evals import render, report
from feedback.database import reading
from tests.evals.conftest import ON_SQLITE, Room, examine, reference_answer

pytestmark = ON_SQLITE


def drawn(what: RenderableType) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


@pytest.fixture
def decided(room: Room) -> report.Report:
    """A candidate that knows the answers but for the first ticket, against the base model."""
    room.add_tickets(24)
    candidate = room.publish("good")
    room.engine.says[candidate.name] = lambda question: (
        "[bold]No.[/bold]\x1b[31m \u202e"
        if question.startswith("Question 1:")
        else reference_answer(question)
    )
    decision = examine(room, candidate, None)
    with reading(room.database) as session:
        return report.load(session, decision)


def test_wins_losses_topics_and_reasons_are_drawn(decided: report.Report) -> None:
    text = drawn(render.decision(decided))
    assert report.sentence(decided) in text.replace("\n", " ")
    assert "Best wins, 3 of 23" in text and "Worst losses, 1 of 1" in text
    assert "returns" in text and "fees" in text
    assert "[bold]No.[/bold]" in text, "others' words are no markup"
    assert "\x1b" not in text and "\u202e" not in text, "and do not steer the terminal"
    run_text = drawn(render.run(decided.candidate))
    assert "t01" in run_text and "t24" in run_text and "You have 34 days." in run_text


def test_the_verdict_is_a_sentence_and_the_dict_holds_everything(decided: report.Report) -> None:
    decision, name = decided.decision, decided.candidate.name
    assert report.sentence(decided) == (
        f"{name} may go live in place of base: {decision.gain:+.3g} in chrF on 24 held-out tickets "
        f"(95 % interval {decision.gain_low:+.3g} to {decision.gain_high:+.3g})."
    )
    whole = report.as_dict(decided)
    assert whole["promote"] is True and whole["gate"]["metric"] == "chrf"
    assert whole["tickets"][0]["gain"] >= whole["tickets"][-1]["gain"]
    worst = whole["tickets"][-1]
    assert (worst["ticket"], worst["reference"]) == ("t01", "You have 11 days.")
    assert worst["candidate"]["scores"]["must_say_broken"]["reason"] == "It does not say '11 days'."
    assert whole["candidate"]["means"]["chrf"] > whole["live"]["means"]["chrf"]
    assert sum(topic["tickets"] for topic in whole["topics"]) == 24
