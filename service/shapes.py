"""What the API says. Tables are not responses: a column becomes public only by being named here."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from feedback import handovers
from feedback.desk import desk_of, next_opening
from feedback.desk_tables import AuditEntry, Handover, Recheck, Review, Site, Staff, Verdict
from feedback.learned import Learned
from feedback.sites import Look
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
    Role,
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
    reply_within_hours: int | None = Field(description="Out of hours: when to expect a reply.")
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


class NewRollback(Shape):
    """Back to what was live before."""

    assistant: str | None = None
    reason: str = Field(min_length=1, max_length=2000)


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


class TicketOut(Shape):
    """A held-out exam question."""

    name: str
    topic: str | None
    context: list[dict[str, str]]
    reference: str
    must_say: list[str]
    must_not_say: list[str]

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        """The public side of a ticket's row."""
        names = set(cls.model_fields) - {"name"}
        return cls(**{n: getattr(ticket, n) for n in names}, name=ticket.external_id)


class ConversationRow(Shape):
    """A conversation in a list."""

    id: str
    customer: str | None
    channel: str
    handling: str
    last_text: str
    last_message_at: datetime
    waiting_since: datetime | None
    flagged_at: datetime | None
    reviewed_at: datetime | None
    lowest_confidence: float | None = Field(description="Mean token probability, 0 to 1.")
    satisfaction: int | None

    @classmethod
    def of(cls, conversation: Conversation, customer: str | None) -> Self:
        """The public side of a conversation's row."""
        names = set(cls.model_fields) - {"customer"}
        return cls(**{n: getattr(conversation, n) for n in names}, customer=customer)


class NewHandover(Shape):
    """A person, please."""

    detail: str = Field("", max_length=400, description="In the customer's words: what for.")


class NewSatisfaction(Shape):
    """How it was."""

    value: int = Field(ge=1, le=5, description="1: not at all satisfied, 5: very.")


class HandoverOut(Shape):
    """A stay of a conversation with a person."""

    id: str
    conversation_id: str
    reason: str
    detail: str
    out_of_hours: bool
    person: str | None
    created_at: datetime
    taken_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, handover: Handover, person: str | None) -> Self:
        """The public side of a hand-over's row."""
        names = set(cls.model_fields) - {"person"}
        return cls(**{n: getattr(handover, n) for n in names}, person=person)


class NewSent(Shape):
    """A message by a person."""

    text: str
    draft_id: str | None = Field(None, description="The draft it was made from, if any.")


class SentOut(Shape):
    """What was sent and what it taught."""

    message: MessageOut
    feedback: FeedbackOut | None


class NewVerdict(Shape):
    """A reviewer's verdict."""

    verdict: Verdict
    text: str | None = Field(None, description="For `corrected`: the right answer.")
    reason: FlagReason | None = Field(None, description="For `flagged`: what is wrong.")
    note: str | None = Field(None, max_length=2000)


class ReviewOut(Shape):
    """An answer under review."""

    id: str
    source: str
    state: str
    verdicts_needed: int
    locked_until: datetime | None
    created_at: datetime
    done_at: datetime | None
    answer: AnswerOut

    @classmethod
    def of(cls, review: Review, answer: AnswerOut) -> Self:
        """The public side of a review's row."""
        names = set(cls.model_fields) - {"answer"}
        return cls(**{n: getattr(review, n) for n in names}, answer=answer)


class RecheckOut(Shape):
    """A correction's question, asked again."""

    id: str
    feedback_id: str
    state: str
    text: str | None
    chrf_before: float | None
    chrf: float | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, recheck: Recheck) -> Self:
        """The public side of a recheck's row."""
        return cls(**{name: getattr(recheck, name) for name in cls.model_fields})


class LearnedOut(Shape):
    """A correction and what became of it."""

    feedback: FeedbackOut
    question: str
    answer: str = Field(description="What the bot had said.")
    datasets: list[str]
    adapters: list[str]
    recheck: RecheckOut | None

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """The public side of what became of a correction."""
        return cls(
            feedback=FeedbackOut.of(learned.feedback),
            question=learned.question,
            answer=learned.message.text,
            datasets=[dataset.name for dataset in learned.datasets],
            adapters=[adapter.name for adapter in learned.adapters],
            recheck=RecheckOut.of(learned.recheck) if learned.recheck else None,
        )


class NewVisitor(Shape):
    """Who comes to the site; without an id they are somebody new."""

    user_id: str | None = Field(None, min_length=1, max_length=200)
    user_hash: str | None = Field(
        None,
        max_length=128,
        description="HMAC-SHA256 of the id with the site's identity secret, hexadecimal.",
    )


class VisitorOut(Shape):
    """A visitor's token."""

    token: str
    customer: str


class WidgetOut(Shape):
    """What the widget needs to show itself."""

    assistant: str
    title: str
    greeting: str
    colour: str
    theme: str
    position: str
    language: str
    texts: dict[str, str]
    people_are_there: bool


class NewSite(Shape):
    """A website for the widget."""

    name: str = Field(min_length=1, max_length=200)
    assistant: str | None = None
    origins: list[str] = Field(min_length=1, description="Where the page comes from.")
    look: Look = Look()


class SiteOut(Shape):
    """A website with the widget on it."""

    id: str
    name: str
    public_key: str
    origins: list[str]
    look: dict[str, Any]
    identity_secret: str | None = Field(description="For proving visitors; to admins only.")
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, site: Site, identity_secret: str | None = None) -> Self:
        """The public side of a site's row."""
        names = set(cls.model_fields) - {"identity_secret"}
        return cls(**{n: getattr(site, n) for n in names}, identity_secret=identity_secret)


class NewStaff(Shape):
    """A new member of staff with a first role."""

    email: str = Field(min_length=3, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    role: Role
    assistant: str | None = Field(None, description="None: for every assistant.")


class NewRole(Shape):
    """A role for a person; null takes the role away."""

    role: Role | None
    assistant: str | None = Field(None, description="None: for every assistant.")


class StaffOut(Shape):
    """A member of staff."""

    id: str
    email: str
    name: str
    roles: dict[str, str] = Field(description="Role by assistant; '*' is every assistant.")
    disabled_at: datetime | None
    created_at: datetime
    password_link: str | None = Field(None, description="Shown once: where they choose a password.")


class AuditOut(Shape):
    """Something a member of staff did."""

    id: str
    created_at: datetime
    actor: str
    role: str
    act: str
    subject: str
    assistant_id: str | None
    detail: dict[str, Any]
    address: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """The public side of an audit entry."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


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
    return {
        "id": conversation.id,
        "assistant": assistant.name,
        "customer": customer.external_id if customer else None,
        "adapter": adapter.name if adapter else None,
        "channel": conversation.channel,
        "handling": conversation.handling,
        "person": person.name if person else None,
        "people_ahead": handovers.people_ahead(session, conversation) if waits else None,
        "opens_at": opens_at,
        "reply_within_hours": desk_of(assistant).reply_within_hours if opens_at else None,
        "satisfaction": conversation.satisfaction,
        "created_at": conversation.created_at,
    }
