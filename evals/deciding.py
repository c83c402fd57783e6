"""Two finished runs become a decision that is kept: the gate's verdict, paid for. Called by run.py.

The assistant is locked meanwhile, so that two exams at once are not given the same part of the year's chance.
"""

from dataclasses import asdict
from typing import Any

from sqlmodel import Session

from evals import results
from evals.gate import Verdict, confirm, decide
from evals.pairs import DECIDING, TicketResult, least_share, paired, scored, shares
from evals.power import power
from evals.settings import EvalsSettings
from feedback import adapters, assistants, decisions, looks
from feedback.assistants import Gate
from feedback.spending import Budget
from feedback.tables import Assistant, Decision, EvalRun


def decide_on(
    session: Session,
    assistant: Assistant,
    candidate: EvalRun,
    live: EvalRun,
    settings: EvalsSettings,
    sealed: bool = False,
) -> Decision:
    """The decision on these two runs: the one that is there, or a new one.

    `sealed`: they were asked the sealed tickets, which confirm a candidate or do not, at no cost.
    """
    adapters.lock(session, assistant)
    if known := decisions.on(session, candidate, live):
        return known
    gate = assistants.gate_of(session.get_one(Assistant, assistant.id))
    ours, theirs = results.results(session, candidate), results.results(session, live)
    if sealed:
        verdict = confirm(gate, ours, theirs, settings.bootstrap_samples)
        return decisions.record(session, assistant, candidate, live, gate, **_columns(verdict))
    budget = looks.budget_of(session, assistant, gate)
    verdict = decide(gate, ours, theirs, budget.next, settings.bootstrap_samples)
    columns = _columns(verdict)
    columns["detail"] |= {"budget": _account(budget, verdict)}
    if verdict.alpha is not None:
        columns["detail"] |= {"power": can_find(gate, ours, theirs, verdict.alpha)}
    return decisions.record(session, assistant, candidate, live, gate, **columns)


def can_find(
    gate: Gate, candidate: list[TicketResult], live: list[TicketResult], alpha: float
) -> dict[str, Any]:
    """What these tickets can tell with such a chance, in the metric's unit where it has a range."""
    pairs = [both for both in paired(candidate, live) if not both[0].probe]
    gains = shares(scored(pairs, gate.metric), gate.metric)
    told = power(gains, alpha, least_share(gate.metric, gate.min_gain))
    full = DECIDING[gate.metric].full or 1.0
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


def _columns(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the decision's row has it."""
    topics = [{**asdict(topic), "gain": topic.gain} for topic in verdict.topics]
    return {**asdict(verdict), "topics": topics}
