"""What the API says. Tables are not responses: a column becomes public only by being named here."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session

from feedback import handovers
from feedback.desk import desk_of, next_opening
from feedback.desk_tables import Staff
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Customer,
    Feedback,
    FlagReason,
    Handling,
    Message,
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
