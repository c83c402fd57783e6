"""What a run chose, from its stored answers."""

from feedback.choices import choices
from feedback.confusion import Confusion
from feedback.desk import Desk
from feedback.exams import Answered
from feedback.tables import ExamAnswer, Expects, Ticket

CANNOT = "I'm sorry, I can't help with that."


def answered(
    topic: str | None = None,
    chosen: str | None = None,
    expects: Expects = Expects.ANSWER,
    text: str = "Forty days.",
    asked: str = "How long?",
    error: str | None = None,
) -> Answered:
    ticket = Ticket(
        assistant_id="a",
        external_id="t",
        topic=topic,
        context=[{"role": "user", "content": asked}],
        reference="Forty days.",
        expects=expects,
    )
    answer = ExamAnswer(
        eval_run_id="r", ticket_id="t", text=text, completion_tokens=2, latency_ms=1, error=error,
        topic=chosen,
    )  # fmt: skip
    return Answered(ticket, answer, [])


def test_a_topic_counts_where_the_ticket_has_one_and_the_model_was_asked() -> None:
    found = choices(
        [
            answered("returns", "returns"),
            answered("returns", "shipping"),
            answered("returns"),
            answered(None, "returns"),
            answered("returns", "returns", error="no answer"),
        ],
        Desk(),
    ).topics
    assert found is not None
    assert (found.total, found.accuracy) == (2, 0.5)


def test_a_hand_over_is_what_the_desk_makes_of_the_exchange() -> None:
    found = choices(
        [
            answered(expects=Expects.HANDOVER, text=CANNOT),
            answered(expects=Expects.HANDOVER, asked="May I talk to a person?"),
            answered(expects=Expects.HANDOVER),
            answered(text=CANNOT),
            answered(),
            answered(expects=Expects.REFUSAL, text=CANNOT),
        ],
        Desk(),
    ).handovers
    assert found is not None and found.classes == ["answer", "handover"]
    assert found.matrix == [[1, 1], [1, 2]]


def test_without_anything_to_choose_there_is_nothing_to_show() -> None:
    found = choices([answered(), answered(text="Ask Mara.")], Desk())
    assert found.as_dict() == {"topics": None, "handovers": None}


def test_a_hand_over_nobody_asked_for_is_shown_even_where_no_ticket_expects_one() -> None:
    assert choices([answered(text=CANNOT)], Desk()).handovers is not None


def test_the_means_leave_out_what_has_no_figure() -> None:
    found = choices([answered("a", "a"), answered("a", "b")], Desk()).as_dict()["topics"]
    assert found["macro_precision"] == 0.5  # of a: 1, of b: 0
    assert found["macro_recall"] == 0.5  # b was never expected
    assert Confusion([]).accuracy is None
