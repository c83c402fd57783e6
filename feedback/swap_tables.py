"""Tables of what may change the voice: promotions asked for, trials on customers, and what they leave.

Called by tables.py, which is where the rest of the code finds them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Field, SQLModel

from feedback import columns


class RequestState(StrEnum):
    """How far a promotion that was asked for got."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class PromotionRequest(SQLModel, table=True):
    """Somebody wants an adapter (none: the base model) live. It becomes a promotion once enough
    engines were seen to compute it, or is refused with the reason.
    """

    __tablename__ = "promotion_request"

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    decision_id: str | None = columns.ref_or_none("decision.id")
    requested_by: str = Field(max_length=200)
    reason: str = columns.text()
    rolls_back: bool = False
    except_topics: list[str] = columns.json(list)
    """Topics that what is live now shall go on answering."""
    state: RequestState = columns.choice(RequestState.WAITING)
    outcome: str | None = columns.text_or_none()
    promotion_id: str | None = columns.ref_or_none("promotion.id")
    created_at: datetime = columns.time()
    decided_at: datetime | None = columns.time_or_none()


class TrialKind(StrEnum):
    """How a candidate meets real customers before it is live."""

    CANARY = "canary"
    """It answers a share of the new conversations."""
    SHADOW = "shadow"
    """It answers silently beside the live one; agents see both."""


class TrialState(StrEnum):
    """Whether a trial runs, or how it ended."""

    RUNNING = "running"
    ROLLED_BACK = "rolled_back"
    STOPPED = "stopped"
    PROMOTED = "promoted"


class Trial(SQLModel, table=True):
    """A candidate beside the live adapter (none: the base model), on real customers."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    adapter_id: str = columns.ref("adapter.id")
    live_adapter_id: str | None = columns.ref_or_none("adapter.id")
    kind: TrialKind = columns.choice()
    state: TrialState = columns.choice(TrialState.RUNNING)
    share: float
    """Of new conversations (canary) or of answers (shadow), 0 to 1."""
    policy: dict[str, Any] = columns.json(dict)
    evidence: dict[str, Any] = columns.json(dict)
    verdict: str = Field(default="undecided", max_length=24)
    started_by: str = Field(max_length=200)
    reason: str = columns.text()
    outcome: str | None = columns.text_or_none()
    ended_by: str | None = Field(default=None, max_length=200)
    created_at: datetime = columns.time()
    judged_at: datetime | None = columns.time_or_none()
    ended_at: datetime | None = columns.time_or_none()


class ProposalState(StrEnum):
    """Whether a person has looked at a proposed ticket."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class ProposalOrigin(StrEnum):
    """Why a ticket was proposed; the same word is then the ticket's origin."""

    INCIDENT = "incident"
    """A person reported the answer."""
    ROLLBACK = "rollback"
    """The adapter that gave it went."""


class TicketProposal(SQLModel, table=True):
    """A question that went wrong, proposed for the exam. A person writes the answer it should get."""

    __tablename__ = "ticket_proposal"

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    message_id: str = Field(foreign_key="message.id", unique=True, max_length=26)
    trial_id: str | None = columns.ref_or_none("trial.id")
    origin: ProposalOrigin = columns.choice(ProposalOrigin.ROLLBACK)
    why: str = columns.text()
    state: ProposalState = columns.choice(ProposalState.OPEN)
    ticket_id: str | None = columns.ref_or_none("ticket.id")
    decided_by: str | None = Field(default=None, max_length=200)
    created_at: datetime = columns.time()
    decided_at: datetime | None = columns.time_or_none()
