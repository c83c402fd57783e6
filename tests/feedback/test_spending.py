"""The year's chance: never more than promised, whatever is tried."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.spending import Budget, part

promises = st.floats(0.001, 0.5)
plans = st.integers(1, 400)


@given(promises, plans)
def test_however_many_looks_their_parts_add_up_to_the_promise_at_most(
    of: float, planned: int
) -> None:
    assert sum(part(of, planned, number) for number in range(1000)) <= of * (1 + 1e-9)


@given(promises, plans)
def test_no_look_gets_more_than_the_one_before(of: float, planned: int) -> None:
    parts = [part(of, planned, number) for number in range(500)]
    assert all(later <= earlier for earlier, later in pairwise(parts))
    assert parts[-1] > 0, "there is always a chance left, however small"


@given(promises, plans, st.integers(0, 500))
def test_spent_and_left_are_the_whole(of: float, planned: int, refused: int) -> None:
    spent = sum(part(of, planned, number) for number in range(refused))
    budget = Budget(of, planned, 365, refused, spent)
    assert budget.spent + budget.left == pytest.approx(of)
    assert budget.next == pytest.approx(part(of, planned, refused)), (
        "as planned, as long as the plan is"
    )


@given(st.lists(st.tuples(promises, plans), min_size=1, max_size=60))
def test_whatever_is_planned_anew_within_the_year_no_more_than_the_promise_is_spent(
    plans: list[tuple[float, int]],
) -> None:
    """The largest promise there was in the year, that is."""
    spent = 0.0
    for refused, (of, planned) in enumerate(plans):
        budget = Budget(of, planned, 365, refused, spent)
        assert budget.next <= budget.left / 2 + 1e-12
        spent += budget.next
    assert spent <= max(of for of, _ in plans)


def test_nothing_is_left_where_less_is_promised_than_was_spent() -> None:
    assert Budget(0.01, 52, 365, refused=20, spent=0.02).next == 0


def test_a_promotion_gives_its_part_back_and_is_still_expected_to_err() -> None:
    before = Budget(0.05, 52, 365, refused=10, spent=0.0096)
    after = Budget(0.05, 52, 365, refused=10, spent=0.0096, promoted=3, spent_on_promoted=0.003)
    assert (after.next, after.left) == (before.next, before.left)
    assert after.expected_wrong == pytest.approx(before.expected_wrong + 0.003)
