"""Both sides of an exam compared: every metric with its interval, rules by ticket, answers in pairs.

Pure: it turns what report.py loaded into the record's shapes and decides nothing.
"""

import math

from evals import bootstrap, results
from evals.record_shapes import Broken, Compared, Mark, Pair, Rules, Said, Statistics, Topic
from evals.report import Pair as Answers
from evals.report import Report, value_of
from feedback.exams import Answered
from feedback.measures import MEASURES, title
from feedback.tickets import question_of


def is_fault(metric: str) -> bool:
    """Whether more of it is worse; any value above 0 is then a broken rule."""
    return metric in MEASURES and MEASURES[metric].more_is_better is False


def pairs(report: Report) -> list[Pair]:
    """Every ticket with both answers, in the report's order."""
    return [_pair(each) for each in report.pairs]


def statistics(report: Report, gains: list[float | None]) -> Statistics:
    """The numbers behind the verdict, and on how many tickets who was ahead."""
    decision = report.decision
    scored = [gain for gain in gains if gain is not None]
    return Statistics(
        metric=decision.metric,
        title=title(decision.metric),
        tickets=decision.tickets,
        gain=decision.gain,
        low=decision.gain_low,
        high=decision.gain_high,
        confidence=decision.gate["confidence"],
        paired_by=report.paired_by,
        better=sum(gain > 0 for gain in scored),
        worse=sum(gain < 0 for gain in scored),
        same=sum(gain == 0 for gain in scored),
        unscored=len(gains) - len(scored),
        alpha=decision.alpha,
        evidence=decision.evidence,
        needed=decision.detail.get("needed", 1 / decision.alpha if decision.alpha else None),
    )


def topics(report: Report) -> list[Topic]:
    """How both did per topic: as the gate stored it, or worked out where there was no verdict."""
    if stored := report.decision.topics:
        return [
            Topic(**{name: each[name] for name in Topic.model_fields if name in each})
            for each in stored
        ]
    return [
        Topic(
            topic=each.topic,
            tickets=each.tickets,
            candidate=each.candidate,
            live=each.live,
            gain=each.gain,
        )
        for each in report.topics
    ]


def metrics(report: Report, samples: int) -> list[Compared]:
    """Every metric that was stored, the one that decided first, then by name."""
    first = report.decision.metric
    stored = {
        score.metric
        for pair in report.pairs
        for side in (pair.candidate, pair.live)
        for score in side.scores
    }
    order = sorted(stored, key=lambda metric: (metric != first, is_fault(metric), metric))
    return [_compared(report, metric, samples) for metric in order]


def rules(report: Report) -> Rules:
    """On which tickets a rule was broken, by whom, and how."""
    rows = [
        Broken(
            ticket=pair.ticket.external_id,
            topic=pair.ticket.topic,
            candidate=_broken(pair.candidate),
            live=_broken(pair.live),
        )
        for pair in report.pairs
    ]
    return Rules(
        checked=len(rows),
        kept_by_both=sum(not row.candidate and not row.live for row in rows),
        only_candidate=sum(bool(row.candidate) and not row.live for row in rows),
        only_live=sum(bool(row.live) and not row.candidate for row in rows),
        both=sum(bool(row.candidate) and bool(row.live) for row in rows),
        broken=sorted(
            (row for row in rows if row.candidate or row.live),
            key=lambda row: (not row.candidate, bool(row.live), row.ticket),
        ),
    )


def _broken(one: Answered) -> list[str]:
    return [score.reason for score in one.scores if is_fault(score.metric) and score.value]


def _compared(report: Report, metric: str, samples: int) -> Compared:
    both, unscored = [], 0
    for pair in report.pairs:
        ours, theirs = (value_of(side, metric) for side in (pair.candidate, pair.live))
        unscored += _could_not(pair.candidate, metric) + _could_not(pair.live, metric)
        if ours is not None and theirs is not None and math.isfinite(ours - theirs):
            both.append((ours, theirs, results.result_of(pair.candidate).cluster))
    told = Compared(
        metric=metric, title=title(metric), less_is_better=is_fault(metric), tickets=len(both),
        candidate=None, live=None, difference=None, unscored=unscored,
    )  # fmt: skip
    if not both:
        return told
    mine, others, clusters = (list(column) for column in zip(*both, strict=True))
    told.candidate, told.live = sum(mine) / len(both), sum(others) / len(both)
    told.difference = told.candidate - told.live
    confidence = report.decision.gate["confidence"]
    if len(set(clusters)) >= bootstrap.fewest_clusters(confidence):
        interval = bootstrap.paired(mine, others, clusters, confidence, samples)
        told.low, told.high = interval.low, interval.high
    return told


def _could_not(one: Answered, metric: str) -> int:
    """1 where a row says that the metric could not be had; a metric that does not apply has no row."""
    return sum(score.metric == metric and score.value is None for score in one.scores)


def _pair(both: Answers) -> Pair:
    ticket = both.ticket
    return Pair(
        ticket=ticket.external_id,
        topic=ticket.topic,
        expects=str(ticket.expects),
        origin=str(ticket.origin),
        earlier_messages=max(0, len(ticket.context) - 1),
        question=question_of(ticket),
        reference=ticket.reference,
        gain=both.gain,
        candidate=_said(both.candidate),
        live=_said(both.live),
    )


def _said(one: Answered) -> Said:
    answer = one.answer
    return Said(
        text=answer.text,
        error=answer.error,
        cached=answer.cached,
        completion_tokens=answer.completion_tokens,
        latency_ms=answer.latency_ms,
        topic=answer.topic,
        scores={score.metric: Mark(value=score.value, reason=score.reason) for score in one.scores},
    )
