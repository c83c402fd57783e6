"""A run or a decision with everything it rests on, in a sentence and as dicts for JSON.

It decides nothing; render.py draws it for a terminal. Used by commands.py, the demo and the loop's log.
"""

from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sqlmodel import Session

from evals import results
from evals.by_topic import TopicGain, by_topic
from feedback import exams
from feedback.choices import Choices, choices
from feedback.desk import desk_of
from feedback.exams import Answered
from feedback.measures import CHRF, DECIDING, MEASURES
from feedback.tables import Assistant, Decision, EvalRun, Ticket
from feedback.tickets import question_of

PARTS = ("topic", "tickets", "candidate", "live")


@dataclass(frozen=True)
class Sat:
    """One run with everything it left."""

    run: EvalRun
    name: str
    """The adapter's name, or 'base'."""
    prompt_version: int
    answers: list[Answered]
    choices: Choices
    """Which topics it chose, and when a person should take over."""

    @property
    def means(self) -> dict[str, float | None]:
        """The mean of each metric over the answers that have a value; None: none has."""
        return {metric: self._mean(metric) for metric in MEASURES}

    def count(self, metric: str) -> int:
        """How many answers have a value of a metric."""
        return sum(value_of(one, metric) is not None for one in self.answers)

    @property
    def failed(self) -> int:
        """How many tickets got no answer."""
        return sum(one.answer.error is not None for one in self.answers)

    @property
    def cached(self) -> int:
        """How many answers were known from earlier exams."""
        return sum(one.answer.cached for one in self.answers)

    def _mean(self, metric: str) -> float | None:
        found = [value for one in self.answers if (value := value_of(one, metric)) is not None]
        return fmean(found) if found else None


@dataclass(frozen=True)
class Pair:
    """Both answers to one ticket."""

    ticket: Ticket
    candidate: Answered
    live: Answered
    gain: float | None


@dataclass(frozen=True)
class Report:
    """A decision with the two runs it rests on."""

    decision: Decision
    candidate: Sat
    live: Sat

    @property
    def paired_by(self) -> str:
        """The metric of the pairs' gains: the gate's own, or chrF where that is of no single answer."""
        metric = self.decision.metric
        known = any(value_of(one, metric) is not None for one in self.candidate.answers)
        return metric if known else CHRF

    @property
    def pairs(self) -> list[Pair]:
        """Both answers to each ticket that both were asked, largest gain first."""
        theirs = {one.ticket.id: one for one in self.live.answers}
        metric = self.paired_by
        pairs = [
            Pair(one.ticket, one, other, _gain(one, other, metric))
            for one in self.candidate.answers
            if (other := theirs.get(one.ticket.id))
        ]
        return sorted(pairs, key=lambda pair: -(pair.gain or 0.0))

    @property
    def topics(self) -> list[TopicGain]:
        """The gain of each topic, largest first: as stored, or worked out where there was no verdict."""
        if stored := self.decision.topics:
            return [TopicGain(*(one[part] for part in PARTS)) for one in stored]
        ours, theirs = (
            [results.result_of(one) for one in sat.answers] for sat in (self.candidate, self.live)
        )
        return by_topic(ours, theirs, self.decision.metric)


def load_run(session: Session, run: EvalRun) -> Sat:
    """A run with everything it left so far."""
    answers = exams.answers(session, run)
    desk = desk_of(session.get_one(Assistant, run.assistant_id))
    return Sat(
        run=run,
        name=exams.sitter(session, run),
        prompt_version=exams.prompt_version(session, run),
        answers=answers,
        choices=choices(answers, desk),
    )


def load(session: Session, decision: Decision) -> Report:
    """A decision with everything it rests on."""
    ours = session.get_one(EvalRun, decision.candidate_run_id)
    theirs = session.get_one(EvalRun, decision.live_run_id)
    return Report(decision, load_run(session, ours), load_run(session, theirs))


def value_of(one: Answered, metric: str) -> float | None:
    """A score of an answer, if there is one."""
    return next((score.value for score in one.scores if score.metric == metric), None)


def _gain(ours: Answered, theirs: Answered, metric: str) -> float | None:
    mine, others = value_of(ours, metric), value_of(theirs, metric)
    return None if mine is None or others is None else mine - others


def sentence(report: Report) -> str:
    """The verdict in one sentence."""
    decision, ours, theirs = report.decision, report.candidate.name, report.live.name
    verdict = (
        f"{ours} may go live in place of {theirs}"
        if decision.promote
        else f"{ours} may not go live; {theirs} stays"
    )
    return f"{verdict}: {measured(decision)}."


def measured(decision: Decision) -> str:
    """The gain with its interval, or that there is none."""
    metric = DECIDING[decision.metric].title if decision.metric in DECIDING else decision.metric
    if decision.gain is None:
        return f"no gain in {metric} could be measured on {decision.tickets} tickets"
    return (
        f"{decision.gain:+.3g} in {metric} on {decision.tickets} held-out tickets "
        f"({decision.gate['confidence'] * 100:g} % interval {decision.gain_low:+.3g} to "
        f"{decision.gain_high:+.3g})"
    )


def as_dict(report: Report) -> dict[str, Any]:
    """Everything about a decision, ready for JSON."""
    decision = report.decision
    return {
        **summary(report),
        "gate": decision.gate,
        "batching": decision.detail.get("batching"),
        "topics": [
            {
                "topic": topic.topic,
                "tickets": topic.tickets,
                "candidate": topic.candidate,
                "live": topic.live,
                "gain": topic.gain,
            }
            for topic in report.topics
        ],
        "tickets": [
            {
                "ticket": pair.ticket.external_id,
                "topic": pair.ticket.topic,
                "question": question_of(pair.ticket),
                "reference": pair.ticket.reference,
                "gain": pair.gain,
                "candidate": _answer_as_dict(pair.candidate),
                "live": _answer_as_dict(pair.live),
            }
            for pair in report.pairs
        ],
    }


def summary(report: Report) -> dict[str, Any]:
    """A decision without its tickets, ready for JSON."""
    decision = report.decision
    return {
        "decision": decision.id,
        "cycle": decision.cycle_id,
        "created_at": decision.created_at.isoformat(),
        "promote": decision.promote,
        "sentence": sentence(report),
        "reasons": decision.reasons,
        "metric": decision.metric,
        "ticket_count": decision.tickets,
        "gain": decision.gain,
        "gain_low": decision.gain_low,
        "gain_high": decision.gain_high,
        "candidate": run_summary(report.candidate),
        "live": run_summary(report.live),
    }


def run_as_dict(sat: Sat) -> dict[str, Any]:
    """A run and its answers, ready for JSON."""
    return {
        **run_summary(sat),
        "answers": [
            {
                "ticket": one.ticket.external_id,
                "topic": one.ticket.topic,
                "question": question_of(one.ticket),
                "reference": one.ticket.reference,
                **_answer_as_dict(one),
            }
            for one in sat.answers
        ],
    }


def run_summary(sat: Sat) -> dict[str, Any]:
    """A run without its answers, ready for JSON."""
    finished = sat.run.finished_at
    return {
        "run": sat.run.id,
        "cycle": sat.run.cycle_id,
        "adapter": sat.name,
        "prompt_version": sat.prompt_version,
        "created_at": sat.run.created_at.isoformat(),
        "finished_at": finished.isoformat() if finished else None,
        "ticket_count": sat.run.tickets,
        "answered": len(sat.answers) - sat.failed,
        "cached": sat.cached,
        "sampling": sat.run.sampling,
        "means": sat.means,
        "choices": sat.choices.as_dict(),
    }


def _answer_as_dict(one: Answered) -> dict[str, Any]:
    return {
        "text": one.answer.text,
        "chosen_topic": one.answer.topic,
        "error": one.answer.error,
        "completion_tokens": one.answer.completion_tokens,
        "latency_ms": one.answer.latency_ms,
        "scores": {
            score.metric: {"value": score.value, "reason": score.reason} for score in one.scores
        },
    }
