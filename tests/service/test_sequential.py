"""The evidence of a canary: what holds for every history, and how often it errs in made-up trials."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feedback.errors import Invalid
from service.sequential import Evidence, Signal, Step, fold

shares = st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.8])
steps = st.builds(Step, share=shares, candidate=st.booleans(), bad=st.booleans())
histories = st.lists(steps, max_size=80)
margins = st.sampled_from([0.0, 0.01, 0.05, 0.3])
rates = st.floats(0, 1)


def told(history: list[Step], margin: float) -> Signal:
    signal = Signal(margin)
    for step in history:
        signal.step(step.share, step.candidate, step.bad)
    return signal


def expected(
    history: list[Step], side: str, margin: float, share: float, candidate: float, control: float
) -> float:
    """The wealth to be expected after one more conversation, with these rates of bad ones."""
    chances = {
        Step(share, True, True): share * candidate,
        Step(share, True, False): share * (1 - candidate),
        Step(share, False, True): (1 - share) * control,
        Step(share, False, False): (1 - share) * (1 - control),
    }
    return sum(
        chance * told([*history, step], margin).wealth(side) for step, chance in chances.items()
    )


@given(histories, margins, shares, rates, rates)
def test_no_bet_gains_on_average_where_what_it_bets_against_is_true(
    history: list[Step], margin: float, share: float, candidate: float, control: float
) -> None:
    """The whole guarantee: at any time, whatever came before, whatever the rates are just now."""
    difference = candidate - control
    refuted = {
        "worse": difference > margin,
        "no worse": difference < margin,
        "better": difference < 0,
    }
    for side, is_refuted in refuted.items():
        if not is_refuted:
            now = told(history, margin).wealth(side)
            after = expected(history, side, margin, share, candidate, control)
            assert after <= now * (1 + 1e-9)


@given(margins, shares, st.floats(0, 0.3), st.floats(0.01, 0.4))
def test_bets_gain_on_average_where_the_margin_is_passed(
    margin: float, share: float, control: float, beyond: float
) -> None:
    """None of the guarantee comes from not betting."""
    assert expected([], "worse", margin, share, control + margin + beyond, control) > 1


@given(histories, margins)
def test_wealth_is_never_negative_and_the_estimate_lies_in_its_interval(
    history: list[Step], margin: float
) -> None:
    found = fold(history, margin)
    assert 0 <= found.wealth_worse <= found.peak_worse
    assert -1 <= found.low <= found.mean <= found.high <= 1
    assert found.candidate + found.control == found.conversations == len(history)


@given(histories, margins, st.integers(0, 80))
def test_folding_a_history_is_stepping_through_it(
    history: list[Step], margin: float, cut: int
) -> None:
    signal = told(history[:cut], margin)
    signal.evidence()
    for step in history[cut:]:
        signal.step(step.share, step.candidate, step.bad)
    assert signal.evidence() == fold(history, margin)


@given(histories)
def test_a_wider_margin_leaves_less_evidence(history: list[Step]) -> None:
    wealths = [fold(history, margin).wealth_worse for margin in (0.0, 0.01, 0.05, 0.3, 0.9)]
    assert all(wide <= narrow * (1 + 1e-9) for narrow, wide in pairwise(wealths))


@given(histories, margins)
def test_the_interval_and_the_wealth_say_the_same(history: list[Step], margin: float) -> None:
    """They are computed apart, step by step and from a tally; the margin is left when wealth says so."""
    alpha = 0.5  # so that short histories refute something
    found = fold(history, margin, alpha)
    assume(abs(found.wealth_worse - 2 / alpha) > 1e-3)
    assume(abs(found.low - margin) > 1e-4)
    assert (found.wealth_worse > 2 / alpha) == (found.low > margin)


@given(histories)
def test_swapping_the_arms_turns_worse_into_better(history: list[Step]) -> None:
    swapped = [Step(1 - step.share, not step.candidate, step.bad) for step in history]
    assert told(swapped, 0.0).wealth("worse") == pytest.approx(told(history, 0.0).wealth("better"))


def trial(
    dice: random.Random, share: float, control: float, candidate: float, count: int
) -> list[Step]:
    arms = [dice.random() < share for _ in range(count)]
    return [Step(share, arm, dice.random() < (candidate if arm else control)) for arm in arms]


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize(("control", "candidate", "margin"), [(0.1, 0.1, 0.0), (0.02, 0.07, 0.05)])
def test_an_equal_candidate_or_one_at_the_margin_is_rarely_called_worse(
    share: float, control: float, candidate: float, margin: float
) -> None:
    dice = random.Random(11)
    runs = [told(trial(dice, share, control, candidate, 200), margin) for _ in range(200)]
    alarms = sum(signal.peak("worse") >= 20 for signal in runs)
    assert alarms <= 10  # 5 % of 200, expected far fewer


def test_the_intervals_hold_the_truth_all_along() -> None:
    dice = random.Random(12)
    missed = 0
    for _ in range(60):
        signal, left = Signal(0.0), False
        for number, step in enumerate(trial(dice, 0.4, 0.1, 0.25, 240)):
            signal.step(step.share, step.candidate, step.bad)
            if number % 60 == 59:
                found = signal.evidence()
                left = left or not found.low <= 0.15 <= found.high
        missed += left
    assert missed <= 6  # 5 % of 60 and what chance may add
    assert found.high - found.low < 0.4  # and they are not simply wide


def test_a_glaring_difference_is_found_in_a_hundred_conversations() -> None:
    dice = random.Random(13)
    runs = [told(trial(dice, 0.5, 0.05, 0.6, 100), 0.02) for _ in range(50)]
    assert all(signal.peak("worse") >= 20 for signal in runs)


def test_a_candidate_much_better_is_seen_to_be_better_and_no_worse() -> None:
    found = fold(trial(random.Random(14), 0.5, 0.4, 0.1, 400), 0.02)
    assert found.peak_better >= 20 and found.peak_no_worse >= 20 and found.high < 0


def test_long_trials_stay_within_what_can_be_stored() -> None:
    glaring = [Step(0.5, number % 2 == 0, number % 2 == 0) for number in range(20_000)]
    assert fold(glaring, 0.0).peak_worse == 1e300
    good = [replace(step, bad=not step.candidate) for step in glaring]
    assert fold(good, 0.0).wealth_worse < 1e-300
    assert fold(good, 0.0).high == pytest.approx(-1, abs=0.01)


def test_without_a_conversation_nothing_is_known() -> None:
    assert fold([], 0.02) == Evidence(0, 0, 0, 0, 1.0, 1.0, 1.0, 1.0, 0.0, -1.0, 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(share: float) -> None:
    with pytest.raises(Invalid, match=r"Found the share .*, expected one between 0 and 1"):
        fold([Step(share, True, True)], 0.0)


@pytest.mark.parametrize("margin", [-0.01, 1.0, float("nan")])
def test_a_margin_that_is_no_difference_of_rates_is_refused(margin: float) -> None:
    with pytest.raises(Invalid, match="Found the margin"):
        fold([], margin)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan")])
def test_a_chance_of_false_alarms_of_none_or_all_is_refused(alpha: float) -> None:
    with pytest.raises(Invalid, match="chance of a false alarm"):
        fold([], 0.0, alpha)
