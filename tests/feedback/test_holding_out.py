"""A share of new corrections becomes exam tickets before anyone trains on them, and never after."""

import random
import string
from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, datasets, freezing, holding_out, tickets
from feedback.database import reading, writing
from feedback.tables import Assistant, Ticket
from tests.feedback.said import corrected

NUMBERS = range(80)


def question(number: int) -> str:
    """No two are near-copies of each other."""
    dice = random.Random(number)
    return " ".join("".join(dice.choices(string.ascii_lowercase, k=6)) for _ in range(6)) + "?"


def taught(session: Session, assistant: Assistant, numbers: object = NUMBERS) -> None:
    for number in numbers:  # type: ignore[attr-defined]
        corrected(session, assistant, question(number), f"Answer {number}.", f"customer {number}")


@pytest.fixture
def shop(database_engine: Engine, make_assistant: Callable[..., Assistant]) -> Assistant:
    assistant = make_assistant()
    with writing(database_engine) as session:
        taught(session, assistant)
    return assistant


def customers(made: list[Ticket]) -> set[str]:
    return {ticket.reference for ticket in made}


def test_about_the_share_that_was_asked_for_is_held_out_and_a_part_of_it_sealed(
    database_engine: Engine, shop: Assistant
) -> None:
    made = holding_out.hold_out(database_engine, shop)
    assert 3 <= len(made) <= 21  # 15 % of 80, give or take three deviations
    assert all(ticket.feedback_id and ticket.conversation_id for ticket in made)
    with reading(database_engine) as session:
        sft, *_ = freezing.freeze(session, shop)
        answers = {item.chosen for item in datasets.items(session, sft)}
        assert not answers & customers(made)
        assert len(answers) == len(NUMBERS) - len(made)


def test_the_choice_is_the_same_in_another_order_and_with_other_ids(
    database_engine: Engine, shop: Assistant, make_assistant: Callable[..., Assistant]
) -> None:
    other = make_assistant("other")
    with writing(database_engine) as session:
        taught(session, other, reversed(NUMBERS))
    assert customers(holding_out.hold_out(database_engine, shop)) == customers(
        holding_out.hold_out(database_engine, other)
    )


def test_what_was_frozen_once_is_never_held_out_nor_the_same_twice(
    database_engine: Engine, shop: Assistant
) -> None:
    with writing(database_engine) as session:
        freezing.freeze(session, shop)
    assert holding_out.hold_out(database_engine, shop) == []
    with writing(database_engine) as session:
        taught(session, shop, range(300, 340))
    made = holding_out.hold_out(database_engine, shop)
    assert made and customers(made) <= {f"Answer {number}." for number in range(300, 340)}
    assert holding_out.hold_out(database_engine, shop) == []


def test_a_customer_who_taught_before_gives_no_ticket_later(
    database_engine: Engine, shop: Assistant
) -> None:
    with writing(database_engine) as session:
        freezing.freeze(session, shop)
        for number in NUMBERS:
            corrected(
                session, shop, question(number + 500), f"Answer {number}, again.", f"customer {number}"
            )  # fmt: skip
    assert holding_out.hold_out(database_engine, shop) == []


@pytest.mark.parametrize(("percent", "some", "all_"), [(0, 0, 0), (50, 1, 0), (100, 1, 1)])
def test_a_part_of_them_is_sealed(
    database_engine: Engine, shop: Assistant, percent: float, some: bool, all_: bool
) -> None:
    with writing(database_engine) as session:
        rules = {"held_out_percent": 50, "sealed_percent": percent}
        assistants.change(session, shop, learning=rules)
        shop = session.get_one(Assistant, shop.id)
    sealed = [ticket.sealed for ticket in holding_out.hold_out(database_engine, shop)]
    assert (any(sealed), all(sealed)) == (some, all_)


@pytest.mark.parametrize(
    "rules", [{"held_out_percent": 0}, {"held_out_most": 0}, {"held_out_most": 4}]
)
def test_the_share_and_the_number_have_limits(
    database_engine: Engine, shop: Assistant, rules: dict[str, float]
) -> None:
    with writing(database_engine) as session:
        assistants.change(session, shop, learning=rules)
        shop = session.get_one(Assistant, shop.id)
    made = holding_out.hold_out(database_engine, shop)
    assert len(made) == rules.get("held_out_most", 0)


def test_what_many_ask_is_learned_and_not_held_out(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    assistant = make_assistant()
    with writing(database_engine) as session:
        for number in range(40):
            asked = f"Where is my parcel, the one with number {number}?"
            corrected(session, assistant, asked, f"On its way, {number}.", f"customer {number}")
        taught(session, assistant)
    made = holding_out.hold_out(database_engine, assistant)
    assert made and not any("parcel" in ticket.context[-1]["content"] for ticket in made)


def test_a_dry_choice_makes_nothing(database_engine: Engine, shop: Assistant) -> None:
    with reading(database_engine) as session:
        assert holding_out.choose(session, shop)
        assert tickets.every(session, shop) == []
