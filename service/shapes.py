"""What the API says. Tables are not responses: a column becomes public only by being named here."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from feedback import handovers
from feedback.dataset_diff import Change, Diff
from feedback.desk import desk_of, next_opening
from feedback.desk_tables import Staff
from feedback.leaks import Pair
from feedback.swap_tables import PromotionRequest
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Customer,
    Cycle,
    Dataset,
    Decision,
    Feedback,
    FlagReason,
    Handling,
    Message,
    Promotion,
    Stage,
    Ticket,
    now,
)


class Shape(BaseModel):
    """Unknown fields in a request are an error, not a silent nothing."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class NewConversation(Shape):
    """Who talks with whom."""

    assistant: str | None = Field(
        None, description="Needed only if the key is not for one assistant."
    )
    customer: str | None = Field(
        None, min_length=1, max_length=200, description="Your own name for this customer."
    )


class NewMessage(Shape):
    """What the customer says."""

    text: str


class ConversationOut(Shape):
    """A conversation and its voice."""

    id: str
    assistant: str
    customer: str | None
    adapter: str | None = Field(description="The adapter that speaks here; null: the base model.")
    channel: str
    handling: str = Field(description="Who answers: bot, waiting (for a person), person, closed.")
    person: str | None = Field(description="The name of the person who has taken over.")
    people_ahead: int | None = Field(description="While waiting: how many wait for longer.")
    opens_at: datetime | None = Field(
        description="While waiting out of hours: when people are back."
    )
    reply_within_hours: int | None = Field(
        description="Out of hours: when to expect a reply, counted from `opens_at`."
    )
    satisfaction: int | None
    created_at: datetime


class MessageOut(Shape):
    """Something said."""

    id: str
    conversation_id: str
    position: int
    speaker: str
    author: str | None = Field(description="The name of the person who wrote it, where one did.")
    text: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    reply_to_id: str | None

    @classmethod
    def of(cls, message: Message) -> Self:
        """The public side of a message's row."""
        return cls(**{name: getattr(message, name) for name in cls.model_fields})


class AnswerOut(MessageOut):
    """An answer with how it was made: for staff."""

    adapter_id: str | None
    adapter_digest: str | None
    prompt_id: str | None
    base_model: str | None
    sampling: dict[str, Any] | None
    prompt_tokens: int | None
    completion_tokens: int | None
    time_to_first_token_ms: int | None
    latency_ms: int | None
    mean_logprob: float | None
    finish_reason: str | None
    engine: str | None = Field(description="The engine that computed it.")
    error: str | None


class Exchange(Shape):
    """A question and its answer; null where a person has the conversation or was just asked for."""

    question: MessageOut
    answer: MessageOut | None
    conversation: ConversationOut


class History(ConversationOut):
    """A conversation with everything said in it."""

    messages: list[AnswerOut | MessageOut]


class NewRating(Shape):
    """Thumbs."""

    value: Literal[1, -1] = Field(description="1: helpful, -1: not helpful.")
    note: str | None = Field(None, max_length=2000)


class NewFlag(Shape):
    """What is wrong with an answer."""

    reason: FlagReason
    note: str | None = Field(None, max_length=2000)


class NewCorrection(Shape):
    """The answer an agent would have given."""

    text: str
    note: str | None = Field(None, max_length=2000)
    policy: str | None = Field(None, description="The rule of the house that it rests on, by name.")


class NewApproval(Shape):
    """The answer is right as it stands."""

    note: str | None = Field(None, max_length=2000)


class FeedbackOut(Shape):
    """One person's word on a message."""

    id: str
    message_id: str
    kind: str
    value: int | None
    reason: str | None
    text: str | None
    note: str | None
    author: str
    author_role: str
    state: str
    supersedes_id: str | None
    policy_id: str | None = Field(description="The rule of the house that it rests on.")
    created_at: datetime

    @classmethod
    def of(cls, feedback: Feedback) -> Self:
        """The public side of a feedback row."""
        return cls(**{name: getattr(feedback, name) for name in cls.model_fields})


class AdapterOut(Shape):
    """An adapter and whether it is live."""

    name: str
    version: int
    digest: str
    base_model: str
    rank: int
    size_bytes: int
    created_at: datetime
    files_removed_at: datetime | None = Field(
        description="Since when it has no files and cannot go live again; null: it has them."
    )
    live: bool
    cycle_id: str | None
    datasets: list[str]
    verified: bool | None = Field(description="The engine's last word on it; null: never asked.")
    verified_reason: str | None

    @classmethod
    def of(cls, adapter: Adapter, **more: Any) -> Self:
        """The public side of an adapter's row."""
        own = {n: getattr(adapter, n) for n in cls.model_fields if n not in more}
        return cls(**own, **more)


class NewPromotion(Shape):
    """Which adapter shall go live."""

    adapter: str = Field(description="An adapter's name, or 'base'.")
    assistant: str | None = None
    reason: str = Field(min_length=1, max_length=2000)
    expected: str | None = Field(
        None, description="What you saw as live; refused with 409 if something else is."
    )


class NewRollback(Shape):
    """Back to what was live before."""

    assistant: str | None = None
    reason: str = Field(min_length=1, max_length=2000)
    expected: str | None = Field(
        None, description="What you saw as live; refused with 409 if something else is."
    )


class PromotionOut(Shape):
    """A row of the history of what was live."""

    id: str
    sequence: int
    adapter: str = Field(description="The adapter's name, or 'base'.")
    approved_by: str
    reason: str
    decision_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, promotion: Promotion, adapter: str) -> Self:
        """The public side of a promotion's row."""
        names = set(cls.model_fields) - {"adapter"}
        return cls(**{name: getattr(promotion, name) for name in names}, adapter=adapter)


class PromotionRequestOut(Shape):
    """Something that was asked to go live, and what became of it."""

    id: str
    adapter: str = Field(description="The adapter's name, or 'base'.")
    state: str = Field(description="waiting, done, refused or withdrawn.")
    outcome: str | None = Field(description="Why it was refused or withdrawn.")
    sequence: int | None = Field(description="Of the promotion that came of it.")
    requested_by: str
    reason: str
    rolls_back: bool
    created_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, row: PromotionRequest, **more: Any) -> Self:
        """The public side of a request's row."""
        own = {n: getattr(row, n) for n in cls.model_fields if n not in more}
        return cls(**own, **more)


class NewCycle(Shape):
    """A turn of the loop, please."""

    assistant: str | None = None


class StageOut(Shape):
    """How far a stage got."""

    name: str
    state: str
    attempts: int
    done: int
    total: int
    eta_seconds: float | None
    loss: float | None
    result: dict[str, Any]
    error: str | None
    started_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, stage: Stage) -> Self:
        """The public side of a stage's row."""
        return cls(**{name: getattr(stage, name) for name in cls.model_fields})


class CycleOut(Shape):
    """A turn of the loop."""

    id: str
    state: str
    requested_by: str
    stop_requested_by: str | None
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    stages: list[StageOut]

    @classmethod
    def of(cls, cycle: Cycle, stages: list[Stage]) -> Self:
        """The public side of a cycle's row and its stages."""
        names = set(cls.model_fields) - {"stages"}
        own = {name: getattr(cycle, name) for name in names}
        return cls(**own, stages=[StageOut.of(stage) for stage in stages])


class DatasetOut(Shape):
    """A frozen dataset."""

    name: str
    kind: str
    sha256: str
    train_rows: int
    validation_rows: int
    counts: dict[str, int]
    created_at: datetime

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The public side of a dataset's row."""
        return cls(**{name: getattr(dataset, name) for name in cls.model_fields})


class DatasetChangeOut(Shape):
    """A row that differs between two datasets, and who taught it."""

    question: str
    chosen: str
    rejected: str | None
    split: str
    by: list[str]
    conversations: list[str]
    why: str = Field(description="Of a row that went: why, as far as its feedback says.")

    @classmethod
    def of(cls, change: Change) -> Self:
        """The public side of a change."""
        return cls(
            question=change.question,
            chosen=change.row.chosen,
            rejected=change.row.rejected,
            split=change.row.split,
            by=change.authors,
            conversations=list(dict.fromkeys(ident for _, ident in change.sources)),
            why=change.why,
        )


class DatasetDiffOut(Shape):
    """What changed from an older dataset to a newer one."""

    older: str
    newer: str
    same: int
    added: list[DatasetChangeOut]
    removed: list[DatasetChangeOut]
    moved: list[DatasetChangeOut] = Field(description="In both, now in the other split.")

    @classmethod
    def of(cls, diff: Diff) -> Self:
        """The public side of a comparison."""
        changes = {
            name: [DatasetChangeOut.of(each) for each in getattr(diff, name)]
            for name in ("added", "removed", "moved")
        }
        return cls(older=diff.older.name, newer=diff.newer.name, same=diff.same, **changes)


class NearCopyOut(Shape):
    """Feedback that is left out of training, and the exam ticket that it is too close to."""

    feedback_id: str
    author: str
    conversation_id: str
    question: str
    ticket: str
    exam_question: str
    similarity: float = Field(description="0 to 1.")
    method: str = Field(
        description="trigrams: nearly the same letters. meaning: the same in other words."
    )

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """The public side of a pair."""
        return cls(
            feedback_id=pair.feedback.id,
            author=pair.feedback.author,
            conversation_id=pair.conversation_id,
            question=pair.question,
            ticket=pair.ticket.external_id,
            exam_question=pair.exam_question,
            similarity=round(pair.similarity, 3),
            method=pair.method,
        )


class DecisionOut(Shape):
    """What the gate said."""

    id: str
    cycle_id: str | None
    candidate_run_id: str
    live_run_id: str
    promote: bool
    reasons: list[str]
    metric: str
    tickets: int
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    created_at: datetime

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The public side of a decision's row."""
        return cls(**{name: getattr(decision, name) for name in cls.model_fields})


class NewTicket(Shape):
    """A held-out exam question."""

    name: str = Field(min_length=1, max_length=200)
    assistant: str | None = None
    context: list[dict[str, str]]
    reference: str
    must_say: list[str] = []
    must_not_say: list[str] = []
    topic: str | None = Field(None, max_length=120)
    customer: str | None = Field(None, max_length=200)
    policy: str | None = Field(
        None, description="The rule of the house that the reference rests on, by name."
    )


class TicketOut(Shape):
    """A held-out exam question."""

    name: str
    topic: str | None
    context: list[dict[str, str]]
    reference: str
    must_say: list[str]
    must_not_say: list[str]
    sealed: bool = Field(description="Asked only when an adapter is about to go live.")
    feedback_id: str | None = Field(description="The correction it was made from.")
    policy_id: str | None

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        """The public side of a ticket's row."""
        names = set(cls.model_fields) - {"name"}
        return cls(**{n: getattr(ticket, n) for n in names}, name=ticket.external_id)


def conversation_out(session: Session, conversation: Conversation) -> dict[str, Any]:
    """The fields of a conversation, with names in place of ids."""
    assistant = session.get_one(Assistant, conversation.assistant_id)
    customer = session.get(Customer, conversation.customer_id) if conversation.customer_id else None
    adapter = session.get(Adapter, conversation.adapter_id) if conversation.adapter_id else None
    person = (
        session.get(Staff, conversation.assigned_to_id) if conversation.assigned_to_id else None
    )
    waits = conversation.handling == Handling.WAITING
    opens_at = next_opening(desk_of(assistant), now()) if waits else None
    return begun_out(
        conversation, assistant, adapter, customer.external_id if customer else None
    ) | {
        "person": person.name if person else None,
        "people_ahead": handovers.people_ahead(session, conversation) if waits else None,
        "opens_at": opens_at,
        "reply_within_hours": desk_of(assistant).reply_within_hours if opens_at else None,
    }


def begun_out(
    conversation: Conversation, assistant: Assistant, adapter: Adapter | None, customer: str | None
) -> dict[str, Any]:
    """The same of one that has just begun: no person has to do with it yet."""
    return {
        "id": conversation.id,
        "assistant": assistant.name,
        "customer": customer,
        "adapter": adapter.name if adapter else None,
        "channel": conversation.channel,
        "handling": conversation.handling,
        "person": None,
        "people_ahead": None,
        "opens_at": None,
        "reply_within_hours": None,
        "satisfaction": conversation.satisfaction,
        "created_at": conversation.created_at,
    }
