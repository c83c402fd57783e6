"""Candidates: what an adapter learned, how it did against live, and a person's yes or no."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from sqlmodel import Session

from feedback import (
    adapters,
    audit,
    cycles,
    decisions,
    exams,
    excepted,
    incidents,
    influence,
    judge_figures,
    judgements,
    learned,
    lineage,
    promotions,
    rechecks,
    trials,
)
from feedback.choices import choices
from feedback.confusion import Confusion
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.desk_tables import RecheckState
from feedback.errors import Conflict, NotFound
from feedback.exams import Answered
from feedback.judgements import Tally
from feedback.measures import DECIDING, MUST_NOT_SAY_BROKEN, MUST_SAY_BROKEN
from feedback.tables import Adapter, Cycle, CycleState, Decision, Promotion, Ticket
from service.console import charts, forms
from service.console.charts import Bar
from service.console.differences import changes
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import OPERATORS, STAFF

router = APIRouter(prefix="/console/{assistant}/candidates", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Operator = Annotated[Seat, Depends(seat(*OPERATORS))]
Reason = Annotated[str, Form(max_length=2000)]
Expected = Annotated[str, Form(max_length=200)]
Topics = Annotated[list[str] | None, Form(max_length=1000)]
Order = Literal["worse", "better"]

PAGE = 20
LOST = 50
"""So many lost corrections are listed, the newest."""
RULES = (MUST_SAY_BROKEN, MUST_NOT_SAY_BROKEN)


@dataclass(frozen=True)
class Said:
    """One side's answer to a ticket, as the page shows it."""

    text: str
    error: str | None
    value: float | None
    broken: list[str]
    """What it breaks, in sentences."""


@dataclass(frozen=True)
class Pair:
    """Both answers to one ticket, with what the candidate says differently."""

    ticket: Ticket
    candidate: Said
    live: Said
    changes: list[tuple[str, str]]

    @property
    def gain(self) -> float | None:
        """How much better the candidate is; None where one side has no score."""
        ours, theirs = self.candidate.value, self.live.value
        return None if ours is None or theirs is None else ours - theirs

    @property
    def breaks_rules(self) -> bool:
        """Whether the candidate breaks a rule here."""
        return bool(self.candidate.broken)


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with its drawings."""

    decision: Decision
    opponent: str
    unit: str
    whisker: Markup | None
    bars: Markup | None
    broken: list[tuple[str, int, int]]
    """Per kind of rule: how often the candidate and how often live broke it."""


@dataclass(frozen=True)
class Chosen:
    """A choice of the candidate's answers and of live's."""

    title: str
    ours: Confusion
    theirs: Confusion | None


@router.get("")
def show_all(request: Request, here: OfStaff) -> HTMLResponse:
    """Every adapter with the gate's verdict, newest first."""
    with reading(request.app.state.database) as session:
        live, promotion = (
            adapters.live_adapter(session, here.desk),
            adapters.live(session, here.desk),
        )
        found = [
            (each, decisions.of_adapter(session, each), _cycle_of(session, each))
            for each in adapters.every(session, here.desk)
        ]
    return page(
        request,
        here,
        "candidates.html",
        found=found,
        live=live,
        live_but=promotion,
        AWAITING=CycleState.AWAITING,
    )


@router.get("/{name}")
def show(
    request: Request,
    here: OfStaff,
    name: str,
    order: Order = "worse",
    rules: bool = False,
    topic: str = "",
    start: int = 0,
    done: str = "",
) -> HTMLResponse:
    """One adapter: verdict, answers beside live's, and everything it came from."""
    with reading(request.app.state.database) as session:
        adapter = own_adapter(session, here, name)
        decision = decisions.of_adapter(session, adapter)
        pairs = _pairs(session, decision) if decision else []
        context = {
            "chosen": _chosen(session, here, decision) if decision else [],
            "adapter": adapter,
            "verdict": _verdict(session, decision, pairs) if decision else None,
            "judges": _judges(session, here, decision) if decision else [],
            "cycle": _cycle_of(session, adapter),
            "swap": adapters.last_swap(session, adapter),
            **_standing(session, here, adapter),
            "staying": _staying(session, here, adapter, decision),
            **_origin(session, here, adapter),
            "rechecked": _rechecked(session, here, adapter),
        }
    picked = _picked(pairs, order, rules, topic)
    start = max(0, start)
    return page(
        request,
        here,
        "candidate.html",
        pairs=picked[start : start + PAGE],
        count=len(picked),
        topics=sorted({pair.ticket.topic for pair in pairs if pair.ticket.topic}),
        order=order,
        rules=rules,
        topic=topic,
        start=start,
        PAGE=PAGE,
        AWAITING=CycleState.AWAITING,
        said=forms.said(done),
        **context,
    )


@router.get("/{name}/influences")
def show_influences(request: Request, here: Operator, name: str) -> HTMLResponse:
    """The corrections that its exam answers sound like most."""
    with reading(request.app.state.database) as session:
        adapter = own_adapter(session, here, name)
        found = influence.influences(session, adapter)
    return page(request, here, "influences.html", adapter=adapter, found=found)


@router.post("/{name}/promote")
def promote(
    request: Request,
    here: Operator,
    name: str,
    reason: Reason = "",
    expected: Expected = "",
    except_topics: Topics = None,
) -> Response:
    """Make it live, for all topics or but for some, if what the page named as live still is and enough
    engines compute it.
    """
    why, topics = forms.reason_given(reason), except_topics or []
    with writing(request.app.state.database) as session:
        adapters.check_expected(session, here.desk, expected or None)
        adapter = own_adapter(session, here, name)
        decision = decisions.of_adapter(session, adapter)
        before = adapters.live_adapter(session, here.desk)
        decided = decision.id if decision else None
        asked = promotions.request(
            session, here.desk, adapter, here.caller.name, why, decided, except_topics=topics
        )
        detail: dict[str, Any] = {"reason": why, "before": before.name if before else adapters.BASE}
        if topics:
            detail["except_topics"] = topics
        _note(session, here, "adapter.promote", name, **detail)
    done = forms.became(request, asked.id, "promoted_but" if topics else "promoted")
    return forms.back(here, f"candidates/{name}", done)


@router.post("/{name}/reject")
def reject(request: Request, here: Operator, name: str, reason: Reason = "") -> Response:
    """Say no to a candidate that waits for a decision."""
    why = forms.reason_given(reason)
    with writing(request.app.state.database) as session:
        cycle = _cycle_of(session, own_adapter(session, here, name))
        if cycle is None:
            raise Conflict(f"{name!r} came from no cycle, so nothing waits for a decision on it.")
        cycles.reject(session, cycle, here.caller.name, why)
        _note(session, here, "adapter.reject", name, reason=why)
    return forms.back(here, f"candidates/{name}", "candidate_rejected")


def own_adapter(session: Session, here: Seat, name: str) -> Adapter:
    """This assistant's adapter of that name; the same NotFound for another's and for nobody's."""
    try:
        adapter = adapters.get(session, name)
    except NotFound:
        raise NotFound(f"There is no adapter {name!r}.") from None
    if adapter.assistant_id != here.desk.id:
        raise NotFound(f"There is no adapter {name!r}.")
    return adapter


def _cycle_of(session: Session, adapter: Adapter) -> Cycle | None:
    return cycles.get(session, adapter.cycle_id) if adapter.cycle_id else None


def _note(session: Session, here: Seat, act: str, subject: str, **detail: Any) -> None:
    actor = here.caller.actor(here.desk.id)
    audit.record(session, actor, act, subject, here.desk.id, **detail)


# What was decided, and the answers behind it


def _pairs(session: Session, decision: Decision) -> list[Pair]:
    """Both answers to every ticket that both sat."""
    ours, theirs = decisions.runs_of(session, decision)
    of_live = {one.ticket.id: one for one in exams.answers(session, theirs)}
    return [
        _pair(one, of_live[one.ticket.id], decision.metric)
        for one in exams.answers(session, ours)
        if one.ticket.id in of_live
    ]


def _chosen(session: Session, here: Seat, decision: Decision) -> list[Chosen]:
    """What both runs chose, where there was something to choose."""
    desk = desk_of(here.desk)
    ours, theirs = (
        choices(exams.answers(session, run), desk) for run in decisions.runs_of(session, decision)
    )
    both = (
        ("Topics", ours.topics, theirs.topics),
        ("Hand-overs", ours.handovers, theirs.handovers),
    )
    return [Chosen(title, mine, other) for title, mine, other in both if mine]


def _pair(ours: Answered, theirs: Answered, metric: str) -> Pair:
    candidate, live = _said(ours, metric), _said(theirs, metric)
    return Pair(ours.ticket, candidate, live, changes(live.text, candidate.text))


def _said(one: Answered, metric: str) -> Said:
    values = {score.metric: score for score in one.scores}
    decided = values.get(metric)
    broken = [values[rule].reason for rule in RULES if rule in values and values[rule].value]
    return Said(one.answer.text, one.answer.error, decided.value if decided else None, broken)


def _picked(pairs: list[Pair], order: Order, rules: bool, topic: str) -> list[Pair]:
    """What the filters leave, in the order asked for; what could not be scored comes first."""
    found = [
        pair
        for pair in pairs
        if (not rules or pair.breaks_rules) and (not topic or pair.ticket.topic == topic)
    ]
    sign = 1 if order == "worse" else -1
    return sorted(found, key=lambda pair: (pair.gain is not None, sign * (pair.gain or 0.0)))


def _verdict(session: Session, decision: Decision, pairs: list[Pair]) -> Verdict:
    decides = DECIDING.get(decision.metric)  # of old decisions the metric may be gone
    unit = decides.short if decides else decision.metric
    _, theirs = decisions.runs_of(session, decision)
    measured = None
    if (
        decision.gain is not None
        and decision.gain_low is not None
        and decision.gain_high is not None
    ):
        measured = charts.whisker(
            "gain", unit, decision.gain, decision.gain_low, decision.gain_high
        )
    rows = [
        Bar(one["topic"] or "no topic", one["gain"], f"{one['tickets']} tickets")
        for one in decision.topics
    ]
    ours_broken = Counter(reason for pair in pairs for reason in _kinds(pair.candidate))
    theirs_broken = Counter(reason for pair in pairs for reason in _kinds(pair.live))
    return Verdict(
        decision,
        exams.sitter(session, theirs),
        unit,
        measured,
        charts.bars("topics", f"Gain per topic in {unit}", rows) if rows else None,
        [
            ("leaves out what it must say", ours_broken["must"], theirs_broken["must"]),
            ("says what it must not", ours_broken["must not"], theirs_broken["must not"]),
        ],
    )


def _kinds(said: Said) -> list[str]:
    """Which kinds of rules an answer breaks; the scores' reasons begin alike."""
    return [
        "must" if reason.startswith("It does not say") else "must not" for reason in said.broken
    ]


def _judges(session: Session, here: Seat, decision: Decision) -> list[tuple[Tally, list[str]]]:
    """What each judging model made of the answers, and how far people can trust it, in sentences."""
    checks = judgements.latest_checks(session, here.desk)
    return [
        (
            tally,
            [
                sentence
                for row in checks
                if row.judge == tally.judge
                for sentence in judge_figures.sentences(row)
            ],
        )
        for tally in judgements.tallies(session, decision)
    ]


# Where it stands and what it came from


def _standing(session: Session, here: Seat, adapter: Adapter) -> dict[str, Any]:
    """Whether it is or was live, and what would change if it were promoted."""
    live, promotion = adapters.live_adapter(session, here.desk), adapters.live(session, here.desk)
    past = [each for each in adapters.history(session, here.desk) if each.adapter_id == adapter.id]
    return {
        "is_live": live is not None and live.id == adapter.id,
        "live_name": live.name if live else "the base model",
        "expected": live.name if live else adapters.BASE,
        "exception": excepted.in_words(session, promotion),
        "answers_topics": excepted.topics_of(promotion, adapter),
        "promotions": [(each, excepted.in_words(session, each)) for each in past],
        "back_to": _name_of(session, adapters.back_to(session, here.desk)) if live else None,
        "trial": trials.running(session, here.desk),
        "fits": adapter.base_model == here.desk.base_model,
    }


def _rechecked(session: Session, here: Seat, adapter: Adapter) -> dict[str, Any]:
    """Its corrections asked again: how many are right, and what it lost."""
    states = rechecks.tally(session, here.desk, adapter)
    lost = rechecks.lost_by(session, here.desk, adapter, LOST)
    questions = learned.questions_of(session, [message for _, message in lost])
    return {
        "states": states,
        "progress": rechecks.progress(session, here.desk),
        "lost": [(word, questions[message.id]) for word, message in lost],
        "more_lost": states.get(RecheckState.REGRESSED, 0) - len(lost),
        "tickets": incidents.that_are_tickets(session, [word.id for word, _ in lost]),
    }


@dataclass(frozen=True)
class Staying:
    """A topic that may stay with what answers it now."""

    topic: str
    speaker: str
    loses: bool
    """Whether the gate found the candidate worse in it."""
    ticked: bool


def _staying(
    session: Session, here: Seat, adapter: Adapter, decision: Decision | None
) -> list[Staying]:
    """The topics that something else answers now; ticked are those that the candidate loses, or else
    those that are excepted already: its exam says nothing of what answers these.
    """
    live = adapters.live(session, here.desk)
    topics = [
        topic
        for topic in excepted.choosable(here.desk, live)
        if excepted.speaker(live, topic) != adapter.id
    ]
    losing = [topic for topic in topics if decision and topic in decision.losing_topics]
    ticked = losing or (live.except_topics if live else [])
    return [
        Staying(
            topic,
            excepted.name_of(session, excepted.speaker(live, topic)),
            topic in losing,
            topic in ticked,
        )
        for topic in topics
    ]


def _name_of(session: Session, promotion: Promotion | None) -> str:
    adapter = adapters.by_id(session, promotion.adapter_id) if promotion else None
    return adapter.name if adapter else "the base model"


def _origin(session: Session, here: Seat, adapter: Adapter) -> dict[str, Any]:
    """The data and the people behind an adapter, and what came before and after it."""
    rows = lineage.feedback_behind(session, adapter)
    line = adapters.every(session, here.desk)
    at = next(number for number, each in enumerate(line) if each.id == adapter.id)
    return {
        "datasets": adapters.datasets_of(session, adapter),
        "authors": Counter(row.author for row in rows).most_common(),
        "taught": len(rows),
        "customers": lineage.customers_behind(session, adapter),
        "newer": line[at - 1] if at else None,
        "older": line[at + 1] if at + 1 < len(line) else None,
    }
