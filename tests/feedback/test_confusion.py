"""Figures of right and wrong choices, against what libraries and by-hand sums say."""

import random

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from statsmodels.stats.inter_rater import cohens_kappa

from feedback.confusion import Confusion

PAIRS = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15


def test_a_known_table() -> None:
    """The example of Cohen's kappa that textbooks give: 0.4."""
    found = Confusion(PAIRS)
    assert found.matrix == [[20, 5], [10, 15]]
    assert found.accuracy == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    a, b = found.by_class
    assert [a.precision, a.recall] == pytest.approx([2 / 3, 0.8])
    assert [b.precision, b.recall] == pytest.approx([0.75, 0.6])
    assert found.macro_f1 == pytest.approx((8 / 11 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(20))
def test_matrix_and_kappa_are_scipys_and_statsmodels(seed: int) -> None:
    dice = random.Random(seed)
    classes = "abcde"[: dice.randint(2, 5)]
    pairs = [
        (e := dice.choice(classes), e if dice.random() < 0.6 else dice.choice(classes))
        for _ in range(dice.randint(20, 200))
    ]
    found = Confusion(pairs, classes)
    places = np.array([[classes.index(one) for one in pair] for pair in pairs])
    ones = np.ones(len(pairs), int)
    size = (len(classes), len(classes))
    theirs = coo_matrix((ones, (places[:, 0], places[:, 1])), shape=size).toarray()
    assert found.matrix == theirs.tolist()
    assert found.kappa == pytest.approx(cohens_kappa(theirs).kappa, abs=1e-12)


def test_what_is_not_defined_is_none_and_never_zero() -> None:
    found = Confusion([("a", "a"), ("a", "b")], classes=["a", "b", "c"])
    _, b, c = found.by_class
    assert (b.recall, b.precision) == (None, 0.0)
    assert (c.precision, c.recall, c.f1) == (None, None, None)
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    nothing = Confusion([])
    assert (nothing.accuracy, nothing.macro_f1, nothing.kappa) == (None, None, None)
    assert Confusion([("a", "a")]).kappa is None
