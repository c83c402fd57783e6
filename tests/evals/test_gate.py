"""The gate: what it lets through, and everything it does not."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.gate import TicketResult, by_topic, decide
from evals.scores import METRICS
from feedback.assistants import Gate

SAMPLES = 1000
GATE = Gate(min_tickets=8)


def result(number: int, chrf: float, **changes: Any) -> TicketResult:
    left_out = changes.pop("left_out", 0.0)
    scores = {
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


LIVE = results([20.0, 35.0, 10.0, 50.0, 42.0, 18.0, 33.0, 27.0, 61.0, 5.0])
BETTER = results([30.0, 40.0, 22.0, 58.0, 55.0, 30.0, 40.0, 33.0, 70.0, 19.0])


def test_a_clear_gain_goes_through_and_says_why() -> None:
    verdict = decide(GATE, BETTER, LIVE, SAMPLES)
    assert verdict.promote
    assert verdict.gain == pytest.approx(9.6)
    assert verdict.gain_low is not None and 0 < verdict.gain_low < 9.6
    assert (verdict.metric, verdict.tickets) == ("chrf", 10)
    [reason] = verdict.reasons
    assert reason.startswith("On average chrF rises by 9.6 (95 % interval ")
    assert reason.endswith(
        "The lower end lies above 0 on 10 held-out tickets, and no rule speaks against it."
    )
    assert [(topic.topic, topic.tickets) for topic in verdict.topics] == [
        ("returns", 5), ("fees", 5)
    ]  # fmt: skip


def test_the_other_metric_decides_when_the_gate_says_so() -> None:
    sharper = [replace(one, scores={**one.scores, "mean_logprob": -0.5}) for one in LIVE]
    gate = Gate(metric="mean_logprob", min_tickets=8)
    assert decide(gate, sharper, LIVE, SAMPLES).promote
    assert not decide(GATE, sharper, LIVE, SAMPLES).promote


REFUSALS: list[tuple[str, Gate, list[TicketResult], list[TicketResult], str]] = [
    (
        "a gain below the least useful one",
        Gate(min_tickets=8, min_gain=9.0), BETTER, LIVE,
        "The lower end must lie above 9.",
    ),
    ("a loss", GATE, LIVE, BETTER, "On average chrF falls by 9.6"),
    ("too few", Gate(), BETTER, LIVE, "There are 10 held-out tickets; the gate demands 20."),
    ("none at all", GATE, [], [], "There are 0 held-out tickets; the gate demands 8."),
    (
        "fewer than any interval needs",
        Gate(min_tickets=6), BETTER[:5], LIVE[:5],
        "There are 5 held-out tickets; the gate demands 6.",
    ),
    (
        "one customer's tickets",
        GATE, [replace(one, cluster="c") for one in BETTER], LIVE,
        "The 10 held-out tickets come from 1 customers only, and those of one customer count once; "
        "the gate demands 8.",
    ),
    (
        "other tickets",
        GATE, BETTER[1:], LIVE[:-1],
        "Candidate and live did not sit the same tickets; only one of them answered 't00', 't09'.",
    ),
    (
        "a ticket twice",
        GATE, [*BETTER, BETTER[0]], LIVE,
        "A ticket was answered more than once by the same side; each counts once.",
    ),
    (
        "an unknown metric",
        Gate(metric="charm", min_tickets=8), BETTER, LIVE,
        "The gate's metric is 'charm'; expected one of 'chrf', 'mean_logprob'.",
    ),
    (
        "an answer that failed",
        GATE, [replace(BETTER[0], error="The engine is down."), *BETTER[1:]], LIVE,
        "Ticket 't00' got no answer from the candidate; the first reason: The engine is down.",
    ),
    (
        "live's answer that failed",
        GATE, BETTER, [replace(one, error="Too long.") for one in LIVE],
        "Tickets 't00', 't01', 't02', 't03', 't04' and 5 more got no answer from live; "
        "the first reason: Too long.",
    ),
    (
        "a missing score",
        GATE, [*BETTER[:9], replace(BETTER[9], scores={"chrf": 90.0})], LIVE,
        "Ticket 't09' could not be scored by must_not_say_broken for the candidate.",
    ),
    (
        "a forbidden word",
        GATE, [replace(BETTER[0], forbidden=frozenset({"for ever"})), *BETTER[1:]], LIVE,
        "On ticket 't00' the candidate says 'for ever', which it must not; live did not.",
    ),
    (
        "more left out",
        GATE, [result(0, 30.0, left_out=2.0), *BETTER[1:]], [*LIVE[:9], result(9, 5.0, left_out=1.0)],
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
    verdict = decide(gate, candidate, live, SAMPLES)
    assert not verdict.promote
    assert any(sentence in reason for reason in verdict.reasons), verdict.reasons
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_a_forbidden_word_that_live_said_too_is_no_veto_but_another_one_is() -> None:
    live = [replace(LIVE[0], forbidden=frozenset({"for ever"})), *LIVE[1:]]
    same = [replace(BETTER[0], forbidden=frozenset({"for ever"})), *BETTER[1:]]
    other = [replace(BETTER[0], forbidden=frozenset({"never"})), *BETTER[1:]]
    assert decide(GATE, same, live, SAMPLES).promote
    assert not decide(GATE, other, live, SAMPLES).promote


def test_leaving_out_other_things_than_live_is_no_veto() -> None:
    ours = [result(0, 30.0, left_out=1.0), *BETTER[1:]]
    theirs = [*LIVE[:9], result(9, 5.0, left_out=1.0)]
    assert decide(GATE, ours, theirs, SAMPLES).promote


def test_every_objection_is_named() -> None:
    ours = [result(0, 1.0, left_out=1.0, forbidden=frozenset({"never"})), *LIVE[1:]]
    assert len(decide(GATE, ours, LIVE, SAMPLES).reasons) == 3


def test_topics_skip_what_has_no_score() -> None:
    ours = [replace(BETTER[0], scores={}), *BETTER[1:]]
    assert {topic.topic: topic.tickets for topic in by_topic(ours, LIVE, "chrf")} == {
        "returns": 4, "fees": 5
    }  # fmt: skip


# Whatever the scores

chrf = st.floats(0, 100, allow_nan=False)
pairs = st.lists(st.tuples(chrf, chrf), min_size=8, max_size=30)
quickly = settings(max_examples=40, deadline=None)


def _split(scores: list[tuple[float, float]]) -> tuple[list[TicketResult], list[TicketResult]]:
    return results([mine for mine, _ in scores]), results([other for _, other in scores])


@quickly
@given(st.lists(chrf, min_size=8, max_size=30), st.floats(0, 10))
def test_nothing_is_better_than_itself(chrfs: list[float], min_gain: float) -> None:
    gate = Gate(min_tickets=8, min_gain=min_gain)
    assert not decide(gate, results(chrfs), results(chrfs), SAMPLES).promote


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
    verdict = decide(GATE, ours, theirs, SAMPLES)
    assert not verdict.promote and verdict.gain is None


@quickly
@given(pairs, st.floats(0.001, 50))
def test_more_of_a_gain_never_turns_yes_into_no(
    scores: list[tuple[float, float]], more: float
) -> None:
    ours, theirs = _split(scores)
    more_of_it = results([mine + more for mine, _ in scores])
    if decide(GATE, ours, theirs, SAMPLES).promote:
        assert decide(GATE, more_of_it, theirs, SAMPLES).promote


@quickly
@given(pairs, st.floats(0, 5))
def test_of_two_at_most_one_is_better(scores: list[tuple[float, float]], min_gain: float) -> None:
    gate = Gate(min_tickets=8, min_gain=min_gain)
    ours, theirs = _split(scores)
    forth, back = decide(gate, ours, theirs, SAMPLES), decide(gate, theirs, ours, SAMPLES)
    assert not (forth.promote and back.promote)


@quickly
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_tickets_is_of_no_account(
    scores: list[tuple[float, float]], random: Any
) -> None:
    ours, theirs = _split(scores)
    verdict = decide(GATE, ours, theirs, SAMPLES)
    random.shuffle(ours)
    random.shuffle(theirs)
    assert decide(GATE, ours, theirs, SAMPLES) == verdict


@quickly
@given(pairs, st.integers(0, 7))
def test_no_gain_buys_a_forbidden_word(scores: list[tuple[float, float]], at: int) -> None:
    ours, theirs = _split([(mine + 100, other) for mine, other in scores])
    assert decide(GATE, ours, theirs, SAMPLES).promote
    ours[at] = replace(ours[at], forbidden=frozenset({"for ever"}))
    assert not decide(GATE, ours, theirs, SAMPLES).promote
