"""Can anything be concluded from these results? Reasons why not, in sentences. Pure; the gate asks first."""

from evals import bootstrap, evidence
from evals.pairs import (
    NAMED,
    TicketResult,
    decisive,
    is_number,
    least_share,
    named,
    paired,
)
from feedback.assistants import Gate
from feedback.measures import METRICS, VOTES


def incomplete(
    gate: Gate,
    candidate: list[TicketResult],
    live: list[TicketResult],
    decided_elsewhere: bool = False,
) -> list[str]:
    """Why nothing can be concluded from these results; empty when something can.

    `decided_elsewhere`: the metric that decides is not the exam's.
    """
    if gate.metric == VOTES and not decided_elsewhere:
        return [
            "Agents' votes decide, and an exam has none: let them vote on a replay of this candidate, then "
            "`understudy evals replay decide`."
        ]
    if mismatch := _different_tickets(candidate, live):
        return [mismatch]
    pairs = [] if decided_elsewhere else decisive(paired(candidate, live), gate.metric)
    asked = {ours.ticket for ours, _ in pairs}
    doubts = []
    for who, results in (("the candidate", candidate), ("live", live)):
        if failed := [result for result in results if result.error is not None]:
            doubts.append(
                f"{named(failed)} got no answer from {who}; the first reason: {failed[0].error}"
            )
        answered = [result for result in results if result.error is None]
        decides = [gate.metric] if pairs else []
        for metric in dict.fromkeys((*METRICS, *decides, *gate.guardrails, *gate.zero_tolerance)):
            always = metric in METRICS
            if lacking := [
                each
                for each in answered
                if _lacks(each, metric, always or (metric in decides and each.ticket in asked))
            ]:
                doubts.append(f"{named(lacking)} could not be scored by {metric} for {who}.")
    return doubts


def spent(gate: Gate, alpha: float) -> list[str]:
    """Why there can be no look now; empty when there can."""
    if alpha > 0:
        return []
    return [
        f"The chance of {gate.wrong_promotions:g} that a worse adapter passes within {gate.budget_days:g} "
        "days is spent, so nothing may pass. Wait until a part comes back (`understudy evals budget`), or "
        "accept a larger one (`wrong_promotions`)."
    ]


def too_few(gate: Gate, results: list[TicketResult], alpha: float) -> list[str]:
    """Why so few tickets cannot be enough; empty when they can."""
    least = least_share(gate.metric, gate.min_gain)
    fewest = evidence.fewest(alpha, least)
    needed = max(gate.min_tickets, bootstrap.fewest_clusters(gate.confidence), fewest)
    independent = len({result.cluster for result in results})
    if independent >= needed:
        return []
    why = (
        f"the gate demands {needed}"
        if needed > fewest or fewest <= gate.min_tickets
        else f"at the chance of {alpha:.2g} that this look is given, fewer than {needed} cannot be enough"
    )
    asked = "voted answers" if gate.metric == VOTES else "held-out tickets"
    if len(results) >= needed:
        return [
            f"The {len(results)} {asked} come from {independent} customers only, and those "
            f"of one customer count once; {why}."
        ]
    return [f"There are {len(results)} {asked}; {why}."]


def _lacks(result: TicketResult, metric: str, must: bool) -> bool:
    """Whether a score is no number, or is missing where it `must` be there."""
    return must if metric not in result.scores else not is_number(result.scores[metric])


def _different_tickets(candidate: list[TicketResult], live: list[TicketResult]) -> str | None:
    ours = sorted(result.ticket for result in candidate)
    theirs = sorted(result.ticket for result in live)
    if len(set(ours)) < len(ours) or len(set(theirs)) < len(theirs):
        return "A ticket was answered more than once by the same side; each counts once."
    if ours == theirs:
        return None
    odd = sorted(set(ours) ^ set(theirs))
    more = f" and {len(odd) - NAMED} more" if len(odd) > NAMED else ""
    return (
        "Candidate and live did not sit the same tickets; only one of them answered "
        f"{', '.join(repr(ticket) for ticket in odd[:NAMED])}{more}."
    )
