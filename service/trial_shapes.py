"""What the API says of trials, of the engines, and of proposed tickets."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from feedback.proposals import Proposed, Wanted
from feedback.swap_tables import Trial, TrialKind
from feedback.tables import Expects
from service.member import Member
from service.shapes import Shape


class EngineOut(Shape):
    """One engine as this service sees it."""

    name: str
    up: bool
    answering: int = Field(description="Answers it computes for this service.")
    elsewhere: int = Field(description="Answers it computes for others, at the last look.")
    adapters: list[str] = Field(description="What it was seen to compute.")

    @classmethod
    def of(cls, member: Member, names: set[str]) -> Self:
        """A member of the fleet, with those of these adapters that it holds."""
        return cls(
            name=member.name,
            up=member.is_up,
            answering=member.in_flight,
            elsewhere=member.elsewhere,
            adapters=sorted(member.held & names),
        )


class NewTrial(Shape):
    """Which adapter shall meet real customers, and how."""

    adapter: str
    kind: TrialKind = TrialKind.CANARY
    share: float = Field(
        0.1, gt=0, lt=1, description="Of new conversations (canary), or of answers (shadow)."
    )
    reason: str = Field(min_length=1, max_length=2000)
    policy: dict[str, Any] = Field(
        default_factory=dict,
        description="Overrides: alpha, alpha_pass, margins, window_seconds, slow_ms, grow_to, promote.",
    )


class NewStop(Shape):
    """Why a trial ends."""

    reason: str = Field(min_length=1, max_length=2000)


class TrialOut(Shape):
    """A candidate beside the live adapter, and what was found."""

    id: str
    assistant: str
    adapter: str
    live_adapter: str = Field(description="What was live when it began.")
    kind: str
    state: str = Field(description="running, rolled_back, stopped or promoted.")
    share: float
    verdict: str = Field(description="undecided, worse, no_worse, better or uneven.")
    policy: dict[str, Any]
    evidence: dict[str, Any]
    started_by: str
    reason: str
    outcome: str | None
    ended_by: str | None
    created_at: datetime
    judged_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, trial: Trial, **more: Any) -> Self:
        """The public side of a trial's row."""
        own = {n: getattr(trial, n) for n in cls.model_fields if n not in more}
        return cls(**own, **more)


class ProposalOut(Shape):
    """A question that went wrong, with the answer it got."""

    id: str
    origin: str = Field(description="incident or rollback.")
    why: str
    context: list[dict[str, str]]
    answer: str
    correction: str | None = Field(description="What an agent has corrected it to.")
    created_at: datetime

    @classmethod
    def of(cls, shown: Proposed) -> Self:
        """A proposal as a person decides on it."""
        return cls(
            id=shown.proposal.id,
            origin=shown.proposal.origin,
            why=shown.proposal.why,
            context=shown.context,
            answer=shown.answer.text,
            correction=shown.correction.text if shown.correction else None,
            created_at=shown.proposal.created_at,
        )


class NewAnswer(Shape):
    """The answer a proposed ticket should get."""

    assistant: str | None = None
    reference: str = Field(min_length=1)
    must_say: list[str] = []
    must_not_say: list[str] = []
    topic: str | None = Field(None, max_length=120, description="None: the conversation's.")
    expects: Expects = Expects.ANSWER

    def wanted(self) -> Wanted:
        """The same as the floor takes it."""
        return Wanted(self.reference, self.must_say, self.must_not_say, self.topic, self.expects)
