"""Looks at the held-out tickets, as the database has them."""

from datetime import timedelta

import pytest
from sqlmodel import Session

from feedback import assistants, decisions, exams, looks
from feedback.assistants import Gate
from feedback.tables import Assistant, Decision, now


@pytest.fixture
def shop(session: Session) -> Assistant:
    return assistants.create(session, "shop", "Shop", "embedded", "Be kind.", "test")


def look(
    session: Session, shop: Assistant, promote: bool, alpha: float | None = 0.001, days_ago: int = 0
) -> Decision:
    ours, theirs = exams.open_runs(session, shop, [None, None], None)
    made = decisions.record(
        session, shop, ours, theirs, Gate(), promote=promote, reasons=[], metric="chrf", tickets=0,
        alpha=alpha, evidence=3.0,
    )  # fmt: skip
    made.created_at = now() - timedelta(days=days_ago)
    session.flush()
    return made


def test_refused_looks_spend_and_promoted_ones_give_back(session: Session, shop: Assistant) -> None:
    before = looks.budget_of(session, shop)
    assert before.refused == 0 and before.left == pytest.approx(0.05)
    look(session, shop, promote=False)
    look(session, shop, promote=False)
    look(session, shop, promote=True, alpha=0.0009)
    found = looks.budget_of(session, shop)
    assert (found.refused, found.promoted) == (2, 1)
    assert found.spent_on_promoted == pytest.approx(0.0009)
    assert found.left == pytest.approx(0.048)


def test_a_plan_for_more_candidates_buys_no_second_year(session: Session, shop: Assistant) -> None:
    """Nightly instead of weekly ones, said when the year's chance is nearly spent."""
    for _ in range(49):
        look(session, shop, promote=False)
    found = looks.budget_of(session, shop, Gate(candidates_planned=365))
    assert found.spent == pytest.approx(0.049)
    assert found.left == pytest.approx(0.001)
    assert found.next == pytest.approx(0.05 / 365)
    assert looks.budget_of(session, shop, Gate(wrong_promotions=0.04)).next == 0


def test_what_was_no_look_or_is_long_ago_costs_nothing(session: Session, shop: Assistant) -> None:
    look(session, shop, promote=False, alpha=None)
    look(session, shop, promote=False, days_ago=400)
    assert looks.budget_of(session, shop).refused == 0
    assert [each.counts for each in looks.every(session, shop)] == [False]
    assert looks.free_again(looks.every(session, shop), 365) is None


def test_the_oldest_part_comes_back_when_its_days_are_over(
    session: Session, shop: Assistant
) -> None:
    old = look(session, shop, promote=False, days_ago=100)
    look(session, shop, promote=False, days_ago=5)
    every = looks.every(session, shop)
    assert [each.counts for each in every] == [True, True]
    assert looks.free_again(every, 365) == old.created_at + timedelta(days=365)


def test_another_assistant_has_a_budget_of_its_own(session: Session, shop: Assistant) -> None:
    bakery = assistants.create(session, "bakery", "Bakery", "embedded", "You sell bread.", "test")
    look(session, shop, promote=False)
    assert looks.budget_of(session, bakery).refused == 0
