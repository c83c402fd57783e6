"""The sections of a model card on results: what the gate said and why, in numbers; and what was forgotten.

The gate's own sentences may quote an answer, so none of them stands here: it is said anew from the numbers.
"""

from typing import Any

from sqlmodel import Session

from feedback import decisions, exams, forgetting
from feedback.adapters import BASE
from feedback.card_shape import Part, Section, Table
from feedback.forgetting import By
from feedback.measures import MUST_NOT_SAY_BROKEN, MUST_SAY_BROKEN, title
from feedback.tables import Adapter, Assistant, Decision, EvalRun

RULES = {
    MUST_SAY_BROKEN: "leaves out what it must say",
    MUST_NOT_SAY_BROKEN: "says what it must not",
}


def section(session: Session, owner: Assistant, adapter: Adapter) -> Section:
    """The newest decision on an adapter: verdict, gain, guardrails, topics and rules."""
    decision = decisions.of_adapter(session, adapter)
    if decision is None:
        return Section(
            "Results", ["It sat no exam: nobody knows whether it is better than another."]
        )
    ours, theirs = decisions.runs_of(session, decision)
    parts: list[Part] = [
        _verdict(decision, exams.sitter(session, theirs)),
        *_sealed(decisions.sealed_of(session, decision)),
        *_guardrails(decision),
        *_topics(owner, decision),
        _rules(session, ours, theirs),
    ]
    return Section("Results", parts)


def _verdict(decision: Decision, opponent: str) -> str:
    against = "the base model" if opponent == BASE else opponent
    passed = "It passed its exam" if decision.promote else "It was refused after its exam"
    on = f"on {decision.created_at:%Y-%m-%d} against {against}, which was live then"
    if decision.gain is None:
        return f"{passed} {on}: nothing could be concluded from {decision.tickets} tickets."
    moved = "rises" if decision.gain > 0 else "falls" if decision.gain < 0 else "does not move"
    what = title(decision.metric)
    return (
        f"{passed} {on}: {what} {moved} by {abs(decision.gain):.3g} on average ({_interval(decision)}) "
        f"on {decision.tickets} held-out tickets.{_vetoes(decision)}"
    )


def _interval(decision: Decision) -> str:
    confidence = float(decision.gate.get("confidence", 0.95)) * 100
    return f"{confidence:g} % interval {decision.gain_low:+.3g} to {decision.gain_high:+.3g}"


def _vetoes(decision: Decision) -> str:
    count = len(decision.detail.get("vetoes") or [])
    return (
        f" {count} {'veto' if count == 1 else 'vetoes'} for harm or for forgotten rules."
        if count
        else ""
    )


def _sealed(decision: Decision | None) -> list[Part]:
    if decision is None:
        return []
    did = "do not speak against it" if decision.promote else "speak against it"
    return [f"The {decision.tickets} sealed tickets, asked at the end, {did}."]


def _guardrails(decision: Decision) -> list[Part]:
    rows = [
        (
            title(each["metric"]),
            _figure(each["candidate"]),
            _figure(each["live"]),
            _figure(each["margin"]),
            "yes" if each["passed"] else "no",
        )
        for each in decision.guardrails
    ]
    head = ("guardrail", "this adapter", "live then", "margin", "held")
    return [Table(head, rows)] if rows else []


def _topics(owner: Assistant, decision: Decision) -> list[Part]:
    rows = [
        (
            _name_of(each["topic"], owner),
            str(each["tickets"]),
            f"{each['gain']:+.3g}",
            "loses" if each["topic"] in decision.losing_topics else "",
        )
        for each in decision.topics
    ]
    return [Table(("topic", "tickets", "gain", ""), rows)] if rows else []


def _name_of(topic: str | None, owner: Assistant) -> str:
    """Only the assistant's own topics are named: another may be what an import brought."""
    if not topic:
        return "no topic"
    return topic if topic in owner.topics else "another topic"


def _rules(session: Session, ours: EvalRun, theirs: EvalRun) -> Table:
    """Answers that break a rule of their ticket, of each side."""
    counted = [_broken(session, run) for run in (ours, theirs)]
    rows = [(what, *(str(each[rule]) for each in counted)) for rule, what in RULES.items()]
    return Table(("answers in which it", "this adapter", "live then"), rows)


def _broken(session: Session, run: EvalRun) -> dict[str, int]:
    scores = [score for one in exams.answers(session, run) for score in one.scores]
    return {
        rule: sum(each.metric == rule and bool(each.value) for each in scores) for rule in RULES
    }


def forgotten(session: Session, owner: Assistant, adapter: Adapter) -> Section | None:
    """What it still knows of each lesson, once it was live and corrections were asked again."""
    found = forgetting.forgetting(session, owner, By.LESSON)
    rows = [
        (lesson, f"{cell.value:.0%}", str(cell.number), _change(cell.change))
        for lesson in found.groups
        if (cell := found.fixed.get((adapter.id, lesson)))
    ]
    if not rows:
        return None
    parts: list[Part] = [
        "Corrections asked again of it, by the adapter that was the first to learn them:",
        Table(("first learned by", "right now", "corrections", "against the one before"), rows),
    ]
    if found.backward_transfer is not None and found.adapters[-1].id == adapter.id:
        parts.append(f"Backward transfer: {found.backward_transfer:+.3f}; below 0 it forgets.")
    return Section("Forgetting", parts)


def _change(change: float | None) -> str:
    return "-" if change is None else f"{change:+.0%}"


def _figure(value: Any) -> str:
    return f"{value:.3g}"
