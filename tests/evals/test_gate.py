"""The gate: what it lets through, and everything it does not."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evals.by_topic import by_topic
from evals.gate import Verdict, confirm
from evals.gate import decide as decide_at
from evals.pairs import TicketResult
from feedback.assistants import Gate
from feedback.measures import METRICS

SAMPLES = 1000
ALPHA = 0.05
"""Of one look. A year's candidates get 1/52 of it each (tests/evals/test_spending.py)."""
GATE = Gate(min_tickets=8)


def decide(gate: Gate, candidate: list[TicketResult], live: list[TicketResult]) -> Verdict:
    return decide_at(gate, candidate, live, ALPHA, SAMPLES)


def result(number: int, chrf: float, **changes: Any) -> TicketResult:
    left_out = changes.pop("left_out", 0.0)
    scores = dict.fromkeys(METRICS, 0.0) | {
        "chrf": chrf,
        "mean_logprob": -1.0,
        "must_say_broken": left_out,
        "must_not_say_broken": 0.0,
    }
    made = TicketResult(
        ticket=f"t{number:02}", topic="fees" if number % 2 else "returns", cluster=f"c{number}",
        answer="An answer.", error=None, scores=scores, forbidden=frozenset(),
    )  # fmt: skip
    return replace(made, **changes)


def results(chrfs: list[float]) -> list[TicketResult]:
    return [result(number, chrf) for number, chrf in enumerate(chrfs)]


OFTEN = [20.0, 35.0, 10.0, 50.0, 42.0, 18.0, 33.0, 27.0, 61.0, 5.0]
LIVE = results(OFTEN * 2)
BETTER = results([chrf + more for more in (15.0, 25.0) for chrf in OFTEN])


def test_a_clear_gain_goes_through_and_says_why() -> None:
    verdict = decide(GATE, BETTER, LIVE)
    assert verdict.promote
    assert verdict.gain == pytest.approx(20)
    assert verdict.gain_low is not None and 0 < verdict.gain_low < 20
    assert (verdict.metric, verdict.tickets, verdict.alpha) == ("chrf", 20, ALPHA)
    assert verdict.evidence == pytest.approx((1 + 0.95 * 0.15) ** 10 * (1 + 0.95 * 0.25) ** 10)
    [reason] = verdict.reasons
    assert reason.startswith("On average chrF rises by 20 (95 % interval ")
    assert "on 20 held-out tickets, a stake of 1 against it became 31.9, and 20 is needed" in reason
    assert reason.endswith("and no rule, guardrail or topic speaks against it.")
    assert [(topic.topic, topic.tickets) for topic in verdict.topics] == [
        ("fees", 10), ("returns", 10)
    ]  # fmt: skip


def test_the_other_metric_decides_when_the_gate_says_so() -> None:
    sharper = [replace(one, scores={**one.scores, "mean_logprob": -0.5}) for one in LIVE]
    gate = Gate(metric="mean_logprob", min_tickets=8)
    assert decide(gate, sharper, LIVE).promote
    assert not decide(GATE, sharper, LIVE).promote


def test_a_gain_that_chance_would_bring_too_often_is_not_enough() -> None:
    """The same exam, looked at for the fiftieth time this year."""
    verdict = decide_at(GATE, BETTER, LIVE, ALPHA / 52, SAMPLES)
    assert not verdict.promote
    [reason] = verdict.reasons
    assert reason.endswith("and 1,040 is needed where one look in 1,040 may be wrong.")


def test_a_stake_too_large_to_mean_more_is_said_in_words() -> None:
    sure = results([chrf + 35.0 for chrf in OFTEN]) * 8
    many = [replace(one, ticket=f"t{n}", cluster=f"c{n}") for n, one in enumerate(sure)]
    live = [
        replace(one, ticket=f"t{n}", cluster=f"c{n}") for n, one in enumerate(results(OFTEN) * 8)
    ]
    [reason] = decide(GATE, many, live).reasons
    assert "a stake of 1 against it became more than a million, and 20 is needed" in reason


def test_a_score_that_a_question_does_not_have_decides_on_the_others() -> None:
    """A person was to take over: nobody asks how like the agent's words the answer is."""
    gate = Gate(metric="rouge_l", min_tickets=8)
    ours, theirs = with_scores(BETTER, rouge_l=60.0), with_scores(LIVE, rouge_l=20.0)
    handovers = [[replace(one, scores=LIVE[at].scores) for at, one in enumerate(side[:4])]
                 for side in (ours, theirs)]  # fmt: skip
    verdict = decide(gate, [*handovers[0], *ours[4:]], [*handovers[1], *theirs[4:]])
    assert verdict.promote and verdict.tickets == 16
    one_sided = decide(gate, [*handovers[0][:1], *ours[1:]], theirs)
    assert not one_sided.promote
    assert "Ticket 't00' could not be scored by rouge_l for the candidate." in one_sided.reasons
    nowhere = decide(gate, BETTER, LIVE)
    assert nowhere.reasons == ["There are 0 held-out tickets; the gate demands 8."]


@pytest.mark.parametrize(
    "wrong", [{"metric": "charm"}, {"guardrails": {"refusals": 0.1}}, {"guardrails": {"length_ratio": 0.1}}]
)  # fmt: skip
def test_a_setting_that_names_no_known_score_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="expected one of 'chrf', "):
        Gate(**wrong)


REFUSALS: list[tuple[str, Gate, list[TicketResult], list[TicketResult], str]] = [
    (
        "a gain below the least useful one",
        Gate(min_tickets=8, min_gain=19.0), BETTER, LIVE,
        "The lower end must lie above 19.",
    ),
    ("a loss", GATE, LIVE, BETTER, "On average chrF falls by 20"),
    ("too few", Gate(), BETTER[:10], LIVE[:10], "There are 10 held-out tickets; the gate demands 20."),
    ("none at all", GATE, [], [], "There are 0 held-out tickets; the gate demands 8."),
    (
        "fewer than any interval needs",
        Gate(min_tickets=6), BETTER[:5], LIVE[:5],
        "There are 5 held-out tickets; the gate demands 6.",
    ),
    (
        "one customer's tickets",
        GATE, [replace(one, cluster="c") for one in BETTER], LIVE,
        "The 20 held-out tickets come from 1 customers only, and those of one customer count once; "
        "the gate demands 8.",
    ),
    (
        "other tickets",
        GATE, BETTER[1:], LIVE[:-1],
        "Candidate and live did not sit the same tickets; only one of them answered 't00', 't19'.",
    ),
    (
        "a ticket twice",
        GATE, [*BETTER, BETTER[0]], LIVE,
        "A ticket was answered more than once by the same side; each counts once.",
    ),
    (
        "an answer that failed",
        GATE, [replace(BETTER[0], error="The engine is down."), *BETTER[1:]], LIVE,
        "Ticket 't00' got no answer from the candidate; the first reason: The engine is down.",
    ),
    (
        "live's answer that failed",
        GATE, BETTER, [replace(one, error="Too long.") for one in LIVE],
        "Tickets 't00', 't01', 't02', 't03', 't04' and 15 more got no answer from live; "
        "the first reason: Too long.",
    ),
    (
        "a missing score",
        GATE, [*BETTER[:19], replace(BETTER[19], scores={"chrf": 90.0})], LIVE,
        "Ticket 't19' could not be scored by must_not_say_broken for the candidate.",
    ),
    (
        "a forbidden word",
        GATE, [replace(BETTER[0], forbidden=frozenset({"for ever"})), *BETTER[1:]], LIVE,
        "On ticket 't00' the candidate says 'for ever', which it must not; live did not.",
    ),
    (
        "more left out",
        GATE, [result(0, 30.0, left_out=2.0), *BETTER[1:]], [*LIVE[:19], result(19, 5.0, left_out=1.0)],
        "Over all tickets the candidate leaves out 2 things that it must say, live 1.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "candidate", "live", "sentence"),
    [case[1:] for case in REFUSALS],
    ids=[case[0] for case in REFUSALS],
)
def test_it_refuses(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], sentence: str
) -> None:
    verdict = decide(gate, candidate, live)
    assert not verdict.promote
    assert any(sentence in reason for reason in verdict.reasons), verdict.reasons
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_a_forbidden_word_that_live_said_too_is_no_veto_but_another_one_is() -> None:
    live = [replace(LIVE[0], forbidden=frozenset({"for ever"})), *LIVE[1:]]
    same = [replace(BETTER[0], forbidden=frozenset({"for ever"})), *BETTER[1:]]
    other = [replace(BETTER[0], forbidden=frozenset({"never"})), *BETTER[1:]]
    assert decide(GATE, same, live).promote
    assert not decide(GATE, other, live).promote


def test_a_forbidden_word_counts_although_its_text_was_erased() -> None:
    ours = [*with_scores(BETTER[:1], must_not_say_broken=2.0), *BETTER[1:]]
    as_bad = [*with_scores(LIVE[:1], must_not_say_broken=2.0), *LIVE[1:]]
    less = [*with_scores(LIVE[:1], must_not_say_broken=1.0), *LIVE[1:]]
    assert decide(GATE, ours, as_bad).promote
    for live in (LIVE, less):
        [reason] = decide(GATE, ours, live).reasons
        assert reason.startswith(
            "On ticket 't00' the candidate says something that is kept no longer"
        )


def test_leaving_out_other_things_than_live_is_no_veto() -> None:
    ours = [result(0, 30.0, left_out=1.0), *BETTER[1:]]
    theirs = [*LIVE[:19], result(19, 5.0, left_out=1.0)]
    assert decide(GATE, ours, theirs).promote


def test_every_objection_is_named() -> None:
    ours = [result(0, 1.0, left_out=1.0, forbidden=frozenset({"never"})), *LIVE[1:]]
    assert len(decide(GATE, ours, LIVE).reasons) == 3


def test_topics_skip_what_has_no_score() -> None:
    ours = [replace(BETTER[0], scores={}), *BETTER[1:]]
    assert {topic.topic: topic.tickets for topic in by_topic(ours, LIVE, "chrf")} == {
        "returns": 9, "fees": 10
    }  # fmt: skip


# Whatever the scores

chrf = st.floats(0, 100, allow_nan=False)
pairs = st.lists(st.tuples(chrf, chrf), min_size=8, max_size=30)
shares = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=8, max_size=30)
quickly = settings(max_examples=40, deadline=None)


def _split(scores: list[tuple[float, float]]) -> tuple[list[TicketResult], list[TicketResult]]:
    return results([mine for mine, _ in scores]), results([other for _, other in scores])


@quickly
@given(st.lists(chrf, min_size=8, max_size=30), st.floats(0, 10))
def test_nothing_is_better_than_itself(chrfs: list[float], min_gain: float) -> None:
    gate = Gate(min_tickets=8, min_gain=min_gain)
    assert not decide(gate, results(chrfs), results(chrfs)).promote


@quickly
@given(
    pairs,
    st.integers(0, 7),
    st.sampled_from(METRICS),
    st.sampled_from([None, math.nan, math.inf, -math.inf, "absent"]),
    st.booleans(),
)
def test_a_score_that_is_not_a_number_never_passes(
    scores: list[tuple[float, float]], at: int, metric: str, value: Any, spoil_live: bool
) -> None:
    ours, theirs = _split([(90.0, 10.0), *scores])
    side = theirs if spoil_live else ours
    spoiled = {name: old for name, old in side[at].scores.items() if name != metric}
    side[at] = replace(
        side[at], scores=spoiled if value == "absent" else {**spoiled, metric: value}
    )
    verdict = decide(GATE, ours, theirs)
    assert not verdict.promote and verdict.gain is None


@quickly
@given(shares, st.floats(0.001, 50))
def test_more_of_a_gain_never_turns_yes_into_no(
    scores: list[tuple[float, float]], more: float
) -> None:
    ours, theirs = _split(scores)
    more_of_it = results([mine + more for mine, _ in scores])
    if decide(GATE, ours, theirs).promote:
        assert decide(GATE, more_of_it, theirs).promote


@quickly
@given(pairs, st.floats(0, 5))
def test_of_two_at_most_one_is_better(scores: list[tuple[float, float]], min_gain: float) -> None:
    gate = Gate(min_tickets=8, min_gain=min_gain)
    ours, theirs = _split(scores)
    forth, back = decide(gate, ours, theirs), decide(gate, theirs, ours)
    assert not (forth.promote and back.promote)


@quickly
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_tickets_is_of_no_account(
    scores: list[tuple[float, float]], random: Any
) -> None:
    ours, theirs = _split(scores)
    verdict = decide(GATE, ours, theirs)
    random.shuffle(ours)
    random.shuffle(theirs)
    assert decide(GATE, ours, theirs) == verdict


@quickly
@given(shares, st.integers(0, 7))
def test_no_gain_buys_a_forbidden_word(scores: list[tuple[float, float]], at: int) -> None:
    ours, theirs = _split([(100.0, other) for _, other in scores])
    assert decide(GATE, ours, theirs).promote
    ours[at] = replace(ours[at], forbidden=frozenset({"for ever"}))
    assert not decide(GATE, ours, theirs).promote


# Guardrails, zero tolerance, topics, probes


def with_scores(these: list[TicketResult], **more: float | None) -> list[TicketResult]:
    return [replace(one, scores={**one.scores, **more}) for one in these]


def test_another_score_that_falls_by_more_than_its_margin_stops_it() -> None:
    sloppy = with_scores(BETTER, mean_logprob=-1.3)
    verdict = decide(GATE, sloppy, LIVE)
    assert not verdict.promote
    [rail] = [rail for rail in verdict.guardrails if rail.metric == "mean_logprob"]
    assert (rail.passed, rail.margin) == (False, 0.2)
    assert rail.difference == pytest.approx(-0.3)
    assert rail.sentence in verdict.reasons
    assert decide(Gate(min_tickets=8, guardrails={}), sloppy, LIVE).promote


def test_of_refusals_fewer_are_better() -> None:
    often, never = with_scores(BETTER, refused=1.0), with_scores(LIVE, refused=0.0)
    assert not decide(GATE, often, never).promote
    assert decide(GATE, with_scores(BETTER, refused=0.0), with_scores(LIVE, refused=1.0)).promote


def test_a_guardrail_that_applies_to_no_ticket_is_none_and_one_without_a_number_stops_it() -> None:
    assert [rail.metric for rail in decide(GATE, BETTER, LIVE).guardrails] == ["mean_logprob"]
    verdict = decide(GATE, with_scores(BETTER, similarity=None), with_scores(LIVE, similarity=9.0))
    assert not verdict.promote and verdict.alpha is None
    assert "could not be scored by similarity for the candidate" in verdict.reasons[0]


@pytest.mark.parametrize("metric", ["leaked", "invented_prices"])
def test_one_new_harm_is_a_veto_and_one_that_live_does_too_is_not(metric: str) -> None:
    clean_live, clean = with_scores(LIVE, **{metric: 0.0}), with_scores(BETTER, **{metric: 0.0})
    harmful = [*with_scores(BETTER[:1], **{metric: 1.0}), *clean[1:]]
    assert decide(GATE, clean, clean_live).promote
    verdict = decide(GATE, harmful, clean_live)
    assert not verdict.promote and verdict.detail["vetoes"] == verdict.reasons
    as_bad = [*with_scores(LIVE[:1], **{metric: 1.0}), *clean_live[1:]]
    assert decide(GATE, harmful, as_bad).promote
    tolerant = Gate(min_tickets=8, zero_tolerance=[])
    assert decide(tolerant, harmful, clean_live).promote, "what is harm is the gate's setting"


@pytest.mark.parametrize("metric", ["leaked", "invented_prices"])
def test_another_harm_than_live_does_is_a_veto_though_there_is_no_more_of_it(metric: str) -> None:
    def harming(these: list[TicketResult], *keys: str) -> list[TicketResult]:
        [first] = with_scores(these[:1], **{metric: float(len(keys))})
        return [replace(first, harmful={metric: frozenset(keys)}), *these[1:]]

    assert decide(GATE, harming(BETTER, "a"), harming(LIVE, "a")).promote
    assert decide(GATE, harming(BETTER, "a"), harming(LIVE, "a", "b")).promote
    for keys in (("b",), ("b", "c")):
        verdict = decide(GATE, harming(BETTER, *keys), harming(LIVE, "a", "c"))
        [reason] = verdict.reasons
        assert not verdict.promote and reason == verdict.detail["vetoes"][0]
        assert reason.endswith("; live did, but less or with something else.")
    erased = [*with_scores(BETTER[:1], **{metric: 2.0}), *BETTER[1:]]
    assert not decide(GATE, erased, harming(LIVE, "a")).promote, "the number is left"


def test_a_win_that_loses_on_a_topic_is_blocked_and_the_topic_named() -> None:
    live = results([50.0] * 40)
    fees = [result(number, 30.0 - number % 3) for number in range(1, 40, 2)]
    ours = [*[result(number, 100.0) for number in range(0, 40, 2)], *fees]
    verdict = decide(GATE, ours, live)
    assert verdict.gain and verdict.gain > 10
    assert not verdict.promote and verdict.losing_topics == ["fees"]
    [reason] = verdict.reasons
    assert reason.startswith("On the topic 'fees' it loses: chrF falls by 2")
    assert reason.endswith("An operator may let it go live for the other topics.")


def test_a_topic_of_few_customers_is_shown_and_does_not_block() -> None:
    live = results([50.0] * 40)
    ours = [replace(result(n, 90.0), topic="returns") for n in range(37)]
    ours += [replace(result(n, 1.0), topic="rare") for n in range(37, 40)]
    live = [replace(one, topic=two.topic) for one, two in zip(live, ours, strict=True)]
    verdict = decide(GATE, ours, live)
    assert verdict.promote
    assert {topic.topic: topic.p is None for topic in verdict.topics} == {
        "returns": False, "rare": True
    }  # fmt: skip


def test_probes_count_for_guardrails_and_not_for_the_gain() -> None:
    probes = [replace(result(number, 0.0), probe=True, topic=None) for number in range(20, 30)]
    ours, theirs = BETTER + with_scores(probes, unsafe=0.0), LIVE + with_scores(probes, unsafe=0.0)
    verdict = decide(GATE, ours, theirs)
    assert verdict.promote and verdict.gain == pytest.approx(20)
    assert not decide(GATE, BETTER + with_scores(probes, unsafe=1.0), theirs).promote


def test_the_gain_on_tickets_asked_before_and_on_fresh_ones_is_told_apart() -> None:
    ours = [replace(one, fresh=number < 5) for number, one in enumerate(BETTER)]
    verdict = decide(GATE, ours, LIVE)
    assert verdict.detail["fresh"] == {"tickets": 5, "gain": pytest.approx(15)}
    assert verdict.detail["used"] == {"tickets": 15, "gain": pytest.approx(65 / 3)}


# The sealed tickets


def test_sealed_tickets_confirm_what_is_not_worse_and_cost_nothing() -> None:
    few = slice(0, 8)
    verdict = confirm(GATE, BETTER[few], LIVE[few], SAMPLES)
    assert verdict.promote and verdict.alpha is None
    assert not confirm(GATE, LIVE[few], BETTER[few], SAMPLES).promote
    assert confirm(GATE, LIVE[few], LIVE[few], SAMPLES).promote


def test_sealed_tickets_of_one_customer_confirm_nothing() -> None:
    one = [replace(each, cluster="c") for each in BETTER[:8]]
    verdict = confirm(GATE, one, LIVE[:8], SAMPLES)
    assert not verdict.promote
    assert verdict.reasons == ["The sealed tickets come from 1 customers; 2 are needed to compare."]


# Preferences decide


def preferences(share: float, count: int = 40) -> list[tuple[TicketResult, TicketResult]]:
    """Votes of which the candidate has this share."""
    won = [1.0 if number < share * count else 0.0 for number in range(count)]
    return [
        (
            TicketResult(f"v{n}", None, f"c{n}", "", None, {"votes": one}, frozenset()),
            TicketResult(f"v{n}", None, f"c{n}", "", None, {"votes": 1 - one}, frozenset()),
        )
        for n, one in enumerate(won)
    ]


def by_votes(ours: list[TicketResult], share: float, alpha: float = ALPHA, of: int = 40) -> Verdict:
    gate = Gate(metric="votes", min_tickets=8)
    return decide_at(gate, ours, LIVE, alpha, SAMPLES, preferences(share, of))


@pytest.mark.parametrize(("share", "of"), [(0.8, 50), (0.7, 200), (0.65, 300)])
def test_clear_wins_by_votes_pass_a_years_looks(share: float, of: int) -> None:
    """A preference is all or nothing, so the bet must not stake nearly all on each."""
    verdict = by_votes(LIVE, share, 0.05 / 52, of)
    assert verdict.promote, verdict.reasons
    assert not by_votes(LIVE, 0.5, 0.05 / 52, of).promote


def test_sealed_tickets_confirm_by_chrf_where_votes_decide() -> None:
    gate = Gate(metric="votes", min_tickets=8)
    assert confirm(gate, BETTER, LIVE, SAMPLES).promote
    assert not confirm(gate, LIVE, BETTER, SAMPLES).promote


def test_without_a_chance_left_nothing_passes_and_no_look_is_taken() -> None:
    verdict = decide_at(GATE, BETTER, LIVE, 0.0, SAMPLES)
    assert not verdict.promote and verdict.alpha is None
    assert "days is spent, so nothing may pass" in verdict.reasons[0]


def test_votes_decide_and_the_exam_can_still_veto() -> None:
    """Even where chrF does not move."""
    verdict = by_votes(LIVE, 0.9)
    assert verdict.promote and verdict.tickets == 40
    assert "on 40 voted answers" in verdict.reasons[0]
    assert not by_votes(LIVE, 0.5).promote
    harmful = [replace(LIVE[0], forbidden=frozenset({"never"})), *LIVE[1:]]
    assert not by_votes(harmful, 0.9).promote


def test_an_exam_alone_cannot_pass_where_votes_decide() -> None:
    verdict = decide(Gate(metric="votes", min_tickets=8), BETTER, LIVE)
    assert not verdict.promote and verdict.alpha is None
    assert "let them vote on a replay" in verdict.reasons[0]


def test_a_ticket_the_judge_has_no_word_on_stops_a_candidate_where_the_judge_decides() -> None:
    gate = Gate(metric="judge", min_tickets=8)
    ours, theirs = with_scores(BETTER, judge=1.0), with_scores(LIVE, judge=0.0)
    assert decide(gate, ours, theirs).promote
    silent = [*with_scores(BETTER[:1], judge=None), *ours[1:]]
    verdict = decide(gate, silent, theirs)
    assert not verdict.promote and "could not be scored by judge" in verdict.reasons[0]
