"""Tables of what people and models made of two answers: replays, votes, judgements.

Called by tables.py, which is where the rest of the code finds them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from feedback import columns


class ReplayState(StrEnum):
    """How far a replay got."""

    REQUESTED = "requested"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Replay(SQLModel, table=True):
    """Real conversations of some days, asked again of a candidate and of what it is compared with."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    """The candidate."""
    against_id: str | None = columns.ref_or_none("adapter.id")
    """What is live (none: the base model)."""
    since: datetime = columns.time()
    until: datetime = columns.time()
    most: int
    """At most so many turns, drawn by hash."""
    state: ReplayState = columns.choice(ReplayState.REQUESTED)
    requested_by: str = Field(max_length=200)
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None
    error: str | None = columns.text_or_none()
    lease_owner: str | None = Field(default=None, max_length=200)
    """Which process asks; none, or one that is silent for too long: another may take it over."""
    lease_until: datetime | None = columns.time_or_none()
    created_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()


class ReplayTurn(SQLModel, table=True):
    """One answer given then, and what both would say now."""

    __tablename__ = "replay_turn"
    __table_args__ = (UniqueConstraint("replay_id", "message_id"),)

    id: str = columns.key()
    replay_id: str = columns.ref("replay.id")
    message_id: str = columns.ref("message.id")
    """The answer that the customer got."""
    candidate_text: str | None = columns.text_or_none()
    live_text: str | None = columns.text_or_none()
    likeness: float | None = None
    """chrF between the two, 0 to 100; 100: they say the same."""
    candidate_first: bool = False
    """Which of the two is shown first to whoever votes without knowing."""
    error: str | None = columns.text_or_none()
    created_at: datetime = columns.time()


class Choice(StrEnum):
    """Which of two answers is better."""

    CANDIDATE = "candidate"
    LIVE = "live"
    TIE = "tie"


class Vote(SQLModel, table=True):
    """One agent's word on two answers, given without knowing whose they are."""

    __table_args__ = (UniqueConstraint("replay_turn_id", "author"),)

    id: str = columns.key()
    replay_turn_id: str = columns.ref("replay_turn.id")
    author: str = Field(max_length=200)
    choice: Choice | None = columns.choice_or_none()
    """None: they saw it and passed on; it counts for nothing, and they are not shown it again."""
    created_at: datetime = columns.time()


class SidesOpened(SQLModel, table=True):
    """Somebody read whose a replay's answers are before they had voted on all: from then on they may not."""

    __tablename__ = "sides_opened"
    __table_args__ = (UniqueConstraint("replay_id", "author"),)

    id: str = columns.key()
    replay_id: str = columns.ref("replay.id")
    author: str = Field(max_length=200)
    """A person's address; of an API key that belongs to nobody, its name."""
    created_at: datetime = columns.time()


class Judgement(SQLModel, table=True):
    """What a judging model made of both answers to one ticket, asked twice with the order turned round."""

    __table_args__ = (UniqueConstraint("candidate_answer_id", "live_answer_id", "judge"),)

    id: str = columns.key()
    candidate_answer_id: str = columns.ref("exam_answer.id")
    live_answer_id: str = columns.ref("exam_answer.id")
    judge: str = Field(max_length=200)
    """The model's name."""
    choice: Choice | None = columns.choice_or_none()
    """None: it could not be read, or contradicts itself in a way that is no tie."""
    reason: str = columns.text()
    created_at: datetime = columns.time()


class JudgeCheck(SQLModel, table=True):
    """How far a judging model agreed with people, when somebody looked."""

    __tablename__ = "judge_check"

    id: str = columns.key()
    assistant_id: str | None = columns.ref_or_none("assistant.id")
    judge: str = Field(max_length=200)
    source: str = Field(max_length=24)
    """votes, corrections or file: whose word it was compared with."""
    pairs: int
    agreed: int
    figures: dict[str, Any] = columns.json(dict)
    """Agreement with its interval, kappa, the preference for what is shown first, unreadable ones."""
    created_at: datetime = columns.time()
