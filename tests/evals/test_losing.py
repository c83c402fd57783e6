"""Losses by topic: the tests are those of the libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from evals.losing import holm, p_loss


@pytest.mark.parametrize("margin", [0.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_p_value_is_scipys(seed: int, margin: float) -> None:
    values = np.random.default_rng(seed).normal(-2, 5, 12)
    expected = stats.ttest_1samp(values, -margin, alternative="less").pvalue
    assert p_loss(values, margin) == pytest.approx(expected)


def test_equal_losses_leave_no_doubt_and_equal_scores_none_either() -> None:
    assert p_loss(np.full(5, -3.0)) == 0.0
    assert p_loss(np.zeros(5)) == p_loss(np.full(5, 3.0)) == 1.0


def test_one_customer_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="found 1 customers"):
        p_loss(np.array([-3.0]))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_step_down_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
