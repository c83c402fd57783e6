"""Trials: a candidate meets real customers before it is live, as a canary or as a shadow.

Starting, growing and ending. What happened in both arms is in trial_outcomes.py; whether that is worse is
judged by the service (service/trials.py).
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from feedback import adapters
from feedback.errors import Conflict, Invalid, NotFound
from feedback.swap_tables import (
    PromotionRequest,
    ProposalState,
    TicketProposal,
    Trial,
    TrialKind,
    TrialState,
)
from feedback.tables import (
    UNSEEN,
    Adapter,
    Assistant,
    Conversation,
    Feedback,
    Message,
    MessageState,
    Promotion,
    Role,
    Speaker,
    now,
)

CANDIDATE, LIVE = "candidate", "live"
"""The two arms of a canary."""
MARGINS = {"thumbs_down": 0.02, "handover": 0.03, "flag": 0.01, "error": 0.01, "slow": 0.03}
"""What is counted against an arm, per conversation, each of which happens or does not; and by how much
more often it may happen with the candidate, as a difference of rates, before that is a reason to roll back.
"""
SLOW_MS = 10_000
"""A first word later than this is slow, where too little was said to know what is usual."""


class TrialPolicy(BaseModel):
    """How a trial is judged and what may follow by itself."""

    model_config = ConfigDict(extra="forbid")

    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Chance of rolling back a candidate that is not worse."
    )
    alpha_pass: float = Field(
        0.05, gt=0, lt=0.5, description="Chance of calling a worse candidate no worse."
    )
    margins: dict[str, float] = Field(
        default_factory=lambda: dict(MARGINS),
        description="By signal, how much more often it may happen with the candidate: 0.02 is two "
        "points. A signal left out is not judged.",
    )
    window_seconds: float = Field(
        300.0,
        gt=0,
        description="A conversation counts for what happened within this time of its beginning.",
    )
    slow_ms: int | None = Field(
        None,
        gt=0,
        description="A first word later than this is slow. None: later than 95 % of the live "
        "adapter's were when the trial began.",
    )
    grow_to: list[float] = Field(
        default_factory=list,
        description="Shares to grow to, one after the other, each time it is shown to be no worse.",
    )
    promote: bool = Field(
        False, description="Ask for promotion once it is shown to be no worse at the last share."
    )


def start(
    session: Session,
    assistant: Assistant,
    adapter: Adapter,
    kind: TrialKind,
    share: float,
    started_by: str,
    reason: str,
    policy: TrialPolicy | None = None,
) -> Trial:
    """Begin a trial. One runs per assistant at a time."""
    adapters.lock(session, assistant)
    adapters.check_fits(session, assistant, adapter)
    policy = policy or TrialPolicy()
    _check_shares(share, policy)
    if other := running(session, assistant):
        raise Conflict(f"Trial {other.id!r} is running; stop it before another one begins.")
    live = adapters.live_adapter(session, assistant)
    if live is not None and live.id == adapter.id:
        raise Conflict(f"{adapter.name!r} is live; a trial compares another adapter with it.")
    kept = policy.model_dump()
    kept["slow_ms"] = policy.slow_ms or _usual_slowness_ms(session, assistant, live)
    trial = Trial(
        assistant_id=assistant.id,
        adapter_id=adapter.id,
        live_adapter_id=live.id if live else None,
        kind=kind,
        share=share,
        policy=kept,
        started_by=started_by,
        reason=reason,
    )
    session.add(trial)
    session.flush()
    return trial


def policy_from(given: dict[str, Any]) -> TrialPolicy:
    """A policy from outside, or Invalid naming what is wrong with it."""
    try:
        return TrialPolicy.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        what = ".".join(str(part) for part in problem["loc"])
        raise Invalid(f"Found {what} {problem['input']!r}: {problem['msg']}.") from None


def pairs(session: Session, trial: Trial, limit: int = 1000) -> list[tuple[Message, Message]]:
    """What the live adapter said and what the shadow would have said instead, oldest first."""
    said = aliased(Message)
    rows = session.exec(
        select(said, Message)
        .join(Message, col(Message.reply_to_id) == said.reply_to_id)
        .where(
            Message.state == MessageState.SHADOW,
            Message.adapter_id == trial.adapter_id,
            Message.created_at >= trial.created_at,
            col(said.state).not_in(UNSEEN),
            said.speaker == Speaker.ASSISTANT,
        )
        .order_by(col(Message.id).desc())
        .limit(limit)
    )
    return [(live, shadow) for live, shadow in rows][::-1]


def answer_that_went_wrong(session: Session, trial: Trial, conversation_id: str) -> Message | None:
    """The candidate's answer that a customer disliked, or else its first one in a conversation."""
    if trial.kind == TrialKind.SHADOW:
        return None
    answers = session.exec(
        select(Message)
        .where(
            Message.conversation_id == conversation_id,
            Message.adapter_id == trial.adapter_id,
            col(Message.state).not_in(UNSEEN),
        )
        .order_by(col(Message.position))
    ).all()
    disliked = set(
        session.exec(
            select(Feedback.message_id).where(
                col(Feedback.message_id).in_([each.id for each in answers]),
                Feedback.author_role == Role.CUSTOMER,
            )
        )
    )
    return next((each for each in answers if each.id in disliked), next(iter(answers), None))


def proposed_by(session: Session, trial: Trial) -> int:
    """How many of a trial's proposed tickets wait for a person."""
    return session.exec(
        select(func.count())
        .select_from(TicketProposal)
        .where(TicketProposal.trial_id == trial.id, TicketProposal.state == ProposalState.OPEN)
    ).one()


def kind_from(given: str) -> TrialKind:
    """A kind of trial from outside, or Invalid naming those there are."""
    try:
        return TrialKind(given)
    except ValueError:
        raise Invalid(f"Found {given!r}; expected one of {', '.join(TrialKind)}.") from None


def policy_of(trial: Trial) -> TrialPolicy:
    """How a trial is judged."""
    return TrialPolicy(**trial.policy)


def _check_shares(share: float, policy: TrialPolicy) -> None:
    unknown = sorted(policy.margins.keys() - MARGINS.keys())
    if unknown or not policy.margins or not all(0 <= m < 1 for m in policy.margins.values()):
        raise Invalid(
            f"Found the margins {policy.margins!r}; expected at least one of {', '.join(MARGINS)}, "
            "each from 0 up to 1."
        )
    shares = [share, *policy.grow_to]
    if not all(0 < each < 1 for each in shares) or shares != sorted(set(shares)):
        raise Invalid(
            f"Found the shares {shares!r}; expected numbers between 0 and 1, each larger than the "
            "one before: without a share for the live adapter there is nothing to compare with."
        )


def _usual_slowness_ms(session: Session, assistant: Assistant, live: Adapter | None) -> int:
    """The 95th percentile of the live adapter's last thousand first words; 10 s where there are few."""
    times = session.exec(
        select(Message.time_to_first_token_ms)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            Message.adapter_id == (live.id if live else None),
            col(Message.time_to_first_token_ms).is_not(None),
        )
        .order_by(col(Message.id).desc())
        .limit(1000)
    ).all()
    ordered = sorted(time for time in times if time is not None)
    return ordered[int(len(ordered) * 0.95)] if len(ordered) >= 20 else SLOW_MS


def running(session: Session, assistant: Assistant) -> Trial | None:
    """The trial under way, if any."""
    return session.exec(
        select(Trial).where(Trial.assistant_id == assistant.id, Trial.state == TrialState.RUNNING)
    ).first()


def all_running(session: Session) -> list[Trial]:
    """The trials under way, of every assistant."""
    return list(
        session.exec(select(Trial).where(Trial.state == TrialState.RUNNING).order_by(col(Trial.id)))
    )


def rolled_back(session: Session, assistant: Assistant) -> list[Trial]:
    """Trials that ended badly."""
    return list(
        session.exec(
            select(Trial).where(
                Trial.assistant_id == assistant.id, Trial.state == TrialState.ROLLED_BACK
            )
        )
    )


def every(session: Session, assistant: Assistant) -> list[Trial]:
    """An assistant's trials, newest first."""
    return list(
        session.exec(
            select(Trial).where(Trial.assistant_id == assistant.id).order_by(col(Trial.id).desc())
        )
    )


def get(session: Session, trial_id: str) -> Trial:
    """A trial, or NotFound."""
    found = session.get(Trial, trial_id)
    if found is None:
        raise NotFound(f"There is no trial {trial_id!r}.")
    return found


def end(session: Session, trial_id: str, state: TrialState, ended_by: str, outcome: str) -> bool:
    """End a trial; False when it had ended already. No new conversation begins under it."""
    trial = session.exec(select(Trial).where(Trial.id == trial_id).with_for_update()).one()
    session.refresh(trial)
    if trial.state != TrialState.RUNNING:
        return False
    trial.state, trial.outcome, trial.ended_by, trial.ended_at = state, outcome, ended_by, now()
    session.add(trial)
    session.flush()
    return True


def end_with(session: Session, promotion: Promotion) -> None:
    """Something went live: a running trial of it has reached its aim, any other has lost its yardstick."""
    assistant = session.get_one(Assistant, promotion.assistant_id)
    if trial := running(session, assistant):
        reached = trial.adapter_id == promotion.adapter_id
        state = TrialState.PROMOTED if reached else TrialState.STOPPED
        outcome = "It went live." if reached else "Something else went live meanwhile."
        end(session, trial.id, state, promotion.approved_by, outcome)


def did_not_go_live(session: Session, asked: PromotionRequest, why: str) -> None:
    """A trial had reached its aim, and then the engines refused the candidate."""
    newest = next(iter(every(session, session.get_one(Assistant, asked.assistant_id))), None)
    if newest and newest.state == TrialState.PROMOTED and newest.adapter_id == asked.adapter_id:
        newest.state, newest.outcome = TrialState.STOPPED, f"It did not go live: {why}"
        session.add(newest)


def stop(session: Session, trial: Trial, stopped_by: str, reason: str) -> Trial:
    """A person ends a trial: the candidate takes no further conversation; those under way keep it."""
    if not end(session, trial.id, TrialState.STOPPED, stopped_by, reason):
        raise Conflict(f"Trial {trial.id!r} has ended already: {trial.state}.")
    return trial


def judged(
    session: Session, trial: Trial, verdict: str, evidence: dict[str, Any], share: float
) -> None:
    """Keep what was found, and the share that follows from it."""
    row = session.exec(select(Trial).where(Trial.id == trial.id).with_for_update()).one()
    if row.state == TrialState.RUNNING:
        row.verdict, row.evidence, row.share, row.judged_at = verdict, evidence, share, now()
        session.add(row)
        session.flush()
