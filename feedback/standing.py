"""What speaks for an assistant now, and what may soon: one look at the database, as plain facts.

The service looks twice a second and decides from this (service/hot_swap.py); nothing here asks an engine.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, or_, select

from feedback import adapters, assistants, cycles, excepted, promotions, replays, trials
from feedback.swap_tables import PromotionRequest, Trial, TrialKind
from feedback.tables import Adapter, Assistant, Conversation, Cycle, CycleState, Promotion


@dataclass(frozen=True)
class Standing:
    """One assistant's adapters. None stands for the base model wherever an adapter may be None."""

    assistant: Assistant
    live: Adapter | None
    since: datetime | None
    """When it went live; None while nothing was ever promoted."""
    rollback: Adapter | None
    request: PromotionRequest | None
    requested: Adapter | None
    trial: Trial | None
    candidate: Adapter | None
    withdrawn: frozenset[str]
    """Ids of adapters that were taken out of service: by a rollback, or by a trial that went badly."""
    awaited: tuple[Adapter, ...] = ()
    """Candidates that are examined, or wait for a person; both sides of a replay under way."""
    promotion: Promotion | None = None
    """What made it live; it names the topics that `keeper` goes on answering, if there are any."""
    keeper: Adapter | None = None
    """What answers the excepted topics, where there are such."""

    @property
    def wanted(self) -> list[Adapter]:
        """What every engine should hold, most urgent first."""
        ordered = [self.live, self.keeper, self.requested, self.candidate, self.rollback]
        return list({each.id: each for each in ordered if each}.values())

    @property
    def excepts(self) -> bool:
        """Whether there are topics that what is live does not answer."""
        return self.promotion is not None and bool(self.promotion.except_topics)

    @property
    def topics(self) -> list[str]:
        """What a new conversation may be about, where that decides who answers."""
        return excepted.choosable(self.assistant, self.promotion)

    def keeps(self, topic: str | None) -> bool:
        """Whether a topic (None: it is not known) is answered by the older adapter."""
        return excepted.keeps(self.promotion, topic)

    def speaker(self, topic: str | None) -> Adapter | None:
        """Who answers a topic (None: it is not known) in new conversations."""
        return self.keeper if self.keeps(topic) else self.live

    def draw(self, who: str) -> str | None:
        """The arm of the canary that a new conversation with `who` falls into; None without a canary.

        The same person meets the same arm for as long as the trial lasts, also when its share grows
        unless that brings them to the candidate.
        """
        trial = self.trial
        if trial is None or trial.kind != TrialKind.CANARY:
            return None
        return trials.CANDIDATE if in_share(f"{trial.id}:{who}", trial.share) else trials.LIVE

    def moves(self, conversation: Conversation, now: datetime) -> bool:
        """Whether a running conversation takes what answers its topic now, at its next turn."""
        speaker = self.speaker(conversation.topic)
        if conversation.adapter_id == (speaker.id if speaker else None):
            return False
        policy = assistants.swap_policy_of(self.assistant)
        if policy.leave_withdrawn and conversation.adapter_id in self.withdrawn:
            return True
        on_trial = self.trial is not None and self.trial.id == conversation.trial_id
        if policy.move_after_minutes is None or self.since is None or on_trial:
            return False
        return now >= self.since + timedelta(minutes=policy.move_after_minutes)


def in_share(key: str, share: float) -> bool:
    """Whether a key falls into a share, 0 to 1: evenly, and always alike."""
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    return drawn < share


def of(session: Session, assistant: Assistant) -> Standing:
    """An assistant's standing."""
    past = adapters.history(session, assistant)
    request = promotions.waiting(session, assistant)
    trial = trials.running(session, assistant)
    before = adapters.back_to(session, assistant, past) if past else None
    return Standing(
        assistant,
        adapters.by_id(session, past[0].adapter_id) if past else None,
        past[0].created_at if past else None,
        adapters.by_id(session, before.adapter_id) if before else None,
        request,
        adapters.by_id(session, request.adapter_id) if request else None,
        trial,
        adapters.by_id(session, trial.adapter_id) if trial else None,
        frozenset(_withdrawn(session, assistant, past)),
        tuple(_awaited(session, assistant)),
        past[0] if past else None,
        adapters.by_id(session, past[0].except_adapter_id) if past else None,
    )


def _withdrawn(session: Session, assistant: Assistant, past: list[Promotion]) -> set[str]:
    """Adapters whose last word was a rollback: as a promotion that was undone, or as a canary."""
    gone: set[str | None] = set()
    newest: dict[str | None, Promotion] = {}
    for number, promotion in enumerate(past):
        if promotion.adapter_id not in newest:
            newest[promotion.adapter_id] = promotion
            if number and past[number - 1].rolls_back:
                gone.add(promotion.adapter_id)
    for trial in trials.rolled_back(session, assistant):
        later = newest.get(trial.adapter_id)
        if later is None or later.created_at < (trial.ended_at or later.created_at):
            gone.add(trial.adapter_id)
    live = past[0].adapter_id if past else None
    return {each for each in gone if each and each != live}


def _awaited(session: Session, assistant: Assistant) -> list[Adapter]:
    open_states = (*cycles.OPEN, CycleState.AWAITING)
    waiting = select(Cycle.id).where(
        Cycle.assistant_id == assistant.id, col(Cycle.state).in_(open_states)
    )
    query = select(Adapter).where(
        Adapter.assistant_id == assistant.id,
        or_(
            col(Adapter.cycle_id).in_(waiting),
            col(Adapter.id).in_(replays.asked_of(session, assistant)),
        ),
    )
    return list(session.exec(query))


def every(session: Session) -> dict[str, Standing]:
    """Every assistant's standing, by the assistant's id."""
    return {each.id: of(session, each) for each in assistants.every(session)}
