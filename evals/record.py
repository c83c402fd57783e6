"""An exam written down: verdict, people, hashes, numbers, answers, lineage, for whoever must sign it.

It gathers what others stored and decides nothing. page.py prints it; commands.py and record_doors.py hand it
out.
"""

import hashlib

from sqlmodel import Session

from evals import comparing, report, sides
from evals.record_shapes import (
    Act,
    ExamRecord,
    Guardrail,
    Judged,
    Outcome,
    Sealed,
    Spent,
    Voted,
)
from evals.report import Report
from evals.settings import evals_settings
from feedback import adapters, audit, cycles, decisions, judgements, promotions, replays, votes
from feedback.canonical import canonical
from feedback.desk_tables import AuditEntry
from feedback.exam_tables import Choice
from feedback.measures import title
from feedback.swap_tables import PromotionRequest, RequestState
from feedback.tables import Assistant, Cycle, CycleState, Decision, Promotion

ELSEWHERE = ("vetoes", "needed")
"""What of a decision's detail has a field of its own in the record."""


def load(session: Session, decision: Decision) -> ExamRecord:
    """The record of a decision as everything stands now; `sha256` covers all the rest of it."""
    found = report.load(session, decision)
    assistant = session.get_one(Assistant, decision.assistant_id)
    pairs = comparing.pairs(found)
    acts = _acts(session, assistant, found)
    told = ExamRecord(
        decision=decision.id,
        decided_at=decision.created_at,
        assistant=assistant.name,
        assistant_title=assistant.title,
        cycle=decision.cycle_id,
        sealed=found.candidate.run.sealed,
        promote=decision.promote,
        sentence=report.sentence(found),
        reasons=decision.reasons,
        outcome=_outcome(session, assistant, found, acts),
        acts=acts,
        candidate=sides.side(session, assistant, found.candidate),
        live=sides.side(session, assistant, found.live),
        statistics=comparing.statistics(found, [pair.gain for pair in pairs]),
        gate=decision.gate,
        detail={name: each for name, each in decision.detail.items() if name not in ELSEWHERE},
        findings=decision.detail.get("vetoes", []),
        guardrails=[_guardrail(each) for each in decision.guardrails],
        topics=comparing.topics(found),
        losing_topics=decision.losing_topics,
        metrics=comparing.metrics(found, evals_settings().bootstrap_samples),
        rules=comparing.rules(found),
        pairs=pairs,
        sealed_exam=_sealed(session, decision),
        judges=_judges(session, decision),
        votes=_votes(session, decision),
        stages=_stages(session, decision),
        commands=_commands(assistant, found),
    )
    told.sha256 = fingerprint(told)
    return told


def fingerprint(told: ExamRecord) -> str:
    """SHA-256 over a record without its own hash: anybody who has the JSON can check it."""
    facts = told.model_dump(mode="json", exclude={"sha256"})
    return hashlib.sha256(canonical(facts).encode()).hexdigest()


def _guardrail(stored: dict[str, object]) -> Guardrail:
    known = {name: stored[name] for name in Guardrail.model_fields if name in stored}
    return Guardrail.model_validate({"title": title(str(stored["metric"])), **known})


# Who did what about it


def _acts(session: Session, assistant: Assistant, found: Report) -> list[Act]:
    """What people did about the candidate, oldest first."""
    acts = []
    if found.decision.cycle_id:
        cycle = cycles.get(session, found.decision.cycle_id)
        acts.append(_act("asked for the cycle", cycle.requested_by, cycle))
    for asked in _requests(session, assistant, found):
        acts.append(_act("asked for promotion", asked.requested_by, asked, asked.reason))
    for promotion in _promotions(session, assistant, found):
        what = "made it live again" if promotion.rolls_back else "made it live"
        acts.append(_act(what, promotion.approved_by, promotion, promotion.reason))
    for entry in audit.every(session, [assistant.id], act="adapter.reject", limit=None):
        if entry.subject == found.candidate.name:
            acts.append(_act("rejected it", entry.actor, entry, entry.detail.get("reason", "")))
    return sorted(acts, key=lambda act: act.when)


def _act(
    what: str, who: str, row: Cycle | PromotionRequest | Promotion | AuditEntry, why: str = ""
) -> Act:
    return Act(what=what, who=who, when=row.created_at, why=why)


def _requests(session: Session, assistant: Assistant, found: Report) -> list[PromotionRequest]:
    return [
        each
        for each in promotions.every(session, assistant)
        if _concerns(each, found) and not each.rolls_back
    ]


def _promotions(session: Session, assistant: Assistant, found: Report) -> list[Promotion]:
    """Newest first."""
    return [each for each in adapters.history(session, assistant) if _concerns(each, found)]


def _concerns(row: PromotionRequest | Promotion, found: Report) -> bool:
    """Whether it names this decision or, naming none, this adapter after it was decided on."""
    if row.decision_id is not None:
        return row.decision_id == found.decision.id
    same = row.adapter_id is not None and row.adapter_id == found.candidate.run.adapter_id
    return same and row.created_at >= found.decision.created_at


def _outcome(session: Session, assistant: Assistant, found: Report, acts: list[Act]) -> Outcome:
    """What became of the candidate, in a sentence that names who decided."""
    name = found.candidate.name
    if promoted := _promotions(session, assistant, found):
        return _went_live(session, assistant, name, promoted[0], found.decision)
    if rejections := [act for act in acts if act.what == "rejected it"]:
        last = rejections[-1]
        why = f"{last.who} rejected {name}: {last.why}"
        return Outcome(state="rejected", sentence=why)
    if not found.decision.promote:
        return Outcome(state="refused", sentence="Nobody let it go live: the gate refused it.")
    if found.candidate.run.sealed:
        return Outcome(state="confirmed", sentence="The sealed tickets do not speak against it.")
    return _not_yet(session, assistant, found)


def _went_live(
    session: Session, assistant: Assistant, name: str, promotion: Promotion, decision: Decision
) -> Outcome:
    current = adapters.live(session, assistant)
    is_live = current is not None and current.adapter_id == promotion.adapter_id
    against = "" if decision.promote else ", although the gate had refused it"
    rest = f", except for {', '.join(promotion.except_topics)}" if promotion.except_topics else ""
    return Outcome(
        state="live" if is_live else "was live",
        sentence=f"{promotion.approved_by} made {name} live{rest}{against}."
        + ("" if is_live else " It is live no longer."),
    )


def _not_yet(session: Session, assistant: Assistant, found: Report) -> Outcome:
    asked = _requests(session, assistant, found)
    if asked and asked[0].state == RequestState.REFUSED:
        return Outcome(state="rejected", sentence=f"It did not go live: {asked[0].outcome}")
    cycle = session.get(Cycle, found.decision.cycle_id) if found.decision.cycle_id else None
    if cycle and cycle.state == CycleState.REFUSED:
        return Outcome(state="rejected", sentence=cycle.reason or "It was refused later.")
    if cycle and cycle.state == CycleState.AWAITING:
        return Outcome(state="waits", sentence="It passed and waits for an operator's decision.")
    return Outcome(state="passed", sentence="It passed; nobody has made it live.")


# What else was said of it, and what it cost


def _sealed(session: Session, decision: Decision) -> Sealed | None:
    row = decisions.sealed_of(session, decision)
    if row is None:
        return None
    return Sealed(
        decision=row.id,
        promote=row.promote,
        tickets=row.tickets,
        reasons=row.reasons,
        gain=row.gain,
        low=row.gain_low,
        high=row.gain_high,
    )


def _judges(session: Session, decision: Decision) -> list[Judged]:
    found = []
    for each in judgements.tallies(session, decision):
        check = judgements.latest_check(session, decision.assistant_id, each.judge)
        found.append(
            Judged(
                judge=each.judge,
                candidate=each.candidate,
                tie=each.ties,
                live=each.live,
                unreadable=each.unscored,
                checked_on=check.pairs if check else None,
                agreed=check.agreed if check else None,
                figures=check.figures if check else {},
            )
        )
    return found


def _votes(session: Session, decision: Decision) -> list[Voted]:
    """Replays of the same two adapters that somebody voted on, oldest first."""
    ours, theirs = decisions.runs_of(session, decision)
    every = replays.between(session, decision.assistant_id, ours.adapter_id, theirs.adapter_id)
    counted = [(replay, votes.figures(session, replay)) for replay in every]
    return [
        Voted(
            replay=replay.id,
            since=replay.since,
            until=replay.until,
            voters=tally.voters,
            candidate=tally.sides[Choice.CANDIDATE],
            tie=tally.sides[Choice.TIE],
            live=tally.sides[Choice.LIVE],
        )
        for replay, tally in counted
        if tally.voters
    ]


def _stages(session: Session, decision: Decision) -> list[Spent]:
    if decision.cycle_id is None:
        return []
    return [
        Spent(
            stage=each.name,
            state=str(each.state),
            seconds=sides.seconds_between(each.started_at, each.finished_at),
        )
        for each in cycles.stages(session, cycles.get(session, decision.cycle_id))
    ]


def _commands(assistant: Assistant, found: Report) -> list[str]:
    return [
        f"understudy evals report {found.decision.id} --html report.html --json report.json",
        f"understudy evals compare --assistant {assistant.name} --candidate {found.candidate.name} "
        f"--against {found.live.name}",
    ]
