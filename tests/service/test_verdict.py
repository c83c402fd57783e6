"""Several signals of a trial together: order, waiting, customers who return, and what is concluded."""

import random
from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.traffic import RATES, RULES, Effect, Setting, rolled_back_after
from feedback.errors import Invalid
from service.sequential import Step, fold
from service.verdict import Comparison, Drawn, Kind, Rule

TWO = {"flag": Rule(margin=0.01), "error": Rule(margin=0.0, weight=3)}
known = st.fixed_dictionaries({"flag": st.booleans(), "error": st.booleans()})
maybe = st.none() | st.booleans()
partly_known = st.fixed_dictionaries({"flag": maybe, "error": maybe})
units = st.integers(0, 30).map(str)
arms = {str(number): number % 3 == 0 for number in range(31)}


def drawn_for(unit: str, bad: dict[str, bool | None]) -> Drawn:
    return Drawn(unit, arms[unit], 0.3, bad)


settled = st.lists(st.builds(drawn_for, units, known), max_size=60)
unsettled = st.lists(st.builds(drawn_for, units, partly_known), max_size=60)


def conversations(
    count: int, share: float, control: float, candidate: float, seed: int = 1, **others: bool | None
) -> list[Drawn]:
    """Flags with these rates; other signals as given."""
    dice = random.Random(seed)
    found = []
    for number in range(count):
        arm = dice.random() < share
        flag = dice.random() < (candidate if arm else control)
        found.append(Drawn(str(number), arm, share, {"flag": flag, **others}))
    return found


def judged(rules: Mapping[str, Rule], some: Sequence[Drawn]) -> Comparison:
    comparison = Comparison(rules)
    comparison.follow(some)
    return comparison


def firsts(some: Iterable[Drawn]) -> list[Drawn]:
    found: dict[str, Drawn] = {}
    for drawn in some:
        found.setdefault(drawn.unit, drawn)
    return list(found.values())


def steps(some: Iterable[Drawn], name: str) -> list[Step]:
    return [Step(drawn.share, drawn.candidate, bool(drawn.bad[name])) for drawn in some]


@given(unsettled)
def test_following_along_and_starting_anew_end_the_same(some: list[Drawn]) -> None:
    along = Comparison(TWO)
    for count in range(len(some) + 1):
        along.follow(some[:count])
    anew = judged(TWO, some)
    assert anew.verdict() == along.verdict()
    assert anew.evidence() == along.evidence()


@given(unsettled, st.randoms(use_true_random=False))
def test_the_order_in_which_outcomes_become_known_changes_nothing(
    some: list[Drawn], dice: random.Random
) -> None:
    truth = [{name: bool(bad) for name, bad in drawn.bad.items()} for drawn in some]
    hidden: list[dict[str, bool | None]] = [dict.fromkeys(TWO) for _ in some]
    shown = [Drawn(d.unit, d.candidate, d.share, bad) for d, bad in zip(some, hidden, strict=True)]
    comparison = Comparison(TWO)
    comparison.follow(shown)
    places = [(number, name) for number in range(len(some)) for name in TWO]
    dice.shuffle(places)
    for number, name in places:
        hidden[number][name] = truth[number][name]
        comparison.follow(shown)
    anew = judged(TWO, shown)
    assert anew.verdict() == comparison.verdict()
    assert anew.evidence() == comparison.evidence()


@given(unsettled)
def test_each_signal_counts_first_conversations_up_to_the_first_unknown(some: list[Drawn]) -> None:
    comparison = Comparison(TWO)
    comparison.follow(some)
    for name, rule in TWO.items():
        counted = firsts(some)
        waits = [number for number, drawn in enumerate(counted) if drawn.bad[name] is None]
        expected = counted[: waits[0]] if waits else counted
        assert comparison.evidence()[name] == fold(steps(expected, name), rule.margin)


@given(settled, partly_known, settled)
def test_nothing_behind_an_unknown_outcome_is_looked_at(
    before: list[Drawn], bad: dict[str, bool | None], after: list[Drawn]
) -> None:
    waiting = Drawn("waits", True, 0.3, {**bad, "flag": None})
    flipped = [
        Drawn(d.unit, d.candidate, d.share, {**d.bad, "flag": not d.bad["flag"]}) for d in after
    ]
    one = judged(TWO, [*before, waiting, *after])
    other = judged(TWO, [*before, waiting, *flipped])
    assert one.verdict() == other.verdict()
    assert one.evidence() == other.evidence()


def test_a_worse_candidate_is_called_worse_with_the_signal_that_says_so() -> None:
    some = conversations(600, 0.3, 0.03, 0.3, error=False)
    verdict = judged(TWO, some).verdict()
    assert (verdict.kind, verdict.loudest) == (Kind.WORSE, "flag")
    assert verdict.sentence.startswith("The candidate is worse by more than the margin of 1 points")
    assert "with the live adapter" in verdict.sentence


def test_once_worse_stays_worse() -> None:
    bad = conversations(600, 0.3, 0.03, 0.3, error=False)
    good = [
        Drawn(f"later-{d.unit}", d.candidate, 0.3, {"flag": False, "error": False}) for d in bad
    ]
    comparison = Comparison(TWO)
    comparison.follow(bad)
    assert comparison.follow([*bad, *good * 3]) is Kind.WORSE
    assert Comparison(TWO).follow([*bad, *good * 3]) is Kind.WORSE


def test_a_signal_that_is_known_at_once_does_not_wait_for_one_that_takes_an_hour() -> None:
    dice = random.Random(3)
    some = []
    for number in range(80):
        arm = dice.random() < 0.5
        some.append(Drawn(str(number), arm, 0.5, {"flag": None, "error": arm}))
    comparison = Comparison(TWO)
    comparison.follow(some)
    verdict = comparison.verdict()
    assert (verdict.kind, verdict.loudest) == (Kind.WORSE, "error")
    assert comparison.evidence()["flag"].conversations == 0


def test_signals_that_each_say_too_little_decide_together() -> None:
    alike = {f"signal {number}": Rule(margin=0.0) for number in range(10)}
    decided = 0
    for seed in range(8):
        some = conversations(250, 0.5, 0.05, 0.16, seed)
        all_alike = [
            Drawn(d.unit, d.candidate, 0.5, dict.fromkeys(alike, d.bad["flag"])) for d in some
        ]
        comparison = Comparison(alike)
        if comparison.follow(all_alike) is Kind.WORSE:
            alone = max(found.peak_worse for found in comparison.evidence().values())
            decided += alone < 10 / 0.05
    assert decided > 0


def test_one_sour_customer_who_returns_is_one_vote() -> None:
    some = conversations(200, 0.5, 0.05, 0.05, error=False)
    sour = [Drawn("sour", True, 0.5, {"flag": True, "error": True})] * 200
    one = Comparison(TWO)
    assert one.follow([*some, *sour]) is not Kind.WORSE
    assert one.evidence()["flag"].conversations == 201


def test_a_candidate_as_good_passes_and_a_better_one_is_called_better() -> None:
    wide = {"flag": Rule(margin=0.1)}
    equal = Comparison(wide).follow(conversations(3000, 0.5, 0.1, 0.1))
    better = Comparison(wide).follow(conversations(3000, 0.5, 0.2, 0.05))
    assert (equal, better) == (Kind.NO_WORSE, Kind.BETTER)


def test_every_primary_signal_has_to_pass_and_others_need_not() -> None:
    some = conversations(3000, 0.5, 0.1, 0.1, slow=None)
    both = {"flag": Rule(margin=0.1), "slow": Rule(margin=0.1)}
    verdict = judged(both, some).verdict()
    assert verdict.kind is Kind.UNDECIDED
    assert "not yet shown no worse: slow" in verdict.sentence
    both["slow"] = Rule(margin=0.1, primary=False)
    assert Comparison(both).follow(some) is Kind.NO_WORSE


def test_arms_that_are_not_drawn_by_the_stated_share_let_nothing_pass_but_still_roll_back() -> None:
    wide = {"flag": Rule(margin=0.2)}
    some = conversations(3000, 0.5, 0.1, 0.1)
    claimed = [Drawn(d.unit, d.candidate, 0.4, d.bad) for d in some]
    verdict = judged(wide, claimed).verdict()
    assert verdict.kind is Kind.UNEVEN
    assert "1200 were expected" in verdict.sentence
    worse = [Drawn(d.unit, d.candidate, 0.4, {"flag": d.candidate}) for d in some]
    assert Comparison(wide).follow(worse) is Kind.WORSE


def test_what_cannot_be_judged_is_refused_in_a_sentence() -> None:
    with pytest.raises(Invalid, match="no primary signal"):
        Comparison({"flag": Rule(margin=0.1, primary=False)})
    with pytest.raises(Invalid, match="no primary signal"):
        Comparison({})
    with pytest.raises(Invalid, match="the weight 0 for flag"):
        Comparison({"flag": Rule(margin=0.1, weight=0)})
    with pytest.raises(Invalid, match="chance of a false alarm"):
        Comparison(TWO, alpha=1.5)
    comparison = Comparison(TWO)
    with pytest.raises(Invalid, match=r"no word on error in a conversation of '7'"):
        comparison.follow([Drawn("7", True, 0.5, {"flag": None})])
    some = conversations(5, 0.5, 0.1, 0.1, error=False)
    comparison = Comparison(TWO)
    comparison.follow(some)
    with pytest.raises(Invalid, match="start a new comparison"):
        comparison.follow(some[:4])


def test_in_lively_traffic_the_worse_go_and_the_equal_stay() -> None:
    """A small version of benchmarks/canary.py."""
    worse = Effect("worse", {"thumbs_down": 4.0, "handover": 4.0, "flag": 4.0})
    gone = [rolled_back_after(Setting(0.5, worse, 600), seed) for seed in range(15)]
    assert None not in gone
    no_margins = {name: Rule(margin=0.0) for name in RULES}
    equal = Setting(0.5, Effect("equal"), 600, no_margins)
    assert sum(rolled_back_after(equal, seed) is not None for seed in range(30)) <= 3
    assert RATES.keys() == RULES.keys()


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_a_candidate_that_always_fails_is_gone_after_a_handful_of_its_conversations(
    share: float,
) -> None:
    dice, comparison = random.Random(5), Comparison(TWO)
    some = []
    for number in range(400):
        arm = dice.random() < share
        some.append(Drawn(str(number), arm, share, {"flag": None, "error": arm}))
        if comparison.follow(some) is Kind.WORSE:
            break
    assert sum(drawn.candidate for drawn in some) <= 8
