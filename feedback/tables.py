"""Every table. Rows are facts: they are added, superseded or finished, seldom edited.

These are not API responses; `service/` has its own shapes. Times are UTC, durations carry units.
The data model is drawn in docs/data-model.md; Alembic builds it (feedback/migrations).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Index, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from feedback.ids import new_id

# Named constraints, so that a later migration can find and change them on both databases.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, store the rest as UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"found the naive time {value!r}, expected one with a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware UTC time on every database."""
        return value and (
            value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        )


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def _id() -> Any:
    return Field(default_factory=new_id, primary_key=True, max_length=26)


def _time() -> Any:
    return Field(default_factory=now, sa_type=UtcDateTime)


def _time_or_none() -> Any:
    return Field(default=None, sa_type=UtcDateTime)


def _json(default: type[list[Any]] | type[dict[str, Any]]) -> Any:
    return Field(default_factory=default, sa_type=JSON)


def _text() -> Any:
    return Field(sa_type=Text)


def _text_or_none() -> Any:
    return Field(default=None, sa_type=Text)


def _choice(default: StrEnum | None = None) -> Any:
    return (
        Field(sa_type=String(24)) if default is None else Field(default=default, sa_type=String(24))
    )


def _ref(column: str) -> Any:
    return Field(foreign_key=column, index=True, max_length=26)


def _ref_or_none(column: str) -> Any:
    return Field(default=None, foreign_key=column, index=True, max_length=26)


class Role(StrEnum):
    """Who holds an API key."""

    CUSTOMER = "customer"
    AGENT = "agent"
    OPERATOR = "operator"


class Speaker(StrEnum):
    """Who said a message."""

    CUSTOMER = "customer"
    ASSISTANT = "assistant"
    AGENT = "agent"


class MessageState(StrEnum):
    """Where a message stands. Customers' messages are complete from the start."""

    WRITING = "writing"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class FeedbackKind(StrEnum):
    """What a person can say about a message."""

    RATING = "rating"
    FLAG = "flag"
    CORRECTION = "correction"
    APPROVAL = "approval"
    DEMONSTRATION = "demonstration"


class FlagReason(StrEnum):
    """What was wrong with an answer."""

    WRONG_FACT = "wrong_fact"
    MISSING_STEP = "missing_step"
    UNSAFE = "unsafe"
    TONE = "tone"
    FORMAT = "format"
    SHOULD_HAND_OVER = "should_hand_over"


class FeedbackState(StrEnum):
    """Only active feedback counts; nothing is edited."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class DatasetKind(StrEnum):
    """The training stage a dataset is for."""

    SFT = "sft"
    DPO = "dpo"


class Split(StrEnum):
    """Rows of `train` teach; rows of `validation` only measure the training."""

    TRAIN = "train"
    VALIDATION = "validation"


class CycleState(StrEnum):
    """How far a turn of the loop got, or how it ended."""

    REQUESTED = "requested"
    RUNNING = "running"
    PROMOTED = "promoted"
    AWAITING = "awaiting_promotion"
    REFUSED = "refused"
    NOT_ENOUGH = "not_enough_signal"
    STOPPED = "stopped"
    FAILED = "failed"


class StageState(StrEnum):
    """How far a stage of a cycle got."""

    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Assistant(SQLModel, table=True):
    """One bot: its prompt, its adapters, its tickets, its gate."""

    id: str = _id()
    name: str = Field(unique=True, max_length=64)
    title: str = Field(max_length=200)
    base_model: str = Field(max_length=400)
    topics: list[str] = _json(list)
    sampling: dict[str, Any] = _json(dict)
    gate: dict[str, Any] = _json(dict)
    auto_promote: bool = False
    schedule_minutes: int | None = None
    created_at: datetime = _time()


class Prompt(SQLModel, table=True):
    """One version of an assistant's system prompt. The newest is in force."""

    __table_args__ = (UniqueConstraint("assistant_id", "version"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    version: int
    text: str = _text()
    author: str = Field(max_length=200)
    created_at: datetime = _time()


class ApiKey(SQLModel, table=True):
    """A secret's hash, its role, and the assistant it is limited to, if any."""

    __tablename__ = "api_key"

    id: str = _id()
    name: str = Field(max_length=200)
    role: Role = _choice()
    assistant_id: str | None = _ref_or_none("assistant.id")
    hint: str = Field(max_length=12)
    sha256: str = Field(unique=True, max_length=64)
    created_at: datetime = _time()
    revoked_at: datetime | None = _time_or_none()


class Customer(SQLModel, table=True):
    """A person the assistant talks with, by the name the site gives."""

    __table_args__ = (UniqueConstraint("assistant_id", "external_id"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    external_id: str = Field(max_length=200)
    created_at: datetime = _time()


class Adapter(SQLModel, table=True):
    """Immutable LoRA weights. The name carries version and digest and is never used again."""

    __table_args__ = (UniqueConstraint("assistant_id", "version"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    cycle_id: str | None = _ref_or_none("cycle.id")
    version: int
    name: str = Field(unique=True, max_length=120)
    digest: str = Field(max_length=64)
    base_model: str = Field(max_length=400)
    rank: int
    size_bytes: int
    created_at: datetime = _time()


class AdapterDataset(SQLModel, table=True):
    """Which datasets an adapter learned from, and in which stage."""

    __tablename__ = "adapter_dataset"

    adapter_id: str = Field(foreign_key="adapter.id", primary_key=True, max_length=26)
    dataset_id: str = Field(foreign_key="dataset.id", primary_key=True, index=True, max_length=26)
    stage: DatasetKind = _choice()


class Conversation(SQLModel, table=True):
    """One customer's talk with one assistant, in one voice: `adapter_id` is set when it begins."""

    __table_args__ = (UniqueConstraint("assistant_id", "external_id"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    customer_id: str | None = _ref_or_none("customer.id")
    adapter_id: str | None = _ref_or_none("adapter.id")
    api_key_id: str | None = _ref_or_none("api_key.id")
    channel: str = Field(max_length=24)
    external_id: str | None = Field(default=None, max_length=200)
    topic: str | None = Field(default=None, max_length=120)
    transcript_sha256: str | None = Field(default=None, index=True, max_length=64)
    created_at: datetime = _time()


class Message(SQLModel, table=True):
    """Something said. An answer also carries everything needed to reproduce it."""

    __table_args__ = (
        UniqueConstraint("conversation_id", "position"),
        UniqueConstraint("conversation_id", "idempotency_key"),
    )

    id: str = _id()
    conversation_id: str = _ref("conversation.id")
    position: int
    speaker: Speaker = _choice()
    text: str = _text()
    state: MessageState = _choice(MessageState.COMPLETE)
    idempotency_key: str | None = Field(default=None, max_length=200)
    author: str | None = Field(default=None, max_length=200)
    created_at: datetime = _time()
    finished_at: datetime | None = _time_or_none()

    reply_to_id: str | None = _ref_or_none("message.id")
    adapter_id: str | None = _ref_or_none("adapter.id")
    adapter_digest: str | None = Field(default=None, max_length=64)
    prompt_id: str | None = _ref_or_none("prompt.id")
    base_model: str | None = Field(default=None, max_length=400)
    sampling: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    time_to_first_token_ms: int | None = None
    latency_ms: int | None = None
    finish_reason: str | None = Field(default=None, max_length=24)
    error: str | None = _text_or_none()
    writer: str | None = Field(default=None, max_length=200)


class Feedback(SQLModel, table=True):
    """What a person said about a message. Superseded or withdrawn, never edited."""

    __table_args__ = (Index("ix_feedback_kind_state_created", "kind", "state", "created_at"),)

    id: str = _id()
    message_id: str = _ref("message.id")
    kind: FeedbackKind = _choice()
    value: int | None = None
    reason: FlagReason | None = Field(default=None, sa_type=String(24))
    text: str | None = _text_or_none()
    note: str | None = _text_or_none()
    author: str = Field(max_length=200)
    author_role: Role = _choice()
    state: FeedbackState = _choice(FeedbackState.ACTIVE)
    supersedes_id: str | None = _ref_or_none("feedback.id")
    created_at: datetime = _time()


class Ticket(SQLModel, table=True):
    """A held-out exam question. Neither it nor anything close to it ever enters a dataset."""

    __table_args__ = (UniqueConstraint("assistant_id", "external_id"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    external_id: str = Field(max_length=200)
    conversation_id: str | None = _ref_or_none("conversation.id")
    customer_id: str | None = _ref_or_none("customer.id")
    topic: str | None = Field(default=None, max_length=120)
    context: list[dict[str, str]] = _json(list)
    reference: str = _text()
    must_say: list[str] = _json(list)
    must_not_say: list[str] = _json(list)
    retired_at: datetime | None = _time_or_none()
    created_at: datetime = _time()


class Dataset(SQLModel, table=True):
    """Frozen training rows, named by their content."""

    __table_args__ = (UniqueConstraint("assistant_id", "kind", "sha256"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    kind: DatasetKind = _choice()
    name: str = Field(max_length=64, index=True)
    sha256: str = Field(max_length=64)
    train_rows: int
    validation_rows: int
    counts: dict[str, int] = _json(dict)
    created_at: datetime = _time()


class DatasetItem(SQLModel, table=True):
    """One frozen row: a prompt, the answer to learn, and for DPO the one to unlearn."""

    __tablename__ = "dataset_item"
    __table_args__ = (UniqueConstraint("dataset_id", "position"),)

    id: str = _id()
    dataset_id: str = _ref("dataset.id")
    position: int
    split: Split = _choice()
    prompt: list[dict[str, str]] = _json(list)
    chosen: str = _text()
    rejected: str | None = _text_or_none()
    sha256: str = Field(max_length=64)


class ItemSource(SQLModel, table=True):
    """Which feedback a dataset's row rests on."""

    __tablename__ = "item_source"

    item_id: str = Field(foreign_key="dataset_item.id", primary_key=True, max_length=26)
    feedback_id: str = Field(foreign_key="feedback.id", primary_key=True, index=True, max_length=26)


class Cycle(SQLModel, table=True):
    """One turn of the loop, held by one process at a time through a lease."""

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    state: CycleState = _choice(CycleState.REQUESTED)
    requested_by: str = Field(max_length=200)
    stop_requested_by: str | None = Field(default=None, max_length=200)
    lease_owner: str | None = Field(default=None, max_length=120)
    lease_until: datetime | None = _time_or_none()
    reason: str | None = _text_or_none()
    created_at: datetime = _time()
    started_at: datetime | None = _time_or_none()
    finished_at: datetime | None = _time_or_none()


class Stage(SQLModel, table=True):
    """One step of a cycle: what it is doing now and what it left."""

    __table_args__ = (UniqueConstraint("cycle_id", "name"),)

    id: str = _id()
    cycle_id: str = _ref("cycle.id")
    name: str = Field(max_length=24)
    state: StageState = _choice(StageState.RUNNING)
    attempts: int = 1
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None
    loss: float | None = None
    result: dict[str, Any] = _json(dict)
    error: str | None = _text_or_none()
    started_at: datetime = _time()
    heartbeat_at: datetime = _time()
    finished_at: datetime | None = _time_or_none()


class EvalRun(SQLModel, table=True):
    """One adapter (none: the base model) sitting the exam."""

    __tablename__ = "eval_run"

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    cycle_id: str | None = _ref_or_none("cycle.id")
    adapter_id: str | None = _ref_or_none("adapter.id")
    prompt_id: str = _ref("prompt.id")
    tickets: int
    created_at: datetime = _time()
    finished_at: datetime | None = _time_or_none()


class ExamAnswer(SQLModel, table=True):
    """What was answered to one ticket in one eval run."""

    __tablename__ = "exam_answer"
    __table_args__ = (UniqueConstraint("eval_run_id", "ticket_id"),)

    id: str = _id()
    eval_run_id: str = _ref("eval_run.id")
    ticket_id: str = _ref("ticket.id")
    text: str = _text()
    completion_tokens: int
    latency_ms: int
    error: str | None = _text_or_none()


class Score(SQLModel, table=True):
    """One metric of one exam answer, with the reason. No value: it could not be scored."""

    id: str = _id()
    exam_answer_id: str = _ref("exam_answer.id")
    metric: str = Field(max_length=40)
    value: float | None = None
    reason: str = _text()


class Decision(SQLModel, table=True):
    """What the gate said of a candidate, also when it refused."""

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    cycle_id: str | None = _ref_or_none("cycle.id")
    candidate_run_id: str = _ref("eval_run.id")
    live_run_id: str = _ref("eval_run.id")
    promote: bool
    reasons: list[str] = _json(list)
    metric: str = Field(max_length=40)
    tickets: int
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    gate: dict[str, Any] = _json(dict)
    created_at: datetime = _time()


class Promotion(SQLModel, table=True):
    """Makes an adapter (none: the base model) live. The newest row is what is live."""

    __table_args__ = (UniqueConstraint("assistant_id", "sequence"),)

    id: str = _id()
    assistant_id: str = _ref("assistant.id")
    sequence: int
    adapter_id: str | None = _ref_or_none("adapter.id")
    decision_id: str | None = _ref_or_none("decision.id")
    approved_by: str = Field(max_length=200)
    reason: str = _text()
    created_at: datetime = _time()


class Swap(SQLModel, table=True):
    """What happened when an engine was asked to hold an adapter: verified, or why not."""

    id: str = _id()
    adapter_id: str = _ref("adapter.id")
    engine: str = Field(max_length=200)
    verified: bool
    reason: str = _text()
    load_ms: int | None = None
    probe_difference: float | None = None
    created_at: datetime = _time()
