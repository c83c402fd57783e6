"""The tables that say why data may be trusted: policies, redactions, near-copies, holds, erasures.

Like all tables they are facts; see tables.py for the data path itself.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from feedback import columns


class Policy(SQLModel, table=True):
    """A rule of the house that corrections and tickets rest on. Retired, they wait in quarantine."""

    __table_args__ = (UniqueConstraint("assistant_id", "name"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    name: str = Field(max_length=80)
    text: str = columns.text()
    created_by: str = Field(max_length=200)
    created_at: datetime = columns.time()
    retired_by: str | None = Field(default=None, max_length=200)
    retired_at: datetime | None = columns.time_or_none()


class Redaction(SQLModel, table=True):
    """What became of one text under one set of rules, so that no text is looked through twice."""

    text_sha256: str = Field(primary_key=True, max_length=64)
    rules: str = Field(primary_key=True, max_length=16)
    """Names the rules: the redactor's version and the assistant's own patterns."""
    text: str | None = columns.text_or_none()
    """The text with placeholders; none where nothing was found."""
    found: dict[str, int] = columns.json(dict)
    """How many of each type."""
    created_at: datetime = columns.time()


class NearCopy(SQLModel, table=True):
    """Feedback that is left out of training because it is too close to an exam ticket."""

    __tablename__ = "near_copy"
    __table_args__ = (UniqueConstraint("feedback_id", "ticket_id"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    feedback_id: str = columns.ref("feedback.id")
    ticket_id: str = columns.ref("ticket.id")
    similarity: float
    method: str = Field(max_length=24)
    """trigrams or meaning: by which measure they are close."""
    created_at: datetime = columns.time()


class HoldOutcome(StrEnum):
    """What a person decided about an author whose words were held."""

    RELEASED = "released"
    REJECTED = "rejected"


class Hold(SQLModel, table=True):
    """An author whose words wait, because they look one-sided or came in a flood, until a person decides."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    author: str = Field(max_length=200, index=True)
    reason: str = columns.text()
    evidence: dict[str, Any] = columns.json(dict)
    """The numbers behind the reason."""
    created_at: datetime = columns.time()
    outcome: HoldOutcome | None = columns.choice_or_none()
    decided_by: str | None = Field(default=None, max_length=200)
    decided_at: datetime | None = columns.time_or_none()


class Erasure(SQLModel, table=True):
    """One person's words taken out for good. Of the person only a hash stays, to prove it later."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    customer_sha256: str = Field(max_length=64, index=True)
    requested_by: str = Field(max_length=200)
    reason: str = columns.text()
    certificate: dict[str, Any] = columns.json(dict)
    cycle_id: str | None = columns.ref_or_none("cycle.id")
    """The cycle that was asked for to learn again without them."""
    created_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()
