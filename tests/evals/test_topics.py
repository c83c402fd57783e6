"""Exams ask what a question is about, where the assistant has topics and the ticket one of them."""

from collections.abc import Sequence

from evals import report
from feedback import assistants, exams
from feedback.assistants import Gate
from feedback.database import reading, writing
from feedback.errors import Unavailable
from feedback.tables import Assistant, EvalRun
from tests.evals.conftest import ON_SQLITE, Room, examine, reference_answer, sit

pytestmark = ON_SQLITE


def give_topics(room: Room, *topics: str) -> None:
    with writing(room.database) as session:
        assistants.change(session, room.assistant, topics=list(topics))
    with reading(room.database) as session:
        room.assistant = session.get_one(Assistant, room.assistant.id)


def chosen(room: Room, of: EvalRun) -> list[tuple[str | None, str | None]]:
    with reading(room.database) as session:
        return [(each.ticket.topic, each.answer.topic) for each in exams.answers(session, of)]


def test_the_topic_is_asked_in_words_and_kept_as_the_assistant_calls_it(room: Room) -> None:
    room.add_tickets(2)
    give_topics(room, "returns", "fees", "opening_hours")
    offered: list[list[str]] = []

    def last(question: str, choices: Sequence[str]) -> str:
        offered.append(list(choices))
        return choices[-1]

    room.engine.chooses = last
    assert chosen(room, sit(room, None)) == [
        ("returns", "opening_hours"),
        ("fees", "opening_hours"),
    ]
    assert offered == 2 * [["returns", "fees", "opening hours"]]


def test_a_ticket_of_a_topic_that_is_not_on_the_list_is_not_asked(room: Room) -> None:
    room.add_tickets(2)
    give_topics(room, "fees")
    assert chosen(room, sit(room, None)) == [("returns", None), ("fees", "fees")]


def test_an_assistant_without_topics_is_asked_for_none(room: Room) -> None:
    room.add_tickets(2)
    assert chosen(room, sit(room, None)) == [("returns", None), ("fees", None)]


def test_an_engine_that_cannot_choose_costs_the_topic_and_not_the_answer(room: Room) -> None:
    def refuses(question: str, choices: object) -> str:
        raise Unavailable("no grammar here", 1)

    room.add_tickets(2)
    give_topics(room, "returns", "fees")
    room.engine.chooses = refuses
    finished = sit(room, None)
    assert chosen(room, finished) == [("returns", None), ("fees", None)]
    with reading(room.database) as session:
        assert all(each.answer.error is None for each in exams.answers(session, finished))


def test_a_runs_report_has_the_matrix(room: Room) -> None:
    room.add_tickets(3)  # two about returns, one about fees
    give_topics(room, "returns", "fees")
    room.engine.chooses = lambda question, choices: "returns"
    finished = sit(room, None)
    with reading(room.database) as session:
        told = report.run_as_dict(report.load_run(session, session.get_one(EvalRun, finished.id)))
    found = told["choices"]["topics"]
    assert [each["name"] for each in found["classes"]] == ["fees", "returns"]
    assert found["matrix"] == [[0, 1], [0, 2]]
    assert found["accuracy"] == 2 / 3
    assert told["choices"]["handovers"] is None
    assert [each["chosen_topic"] for each in told["answers"]] == ["returns"] * 3


def test_a_topic_that_could_not_be_chosen_has_no_value_and_passes_no_guardrail(room: Room) -> None:
    def refuses(question: str, choices: object) -> str:
        raise Unavailable("no grammar here", 1)

    room.add_tickets(24)
    give_topics(room, "returns", "fees")
    with writing(room.database) as session:
        gate = Gate(guardrails={"topic_wrong": 0.05})
        assistants.change(session, room.assistant, gate=gate.model_dump())
    candidate = room.publish("good")
    room.engine.says[candidate.name] = reference_answer
    room.engine.chooses = refuses
    decision = examine(room, candidate, None)
    assert not decision.promote
    assert "could not be scored by topic_wrong for the candidate." in decision.reasons[0]
