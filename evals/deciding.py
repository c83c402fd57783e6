"""Two finished runs become a decision that is kept: the gate's verdict, paid for. Called by run.py.

The assistant is locked while it is stored, so that two exams at once are not given the same part of the
year's chance.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Engine as Database
from sqlmodel import Session

from evals import results
from evals.gate import Verdict, confirm, decide
from evals.judging import judgements_as_scores
from evals.pairs import (
    Pairs,
    TicketResult,
    decisive,
    least_share,
    paired,
    scored,
    shares,
)
from evals.power import power
from evals.settings import EvalsSettings
from feedback import adapters, assistants, decisions, exams, looks
from feedback.assistants import Gate
from feedback.database import reading, writing
from feedback.measures import DECIDING, JUDGE, VOTES
from feedback.spending import Budget
from feedback.tables import Assistant, Decision, EvalRun
from feedback.votes import Voted

Verdicts = Callable[[Session, Gate, Budget], dict[str, Any]]
"""Weighs what is stored: the decision's columns."""


def decide_on(
    database: Database,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    settings: EvalsSettings,
    sealed: bool = False,
    more: dict[str, Any] | None = None,
) -> Decision:
    """The decision on these two runs: the one that is there, or a new one.

    `sealed`: they were asked the sealed tickets, which confirm a candidate or do not, at no cost.
    `more`: what else its detail keeps.
    """

    def verdict(session: Session, gate: Gate, budget: Budget) -> dict[str, Any]:
        ours, theirs = results.of_both(session, candidate, live)
        if gate.metric == JUDGE:
            ours, theirs = _judged(session, candidate, live, ours, theirs, settings.judge_model)
        if sealed:
            return _columns(confirm(gate, ours, theirs, settings.bootstrap_samples), more)
        found = decide(gate, ours, theirs, budget.next, settings.bootstrap_samples)
        return _priced(gate, budget, found, paired(ours, theirs), more)

    return _decided(database, assistant, candidate, live, verdict, once=True)


def decide_by_votes(
    database: Database,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    voted: list[Voted],
    settings: EvalsSettings,
) -> Decision:
    """A new decision on two finished runs by what agents voted on a replay.

    The exam's vetoes and guardrails hold. It is a look of its own and is paid for.
    """
    votes = _as_pairs(voted)

    def verdict(session: Session, gate: Gate, budget: Budget) -> dict[str, Any]:
        ours, theirs = results.of_both(session, candidate, live)
        found = decide(gate, ours, theirs, budget.next, settings.bootstrap_samples, votes)
        return _priced(gate, budget, found, votes, None)

    return _decided(database, assistant, candidate, live, verdict, gate_for=_by_votes)


def _by_votes(gate: Gate) -> Gate:
    if gate.metric == VOTES:
        return gate
    # its margins are in the unit of another score
    return gate.model_copy(update={"metric": VOTES, "min_gain": 0.0, "topic_margin": 0.0})


def _decided(
    database: Database,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    verdict: Verdicts,
    once: bool = False,
    gate_for: Callable[[Gate], Gate] = lambda gate: gate,
) -> Decision:
    """Weigh, then store, if the gate and what is left of the chance are still as they were.

    Weighing takes a second, in which customers' questions must be stored: the lock is for storing alone.
    """
    while True:
        with reading(database) as session:
            if once and (known := decisions.on(session, candidate, live)):
                return known
            gate, budget = _price(session, assistant, gate_for)
            columns = verdict(session, gate, budget)
        with writing(database) as session:
            adapters.lock(session, assistant)
            if once and (known := decisions.on(session, candidate, live)):
                return known
            if _price(session, assistant, gate_for) == (gate, budget):
                return decisions.record(session, assistant, candidate, live, gate, **columns)


def _price(
    session: Session, assistant: Assistant, gate_for: Callable[[Gate], Gate]
) -> tuple[Gate, Budget]:
    gate = gate_for(assistants.gate_of(session.get_one(Assistant, assistant.id)))
    return gate, looks.budget_of(session, assistant, gate)


def _priced(
    gate: Gate, budget: Budget, verdict: Verdict, pairs: Pairs, more: dict[str, Any] | None
) -> dict[str, Any]:
    columns = _columns(verdict, more)
    columns["detail"] |= _paid(gate, budget, verdict, pairs)
    return columns


def _as_pairs(voted: list[Voted]) -> Pairs:
    """Votes as the gate sees tickets: live's share is what the candidate's leaves."""

    def side(one: Voted, score: float) -> TicketResult:
        return TicketResult(
            one.turn_id, one.topic or None, one.cluster, "", None, {VOTES: score}, frozenset()
        )

    return [(side(one, one.score), side(one, 1 - one.score)) for one in voted]


def _judged(
    session: Session,
    candidate: EvalRun,
    live: EvalRun,
    ours: list[TicketResult],
    theirs: list[TicketResult],
    judge: str,
) -> tuple[list[TicketResult], list[TicketResult]]:
    """Both with the judge's preference; a ticket without a readable judgement stops the candidate."""
    found = judgements_as_scores(session, candidate, live, judge)
    named = {
        one.ticket.external_id: found.get(one.ticket.id) for one in exams.answers(session, live)
    }

    def with_it(one: TicketResult, for_live: bool) -> TicketResult:
        value = named.get(one.ticket)
        if value is None:
            return replace(one, scores={**one.scores, JUDGE: None} if not one.probe else one.scores)
        return replace(one, scores={**one.scores, JUDGE: 1 - value if for_live else value})

    return [with_it(one, False) for one in ours], [with_it(one, True) for one in theirs]


def _paid(gate: Gate, budget: Budget, verdict: Verdict, pairs: Pairs) -> dict[str, Any]:
    """What the look cost, and what the tickets could tell at that price."""
    told: dict[str, Any] = {"budget": _account(budget, verdict)}
    if verdict.alpha is not None:
        told["power"] = can_find(gate, pairs, verdict.alpha)
    return told


def can_find(gate: Gate, pairs: Pairs, alpha: float) -> dict[str, Any]:
    """What these tickets can tell with such a chance, in the metric's unit where it has a range."""
    gains = shares(scored(decisive(pairs, gate.metric), gate.metric), gate.metric)
    decides = DECIDING[gate.metric]
    told = power(gains, alpha, least_share(gate.metric, gate.min_gain), spread=decides.spread)
    full = decides.full or 1.0
    smallest = told.smallest_gain
    return {
        "customers": told.customers,
        "alpha": alpha,
        "smallest_gain": None if smallest is None else smallest * full,
        "needed": {f"{float(share) / 100 * full:g}": n for share, n in told.needed.items()},
    }


def _account(budget: Budget, verdict: Verdict) -> dict[str, Any]:
    """What the look took of the year's chance."""
    took = (verdict.alpha or 0.0) if not verdict.promote else 0.0
    return {
        "of": budget.of,
        "days": budget.days,
        "spent": budget.spent + took,
        "left": budget.left - took,
        "looks": budget.refused + budget.promoted + (verdict.alpha is not None),
    }


def _columns(verdict: Verdict, more: dict[str, Any] | None) -> dict[str, Any]:
    """A verdict as the decision's row has it."""
    topics = [{**asdict(topic), "gain": topic.gain} for topic in verdict.topics]
    return {**asdict(verdict), "topics": topics, "detail": {**verdict.detail, **(more or {})}}
