"""Reliability: what people were made to be is found again from their verdicts alone."""

from itertools import pairwise

import numpy as np
import pytest

from feedback import reliability
from feedback.agreement import CLASSES, Twice
from feedback.desk_tables import Verdict
from feedback.disputes import Judged
from feedback.tables import now
from tests.feedback.test_agreement import twice

ACCURACIES = {"ada": 0.98, "ben": 0.9, "cleo": 0.8, "dan": 0.7, "eve": 0.55}
SHARES = (0.45, 0.4, 0.15)


def simulated(items: int, seed: int = 3) -> tuple[list[Twice], list[Verdict]]:
    """Answers seen by two of five people, and by a third where the two disagree; and the truth."""
    random = np.random.default_rng(seed)
    names = list(ACCURACIES)
    found, truth = [], []
    for number in range(items):
        right = int(random.choice(3, p=SHARES))
        said: list[Judged] = []
        for name in random.permutation(names)[:3]:
            if len(said) == 2 and said[0].verdict == said[1].verdict:
                break
            is_right = random.random() < ACCURACIES[name]
            made = right if is_right else (right + int(random.integers(1, 3))) % 3
            said.append(Judged(str(name), CLASSES[made], "", now()))
        found.append(Twice(f"m{number}", said))
        truth.append(CLASSES[right])
    return found, truth


def test_known_accuracies_are_found_again_and_lie_in_their_intervals() -> None:
    found = {one.author: one for one in reliability.people(simulated(1200)[0])}
    for name, accuracy in ACCURACIES.items():
        one = found[name]
        assert one.accuracy is not None and one.low is not None and one.high is not None
        assert one.accuracy == pytest.approx(accuracy, abs=0.06)
        assert one.low - 0.01 <= accuracy <= one.high + 0.01
        assert one.low < one.accuracy < one.high
    ranked = sorted(found.values(), key=lambda one: -(one.accuracy or 0))
    assert [one.author for one in ranked] == list(ACCURACIES)


@pytest.mark.parametrize("items", [1, 12, 300])
def test_no_round_makes_the_fit_worse_and_every_probability_is_one(items: int) -> None:
    votes, _ = reliability.votes_of(simulated(items)[0])
    fitted = reliability.fit(votes)
    assert all(after >= before - 1e-9 for before, after in pairwise(fitted.objective))
    assert len(fitted.objective) < reliability.ROUNDS
    np.testing.assert_allclose(fitted.truth.sum(axis=1), 1)
    assert ((fitted.accuracy > 0) & (fitted.accuracy < 1)).all()


def test_intervals_of_simulated_people_hold_the_truth_about_as_often_as_they_say() -> None:
    held = []
    for seed in range(20):
        for one in reliability.people(simulated(150, seed)[0]):
            assert one.low is not None and one.high is not None
            held.append(one.low <= ACCURACIES[one.author] <= one.high)
    assert 0.85 <= sum(held) / len(held) <= 1


def test_few_answers_give_no_figure_and_a_few_more_one_near_the_prior() -> None:
    few = reliability.people(twice(*[("a", "a")] * (reliability.FEWEST_ITEMS - 1)))
    assert [one.accuracy for one in few] == [None, None]
    assert [one.items for one in few] == [9, 9]
    enough = reliability.people(twice(*[("a", "a")] * reliability.FEWEST_ITEMS))
    for one in enough:  # ten of ten are no proof of perfection
        assert one.accuracy is not None and one.low is not None
        assert 0.8 < one.accuracy < 1 and one.low < 0.85
    assert reliability.people([]) == []


def test_agreement_with_others_counts_what_the_others_said_of_the_same_answers() -> None:
    mara, nils = reliability.people(twice(("a", "a"), ("c1", "c1"), ("c1", "c2"), ("a", "f")))
    assert (mara.author, mara.items, mara.agreed, mara.others) == ("mara", 4, 2, 4)
    assert (nils.agreed, nils.others) == (2, 4)


def test_noise_is_the_share_of_corrections_of_answers_that_were_right() -> None:
    items, truth = simulated(1500)
    upside_down = [
        right == Verdict.APPROVED
        for item, right in zip(items, truth, strict=True)
        for one in item.judged[:2]
        if one.verdict == Verdict.CORRECTED
    ]
    found = reliability.noise(items)
    assert found.corrections == len(upside_down)
    assert found.epsilon == pytest.approx(sum(upside_down) / len(upside_down), abs=0.03)
    assert 0 < (found.epsilon or 0) <= reliability.MOST_NOISE


def test_noise_is_not_estimated_from_few_corrections() -> None:
    assert reliability.noise(twice(*[("c1", "c1")] * 14)).epsilon is None
    assert reliability.noise(twice(*[("c1", "c1")] * 15)).epsilon is not None
    assert reliability.noise([]).epsilon is None


def test_the_order_of_answers_changes_nothing() -> None:
    items, _ = simulated(60)
    assert reliability.noise(items) == reliability.noise(items[::-1])
    for one, other in zip(reliability.people(items), reliability.people(items[::-1]), strict=True):
        assert one.accuracy == pytest.approx(other.accuracy, abs=1e-6)
