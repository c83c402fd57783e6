"""Held-out tickets: well formed, named once, retired but never lost."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import probes, tickets
from feedback.database import writing
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import Assistant, Expects, TicketOrigin
from tests.feedback.said import NIGHT

CONTEXT = [{"role": "user", "content": NIGHT}]


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ([], "is empty"),
        ([{"role": "user"}], "Turn 1 is"),
        (["hello"], "Turn 1 is 'hello'"),
        ([{"role": "system", "content": "x"}], "role 'system'"),
        ([*CONTEXT, {"role": "user", "content": " "}], "text of turn 2 is empty"),
        ([{"role": "user", "content": 5}], "Turn 1 says 5; expected text"),
        ([*CONTEXT, {"role": "assistant", "content": "x"}], "last turn is the assistant's"),
    ],
)
def test_a_context_that_is_no_exam_question_is_refused_naming_the_turn(
    context: list[Any], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        tickets.check_context(context)


def test_a_name_is_taken_once_per_assistant(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        tickets.create(session, shop, "t1", CONTEXT, "Air it.")
        tickets.create(session, bakery, "t1", CONTEXT, "Bake it.")
        with pytest.raises(Conflict, match="'t1' exists already for 'shop'"):
            tickets.create(session, shop, "t1", CONTEXT, "Wash it.")


def test_a_retired_ticket_leaves_the_exam_and_stays_on_record(
    assistant: Assistant, session: Session
) -> None:
    for name in ("t2", "t1"):
        tickets.create(session, assistant, name, CONTEXT, "Air it.", ["air"], [], customer="wren")
    tickets.retire(session, tickets.get(session, assistant, "t1"))
    assert [ticket.external_id for ticket in tickets.held_out(session, assistant)] == ["t2"]
    assert [ticket.external_id for ticket in tickets.every(session, assistant)] == ["t1", "t2"]
    with pytest.raises(NotFound, match="tickets list"):
        tickets.get(session, assistant, "t3")


def test_probes_are_added_once_and_a_retired_one_stays_so(
    assistant: Assistant, session: Session
) -> None:
    made = probes.add(session, assistant)
    assert len(made) == len(probes.built_in()) >= 20
    assert {ticket.origin for ticket in made} == {TicketOrigin.PROBE}
    assert {ticket.expects for ticket in made} == {Expects.ANSWER, Expects.REFUSAL}
    tickets.retire(session, made[0])
    assert probes.add(session, assistant) == []
    assert len(tickets.held_out(session, assistant)) == len(made) - 1


def test_what_a_ticket_expects_is_one_of_three() -> None:
    assert tickets.expected(" Refusal ") == Expects.REFUSAL
    with pytest.raises(Invalid, match="Found 'maybe', expected one of 'answer', 'handover'"):
        tickets.expected("maybe")
