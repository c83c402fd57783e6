"""Tables of the support desk: staff and what they may do, sites, hand-overs, reviews, the audit log.

Called by tables.py, which is where the rest of the code finds them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from feedback import columns


class Staff(SQLModel, table=True):
    """A person who signs in. Without a password hash they have not chosen one, or use OpenID Connect."""

    id: str = columns.key()
    email: str = Field(unique=True, max_length=200)
    name: str = Field(max_length=200)
    password_hash: str | None = Field(default=None, max_length=300)
    openid_issuer: str | None = Field(default=None, max_length=400)
    openid_subject: str | None = Field(default=None, max_length=255)
    failed_sign_ins: int = 0
    locked_until: datetime | None = columns.time_or_none()
    disabled_at: datetime | None = columns.time_or_none()
    created_at: datetime = columns.time()


class StaffRole(SQLModel, table=True):
    """What a person may do for one assistant; without an assistant, for all of them."""

    __tablename__ = "staff_role"

    id: str = columns.key()
    staff_id: str = columns.ref("staff.id")
    assistant_id: str | None = columns.ref_or_none("assistant.id")
    role: str = Field(max_length=24)
    granted_by: str = Field(max_length=200)
    created_at: datetime = columns.time()


class StaffSession(SQLModel, table=True):
    """One signed-in browser. The cookie holds a secret, the row its hash."""

    __tablename__ = "staff_session"

    id: str = columns.key()
    staff_id: str = columns.ref("staff.id")
    sha256: str = Field(unique=True, max_length=64)
    user_agent: str = Field(default="", max_length=300)
    created_at: datetime = columns.time()
    seen_at: datetime = columns.time()
    expires_at: datetime = columns.time()
    ended_at: datetime | None = columns.time_or_none()


class PasswordReset(SQLModel, table=True):
    """A link with which a person chooses a password, once: an invitation or a reset."""

    __tablename__ = "password_reset"

    id: str = columns.key()
    staff_id: str = columns.ref("staff.id")
    sha256: str = Field(unique=True, max_length=64)
    made_by: str = Field(max_length=200)
    created_at: datetime = columns.time()
    expires_at: datetime = columns.time()
    used_at: datetime | None = columns.time_or_none()


class AuditEntry(SQLModel, table=True):
    """One act of a member of staff. The database itself refuses to change or delete such a row."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_newest", "created_at", "id"),
        Index("ix_audit_entry_assistant", "assistant_id", "created_at", "id"),
    )

    id: str = columns.key()
    actor: str = Field(max_length=200)
    role: str = Field(max_length=24)
    act: str = Field(max_length=60)
    assistant_id: str | None = Field(default=None, max_length=26)
    subject: str = Field(max_length=240)
    detail: dict[str, Any] = columns.json(dict)
    address: str | None = Field(default=None, max_length=64)
    created_at: datetime = columns.time()


class Site(SQLModel, table=True):
    """A website with the widget on it. Its key is public: it only names the site."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    name: str = Field(max_length=200)
    public_key: str = Field(unique=True, max_length=64)
    origins: list[str] = columns.json(list)
    look: dict[str, Any] = columns.json(dict)
    created_at: datetime = columns.time()
    revoked_at: datetime | None = columns.time_or_none()


class HandoverReason(StrEnum):
    """Why a conversation went to a person."""

    CUSTOMER_ASKED = "customer_asked"
    BOT_CANNOT = "bot_cannot"
    RULE = "rule"
    AGENT_STEPPED_IN = "agent_stepped_in"


class HandoverOutcome(StrEnum):
    """What a person's stay in a conversation ended with."""

    HANDED_BACK = "handed_back"
    CLOSED = "closed"
    TAKEN_OVER = "taken_over"
    PUT_BACK = "put_back"
    CUSTOMER_LEFT = "customer_left"


class Handover(SQLModel, table=True):
    """One stay of a conversation with a person: asked for, taken, ended."""

    id: str = columns.key()
    conversation_id: str = columns.ref("conversation.id")
    reason: HandoverReason = columns.choice()
    detail: str = Field(default="", max_length=400)
    out_of_hours: bool = False
    taken_by_id: str | None = columns.ref_or_none("staff.id")
    created_at: datetime = columns.time()
    taken_at: datetime | None = columns.time_or_none()
    ended_at: datetime | None = columns.time_or_none()
    ended_by_id: str | None = columns.ref_or_none("staff.id")
    outcome: HandoverOutcome | None = columns.choice_or_none()


class ReviewSource(StrEnum):
    """Why an answer was put into the review queue."""

    UNCERTAIN = "uncertain"
    NEW_TOPIC = "new_topic"
    RANDOM = "random"
    DISAGREEMENT = "disagreement"
    """Two people judged it beside the queue and do not agree."""


class ReviewState(StrEnum):
    """How far the review of an answer got."""

    OPEN = "open"
    DONE = "done"


class Review(SQLModel, table=True):
    """An answer in the review queue, and who is looking at it now."""

    __table_args__ = (
        UniqueConstraint("message_id"),
        Index("ix_review_queue", "assistant_id", "state", "created_at", "id"),
    )

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    message_id: str = Field(foreign_key="message.id", max_length=26)
    source: ReviewSource = columns.choice()
    state: ReviewState = columns.choice(ReviewState.OPEN)
    verdicts_needed: int = 1
    assigned_to_id: str | None = columns.ref_or_none("staff.id")
    locked_by_id: str | None = columns.ref_or_none("staff.id")
    locked_until: datetime | None = columns.time_or_none()
    created_at: datetime = columns.time()
    done_at: datetime | None = columns.time_or_none()


class Verdict(StrEnum):
    """What a reviewer made of an answer."""

    APPROVED = "approved"
    CORRECTED = "corrected"
    FLAGGED = "flagged"
    SKIPPED = "skipped"


class ReviewVerdict(SQLModel, table=True):
    """One person's verdict on an answer under review."""

    __tablename__ = "review_verdict"
    __table_args__ = (UniqueConstraint("review_id", "staff_id"),)

    id: str = columns.key()
    review_id: str = columns.ref("review.id")
    staff_id: str = columns.ref("staff.id")
    verdict: Verdict = columns.choice()
    feedback_id: str | None = columns.ref_or_none("feedback.id")
    created_at: datetime = columns.time()


class RecheckState(StrEnum):
    """Whether the bot now says what a correction taught."""

    REQUESTED = "requested"
    FIXED = "fixed"
    NOT_YET = "not_yet"
    REGRESSED = "regressed"
    FAILED = "failed"


STILL_ASKED = text(f"state = '{RecheckState.REQUESTED}'")


class Recheck(SQLModel, table=True):
    """A correction's question asked again of what was live then, and how close the answer came."""

    __table_args__ = (
        Index("ix_recheck_newest", "feedback_id", "created_at", "id"),
        Index("ix_recheck_finished", "assistant_id", "finished_at"),
        # Looked at every second; only what is still to be asked is in it.
        Index(
            "ix_recheck_requested",
            "assistant_id",
            "created_at",
            "id",
            sqlite_where=STILL_ASKED,
            postgresql_where=STILL_ASKED,
        ),
    )

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    feedback_id: str = Field(foreign_key="feedback.id", max_length=26)
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    state: RecheckState = columns.choice(RecheckState.REQUESTED)
    text: str | None = columns.text_or_none()
    chrf_before: float | None = None
    chrf: float | None = None
    requested_by: str = Field(max_length=200)
    created_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()


class ProcessReport(SQLModel, table=True):
    """A service or a loop as it told of itself: its settings, its versions, when it was last seen."""

    __tablename__ = "process_report"

    id: str = columns.key()
    process: str = Field(max_length=24)
    host: str = Field(max_length=200)
    settings: dict[str, Any] = columns.json(dict)
    versions: dict[str, Any] = columns.json(dict)
    started_at: datetime = columns.time()
    seen_at: datetime = columns.time()
