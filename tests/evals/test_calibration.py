"""Agreement, kappa and bias: a library's figures on the same data, and known biases found."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, to_table
from statsmodels.stats.proportion import proportion_confint

from evals import calibration, judge
from evals.blind import Judged
from evals.calibration import Figures, Verdict, figures, kappa, pulled, share
from evals.settings import EvalsSettings
from feedback.exam_tables import Choice
from feedback.judgements import Preferred, Why
from feedback.redaction import Redactor
from tests.scripted_judge import Habit, ScriptedJudge, longer, placed, scripted_judge

PAIRS = st.lists(st.tuples(st.sampled_from(Choice), st.sampled_from(Choice)), min_size=1)
CLASSES = {choice: number for number, choice in enumerate(Choice)}


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_is_wilsons_as_statsmodels_has_it(counts: tuple[int, int]) -> None:
    found = share(*counts)
    low, high = proportion_confint(*counts, method="wilson")
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)


@given(PAIRS)
def test_kappa_is_cohens_as_statsmodels_has_it(pairs: list[tuple[Choice, Choice]]) -> None:
    found = kappa(pairs)
    if len({word for pair in pairs for word in pair}) == 1:
        assert found is None
        return
    numbers = [[CLASSES[one], CLASSES[other]] for one, other in pairs]
    table, _ = to_table(numbers, bins=3)
    assert found == pytest.approx(cohens_kappa(table, return_results=False), abs=1e-9)


def test_kappa_of_nothing_is_none() -> None:
    assert kappa([]) is None
    assert share(0, 0).value is None
    assert pulled(0, 0, 0) is None


@given(st.lists(st.tuples(st.sampled_from(Choice), st.sampled_from(Why)), max_size=60))
def test_the_counts_add_up(said: list[tuple[Choice, Why]]) -> None:
    found = figures([_verdict(people, why) for people, why in said])
    assert found.asked == len(said) == found.scored + found.unreadable
    assert found.position_driven <= found.ties <= found.scored
    assert found.agreement.of <= found.scored - found.ties
    if found.pull is not None and found.pull_low is not None and found.pull_high is not None:
        assert -1 <= found.pull_low <= found.pull_high <= 1


def _verdict(people: Choice, why: Why) -> Verdict:
    choice = {Why.SAME: Choice.LIVE, Why.UNREADABLE: None, Why.NO_ANSWER: None}
    return Verdict(people, Judged(choice.get(why, Choice.TIE), why))


def pairs_of(count: int) -> list[Preferred]:
    """Two of three times the longer answer is preferred."""
    asked = [{"role": "user", "content": "How?"}]
    return [
        Preferred(f"pair {n}", asked, *(("so" * 9 + str(n), str(n)) if n % 3 else ("y", f"no {n}")))
        for n in range(count)
    ]


def checked(habit: Habit, pairs: list[Preferred]) -> Figures:
    async def go(url: str) -> Figures:
        told = EvalsSettings(judge_url=url, judge_model="scripted", judge_redact=False)
        async with judge.opened(told, Redactor({})) as asked:
            return figures(await calibration.check(asked, pairs, 8))

    with scripted_judge(ScriptedJudge(habit)) as door:
        return asyncio.run(go(door.url))


def test_about_half_of_the_preferred_answers_play_the_candidate() -> None:
    ours = sum(calibration.is_ours(pair) for pair in pairs_of(400))
    assert 160 <= ours <= 240


def test_a_known_bias_is_found_and_swapping_takes_it_out() -> None:
    pairs = pairs_of(120)
    fair, biased = checked(longer, pairs), checked(placed(0.4), pairs)
    assert fair.agreement.value == pytest.approx(2 / 3)
    assert fair.position_driven == 0 and fair.pull == 0
    assert biased.pull_low is not None and biased.pull_high is not None
    assert biased.pull_low <= 0.4 <= biased.pull_high and biased.pull_low > 0
    assert biased.first_among_contradictions.value == 1
    assert biased.agreement.low is not None and biased.agreement.high is not None
    assert biased.agreement.low <= 2 / 3 <= biased.agreement.high
    assert checked(placed(0.4, "B"), pairs).first_among_contradictions.value == 0


def test_a_judge_that_only_knows_places_agrees_with_nobody() -> None:
    found = checked(placed(1.0), pairs_of(20))
    assert found.agreement.value is None
    assert (found.ties, found.position_driven, found.unreadable) == (20, 20, 0)
    assert found.kappa == 0
