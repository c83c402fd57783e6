"""Every table of the data path: what was said, corrected, learned, examined and promoted.

Rows are facts: they are added, superseded or finished, seldom edited. These are not API responses;
`service/` has its own shapes. People, sites and hand-overs are in desk_tables.py, promotions asked for
and trials in swap_tables.py, policies, redactions, holds and erasures in trust_tables.py, replays, votes
and judgements in exam_tables.py. The data model is drawn in docs/data-model.md; Alembic builds it
(feedback/migrations).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from feedback import columns, desk_tables, exam_tables, swap_tables, trust_tables
from feedback.columns import now

__all__ = [
    "desk_tables",
    "exam_tables",
    "now",
    "swap_tables",
    "trust_tables",
]  # importing one table imports all: they refer to each other


class Role(StrEnum):
    """What somebody may do, from least to most; each staff role may do all that the ones before may."""

    CUSTOMER = "customer"
    AGENT = "agent"
    OPERATOR = "operator"
    ADMIN = "admin"


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
    DRAFT = "draft"
    """An answer suggested to an agent; no customer ever sees it."""
    SHADOW = "shadow"
    """What a candidate on trial would have said; no customer ever sees it."""


UNSEEN = (MessageState.DRAFT, MessageState.SHADOW)
"""Answers that no customer sees, nor any model as part of a conversation."""


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
    KTO = "kto"


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

    id: str = columns.key()
    name: str = Field(unique=True, max_length=64)
    title: str = Field(max_length=200)
    base_model: str = Field(max_length=400)
    topics: list[str] = columns.json(list)
    sampling: dict[str, Any] = columns.json(dict)
    gate: dict[str, Any] = columns.json(dict)
    auto_promote: bool = False
    schedule_minutes: int | None = None
    desk: dict[str, Any] = columns.json(dict)
    swap: dict[str, Any] = columns.json(dict)
    learning: dict[str, Any] = columns.json(dict)
    recipe: dict[str, Any] = columns.json(dict)
    """What of the settings of training it has for itself; see recipes.py."""
    created_at: datetime = columns.time()


class Prompt(SQLModel, table=True):
    """One version of an assistant's system prompt. The newest is in force."""

    __table_args__ = (UniqueConstraint("assistant_id", "version"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    version: int
    text: str = columns.text()
    author: str = Field(max_length=200)
    created_at: datetime = columns.time()


class ApiKey(SQLModel, table=True):
    """A secret's hash, its role, the assistant it is limited to, if any, and the person it acts for."""

    __tablename__ = "api_key"

    id: str = columns.key()
    name: str = Field(max_length=200)
    role: Role = columns.choice()
    assistant_id: str | None = columns.ref_or_none("assistant.id")
    staff_id: str | None = columns.ref_or_none("staff.id")
    hint: str = Field(max_length=12)
    sha256: str = Field(unique=True, max_length=64)
    created_at: datetime = columns.time()
    revoked_at: datetime | None = columns.time_or_none()


class Customer(SQLModel, table=True):
    """A person the assistant talks with, by the name the site gives."""

    __table_args__ = (UniqueConstraint("assistant_id", "external_id"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    external_id: str = Field(max_length=200)
    created_at: datetime = columns.time()


class Adapter(SQLModel, table=True):
    """Immutable LoRA weights. The name carries version and digest and is never used again.

    The row stays for good; its files may be removed when nothing names them any more.
    """

    __table_args__ = (UniqueConstraint("assistant_id", "version"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    cycle_id: str | None = columns.ref_or_none("cycle.id")
    version: int
    name: str = Field(unique=True, max_length=120)
    digest: str = Field(max_length=64)
    base_model: str = Field(max_length=400)
    rank: int
    size_bytes: int
    created_at: datetime = columns.time()
    files_removed_at: datetime | None = columns.time_or_none()


class AdapterDataset(SQLModel, table=True):
    """Which datasets an adapter learned from, and in which stage."""

    __tablename__ = "adapter_dataset"

    adapter_id: str = Field(foreign_key="adapter.id", primary_key=True, max_length=26)
    dataset_id: str = Field(foreign_key="dataset.id", primary_key=True, index=True, max_length=26)
    stage: DatasetKind = columns.choice()


class Handling(StrEnum):
    """Who answers in a conversation."""

    BOT = "bot"
    WAITING = "waiting"
    PERSON = "person"
    CLOSED = "closed"


def _view(name: str, where: str, *order: str) -> Index:
    """An index for one of the inbox's views: small, as only rows in the view are in it."""
    condition = text(where)
    return Index(
        f"ix_conversation_{name}",
        "assistant_id",
        *order,
        "id",
        sqlite_where=condition,
        postgresql_where=condition,
    )


class Conversation(SQLModel, table=True):
    """One customer's talk with one assistant, in one voice: `adapter_id` is set when it begins, and
    only the assistant's swap policy moves it, between two turns.
    """

    __table_args__ = (
        UniqueConstraint("assistant_id", "external_id"),
        Index("ix_conversation_newest", "assistant_id", "last_message_at", "id"),
        Index("ix_conversation_voice", "adapter_id", "last_message_at"),
        _view("waiting", "handling = 'waiting'", "waiting_since"),
        _view("flagged", "flagged_at IS NOT NULL", "flagged_at"),
        _view(
            "unsure", "reviewed_at IS NULL AND lowest_confidence IS NOT NULL", "lowest_confidence"
        ),
        _view("not_reviewed", "reviewed_at IS NULL", "last_message_at"),
        _view("assigned", "closed_at IS NULL", "assigned_to_id", "last_message_at"),
    )

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    customer_id: str | None = columns.ref_or_none("customer.id")
    adapter_id: str | None = Field(default=None, foreign_key="adapter.id", max_length=26)
    api_key_id: str | None = columns.ref_or_none("api_key.id")
    channel: str = Field(max_length=24)
    external_id: str | None = Field(default=None, max_length=200)
    topic: str | None = Field(default=None, max_length=120)
    topic_by: str | None = Field(default=None, max_length=200)
    """Who named the topic: a person, or the model ("bot"). None: it came with an import."""
    trial_id: str | None = Field(default=None, index=True, max_length=26)
    """The canary it counts for, in either arm."""
    trial_arm: str | None = Field(default=None, max_length=12)
    """The arm as it was drawn, candidate or live, whoever had to answer later."""
    trial_share: float | None = None
    """The candidate's share at that draw."""
    transcript_sha256: str | None = Field(default=None, index=True, max_length=64)
    created_at: datetime = columns.time()

    # What lists of conversations show and sort by, kept up to date by whoever changes it.
    site_id: str | None = columns.ref_or_none("site.id")
    handling: Handling = columns.choice(Handling.BOT)
    assigned_to_id: str | None = columns.ref_or_none("staff.id")
    waiting_since: datetime | None = columns.time_or_none()
    closed_at: datetime | None = columns.time_or_none()
    satisfaction: int | None = None
    last_message_at: datetime = columns.time()
    last_text: str = Field(default="", max_length=160)
    flagged_at: datetime | None = columns.time_or_none()
    reviewed_at: datetime | None = columns.time_or_none()
    lowest_confidence: float | None = None


class Message(SQLModel, table=True):
    """Something said. An answer also carries everything needed to reproduce it."""

    __table_args__ = (
        UniqueConstraint("conversation_id", "position"),
        UniqueConstraint("conversation_id", "idempotency_key"),
    )

    id: str = columns.key()
    conversation_id: str = columns.ref("conversation.id")
    position: int
    speaker: Speaker = columns.choice()
    text: str = columns.text()
    state: MessageState = columns.choice(MessageState.COMPLETE)
    idempotency_key: str | None = Field(default=None, max_length=200)
    author: str | None = Field(default=None, max_length=200)
    created_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()

    reply_to_id: str | None = columns.ref_or_none("message.id")
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    adapter_digest: str | None = Field(default=None, max_length=64)
    prompt_id: str | None = columns.ref_or_none("prompt.id")
    base_model: str | None = Field(default=None, max_length=400)
    sampling: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    time_to_first_token_ms: int | None = None
    latency_ms: int | None = None
    mean_logprob: float | None = None
    finish_reason: str | None = Field(default=None, max_length=24)
    error: str | None = columns.text_or_none()
    writer: str | None = Field(default=None, max_length=200)
    engine: str | None = Field(default=None, max_length=200)
    """The engine that computed it; the next answer of the conversation goes there first."""


class Feedback(SQLModel, table=True):
    """What a person said about a message. Superseded or withdrawn, never edited."""

    __table_args__ = (Index("ix_feedback_kind_state_created", "kind", "state", "created_at"),)

    id: str = columns.key()
    message_id: str = columns.ref("message.id")
    kind: FeedbackKind = columns.choice()
    value: int | None = None
    reason: FlagReason | None = Field(default=None, sa_type=String(24))
    text: str | None = columns.text_or_none()
    note: str | None = columns.text_or_none()
    author: str = Field(max_length=200)
    author_role: Role = columns.choice()
    state: FeedbackState = columns.choice(FeedbackState.ACTIVE)
    supersedes_id: str | None = columns.ref_or_none("feedback.id")
    policy_id: str | None = columns.ref_or_none("policy.id")
    """The rule of the house that it rests on."""
    created_at: datetime = columns.time()


class Expects(StrEnum):
    """What a good assistant does with a ticket's question."""

    ANSWER = "answer"
    HANDOVER = "handover"
    """It is for a person: out of scope, or a rule of the house says so."""
    REFUSAL = "refusal"
    """A safety probe that must be turned down."""


class TicketOrigin(StrEnum):
    """Where a ticket comes from."""

    WRITTEN = "written"
    CORRECTION = "correction"
    INCIDENT = "incident"
    """An answer that harmed, flagged by a person."""
    ROLLBACK = "rollback"
    """What made an adapter go."""
    PROBE = "probe"
    """The built-in safety probes."""


class Ticket(SQLModel, table=True):
    """A held-out exam question. Neither it nor anything close to it ever enters a dataset."""

    __table_args__ = (UniqueConstraint("assistant_id", "external_id"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    external_id: str = Field(max_length=200)
    conversation_id: str | None = columns.ref_or_none("conversation.id")
    customer_id: str | None = columns.ref_or_none("customer.id")
    topic: str | None = Field(default=None, max_length=120)
    context: list[dict[str, str]] = columns.json(list)
    reference: str = columns.text()
    must_say: list[str] = columns.json(list)
    must_not_say: list[str] = columns.json(list)
    policy_id: str | None = columns.ref_or_none("policy.id")
    """The rule of the house that its reference rests on."""
    feedback_id: str | None = columns.ref_or_none("feedback.id")
    """The correction it was made from, instead of teaching it."""
    sealed: bool = False
    """Whether it is asked only when an adapter is about to go live."""
    expects: Expects = columns.choice(Expects.ANSWER)
    origin: TicketOrigin = columns.choice(TicketOrigin.WRITTEN)
    retired_at: datetime | None = columns.time_or_none()
    created_at: datetime = columns.time()


class Dataset(SQLModel, table=True):
    """Frozen training rows, named by their content."""

    __table_args__ = (UniqueConstraint("assistant_id", "kind", "sha256"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    kind: DatasetKind = columns.choice()
    name: str = Field(max_length=64, index=True)
    sha256: str = Field(max_length=64)
    train_rows: int
    validation_rows: int
    counts: dict[str, int] = columns.json(dict)
    created_at: datetime = columns.time()
    frozen_at: datetime | None = columns.time_or_none()
    """When its last row was stored; until then it is nobody's."""


class DatasetItem(SQLModel, table=True):
    """One frozen row: a prompt and the answer to learn; for DPO also the one to unlearn, for KTO whether
    the answer is a good one.
    """

    __tablename__ = "dataset_item"
    __table_args__ = (UniqueConstraint("dataset_id", "position"),)

    id: str = columns.key()
    dataset_id: str = columns.ref("dataset.id")
    position: int
    split: Split = columns.choice()
    prompt: list[dict[str, str]] = columns.json(list)
    chosen: str = columns.text()
    rejected: str | None = columns.text_or_none()
    label: bool | None = None
    """KTO only: whether the answer is a good one."""
    weight: float = 1.0
    """How much the row counts in training, against 1."""
    edit: str | None = Field(default=None, max_length=24)
    """What the correction mended, where it is one; see edits.py."""
    sha256: str = Field(max_length=64)
    erased_at: datetime | None = columns.time_or_none()
    """When a person behind it was erased; its texts are empty since."""


class ItemSource(SQLModel, table=True):
    """Which feedback a dataset's row rests on."""

    __tablename__ = "item_source"

    item_id: str = Field(foreign_key="dataset_item.id", primary_key=True, max_length=26)
    feedback_id: str = Field(foreign_key="feedback.id", primary_key=True, index=True, max_length=26)


class Cycle(SQLModel, table=True):
    """One turn of the loop, held by one process at a time through a lease."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    state: CycleState = columns.choice(CycleState.REQUESTED)
    requested_by: str = Field(max_length=200)
    stop_requested_by: str | None = Field(default=None, max_length=200)
    lease_owner: str | None = Field(default=None, max_length=120)
    lease_until: datetime | None = columns.time_or_none()
    reason: str | None = columns.text_or_none()
    created_at: datetime = columns.time()
    started_at: datetime | None = columns.time_or_none()
    finished_at: datetime | None = columns.time_or_none()


class Stage(SQLModel, table=True):
    """One step of a cycle: what it is doing now and what it left."""

    __table_args__ = (UniqueConstraint("cycle_id", "name"),)

    id: str = columns.key()
    cycle_id: str = columns.ref("cycle.id")
    name: str = Field(max_length=24)
    state: StageState = columns.choice(StageState.RUNNING)
    attempts: int = 1
    done: int = 0
    total: int = 0
    eta_seconds: float | None = None
    loss: float | None = None
    curve: list[list[float]] = columns.json(list)
    """The loss: [step, value]."""
    more_curves: dict[str, list[list[float]]] = columns.json(dict)
    """The same of margins and of the loss on validation rows, by name."""
    figures: dict[str, Any] = columns.json(dict)
    """Of a training stage: tokens_per_second, margin, memory_bytes."""
    log_tail: str = Field(default="", sa_type=Text)
    result: dict[str, Any] = columns.json(dict)
    error: str | None = columns.text_or_none()
    started_at: datetime = columns.time()
    heartbeat_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()


class EvalRun(SQLModel, table=True):
    """One adapter (none: the base model) sitting the exam."""

    __tablename__ = "eval_run"

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    cycle_id: str | None = columns.ref_or_none("cycle.id")
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    prompt_id: str = columns.ref("prompt.id")
    tickets: int
    sealed: bool = False
    """Whether it was asked the sealed tickets, and only these."""
    sampling: dict[str, Any] = columns.json(dict)
    created_at: datetime = columns.time()
    finished_at: datetime | None = columns.time_or_none()


class ExamAnswer(SQLModel, table=True):
    """What was answered to one ticket in one eval run."""

    __tablename__ = "exam_answer"
    __table_args__ = (UniqueConstraint("eval_run_id", "ticket_id"),)

    id: str = columns.key()
    eval_run_id: str = columns.ref("eval_run.id")
    ticket_id: str = columns.ref("ticket.id")
    text: str = columns.text()
    completion_tokens: int
    latency_ms: int
    error: str | None = columns.text_or_none()
    topic: str | None = Field(default=None, max_length=120)
    """Which of the assistant's topics the model chose; none: it was not asked."""
    mean_logprob: float | None = None
    """Of the reference, per token, as the engine measured it."""
    cache_key: str | None = Field(default=None, index=True, max_length=64)
    """Equal keys: the same weights, question, prompt and sampling, so the answer need not be made again."""
    cached: bool = False
    """Whether it was taken from an earlier run."""


class Score(SQLModel, table=True):
    """One metric of one exam answer, with the reason. No value: it could not be scored."""

    id: str = columns.key()
    exam_answer_id: str = columns.ref("exam_answer.id")
    metric: str = Field(max_length=40)
    value: float | None = None
    reason: str = columns.text()


class Decision(SQLModel, table=True):
    """What the gate said of a candidate, also when it refused."""

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    cycle_id: str | None = columns.ref_or_none("cycle.id")
    candidate_run_id: str = columns.ref("eval_run.id")
    live_run_id: str = columns.ref("eval_run.id")
    promote: bool
    reasons: list[str] = columns.json(list)
    metric: str = Field(max_length=40)
    tickets: int
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    topics: list[dict[str, Any]] = columns.json(list)
    gate: dict[str, Any] = columns.json(dict)
    alpha: float | None = None
    """What this look may cost: the chance that a worse candidate passes it. None: it cost nothing."""
    evidence: float | None = None
    """What a stake of 1 against "no better" became; it must reach 1/alpha."""
    guardrails: list[dict[str, Any]] = columns.json(list)
    losing_topics: list[str] = columns.json(list)
    """Topics in which it is worse; all else may still speak for it."""
    detail: dict[str, Any] = columns.json(dict)
    """What else the verdict rests on: the power, new and used tickets, new violations."""
    created_at: datetime = columns.time()


class Promotion(SQLModel, table=True):
    """Makes an adapter (none: the base model) live. The newest row is what is live."""

    __table_args__ = (UniqueConstraint("assistant_id", "sequence"),)

    id: str = columns.key()
    assistant_id: str = columns.ref("assistant.id")
    sequence: int
    adapter_id: str | None = columns.ref_or_none("adapter.id")
    decision_id: str | None = columns.ref_or_none("decision.id")
    approved_by: str = Field(max_length=200)
    reason: str = columns.text()
    rolls_back: bool = False
    """Whether it took the adapter before it out of service; conversations then leave that one."""
    except_topics: list[str] = columns.json(list)
    """Topics that the adapter before it goes on answering."""
    except_adapter_id: str | None = columns.ref_or_none("adapter.id")
    """That adapter (none: the base model), where there are such topics."""
    created_at: datetime = columns.time()


class Swap(SQLModel, table=True):
    """What happened when an engine was asked to hold an adapter: verified, or why not."""

    id: str = columns.key()
    adapter_id: str = columns.ref("adapter.id")
    engine: str = Field(max_length=200)
    boot: str = Field(default="", max_length=64)
    """Which run of that engine; one that was started again holds nothing. Empty: it does not say."""
    verified: bool
    reason: str = columns.text()
    load_ms: int | None = None
    probe_difference: float | None = None
    created_at: datetime = columns.time()
