"""What the API says of the desk: lists of conversations, hand-overs, reviews, what was learned."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from feedback.desk_tables import Handover, Recheck, Review, Verdict
from feedback.disputes import Judged
from feedback.learned import Learned
from feedback.policies import Rests
from feedback.reliability import Figures, Person
from feedback.tables import Conversation, FlagReason
from feedback.trust_tables import Policy
from service.shapes import AnswerOut, FeedbackOut, MessageOut, Shape


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
    outcome: str | None

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
    policy: str | None = Field(None, description="The rule of the house that it rests on, by name.")


class SideOut(Shape):
    """What one side of a disagreement says of an answer."""

    author: str
    verdict: str
    text: str = Field(description="For `corrected`: the answer it should have given.")
    at: datetime

    @classmethod
    def of(cls, side: Judged) -> Self:
        """The public side of a verdict."""
        return cls(**{name: getattr(side, name) for name in cls.model_fields})


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
    sides: list[SideOut] = Field(description="Who disagrees about it, if anybody: yours decides.")

    @classmethod
    def of(cls, review: Review, answer: AnswerOut, judged: Sequence[Judged] = ()) -> Self:
        """The public side of a review's row, with the sides of a disagreement."""
        names = set(cls.model_fields) - {"answer", "sides"}
        sides = [SideOut.of(one) for one in judged]
        return cls(**{n: getattr(review, n) for n in names}, answer=answer, sides=sides)


class ReliabilityOut(Shape):
    """How often one person's verdicts are right, as far as answers that others judged too can tell."""

    author: str
    items: int = Field(description="Answers of the queue that others judged, too.")
    agreed: int = Field(description="Of the others' verdicts on them, how many said the same.")
    others: int
    accuracy: float | None = Field(
        description="Estimated share of right verdicts, 0 to 1; null: too few answers."
    )
    low: float | None = Field(description="Its 95 % interval.")
    high: float | None

    @classmethod
    def of(cls, person: Person) -> Self:
        """The public side of a person's figures."""
        return cls(**{name: getattr(person, name) for name in cls.model_fields})


class AgreementOut(Shape):
    """How far people agree about answers that two of them judged, each without the other."""

    items: int = Field(description="Answers drawn for two people and judged by both.")
    agreed: int = Field(description="Of them: both said the same, two corrections included.")
    alpha: float | None = Field(
        description="Krippendorff's alpha of approved, corrected and flagged: 1 is full agreement, 0 what "
        "chance would give. Null where all verdicts are of one kind."
    )
    low: float | None = Field(description="Its 95 % bootstrap interval.")
    high: float | None
    both_corrected: int
    same_correction: int = Field(description="Of those both corrected: with the same answer.")
    verdicts: dict[str, int] = Field(description="How often each verdict was given.")
    is_few: bool = Field(description="Whether there are too few answers for this to mean much.")
    label_noise: float | None = Field(
        description="Estimated share of preference pairs that are upside down, which DPO's robust loss "
        "expects; null: too few corrections."
    )
    people: list[ReliabilityOut] = Field(description="An agent finds only themselves here.")

    @classmethod
    def of(cls, found: Figures) -> Self:
        """The public side of an assistant's figures."""
        names = set(cls.model_fields) - {"label_noise", "people"}
        return cls(
            **{name: getattr(found.agreement, name) for name in names},
            label_noise=found.noise.epsilon,
            people=[ReliabilityOut.of(one) for one in found.people],
        )


class NewPolicy(Shape):
    """A rule of the house."""

    name: str = Field(min_length=1, max_length=80)
    text: str
    assistant: str | None = None


class LearnedFromOut(Shape):
    """An adapter that learned from a policy's words."""

    adapter: str
    words: int
    is_live: bool


class PolicyOut(Shape):
    """A rule of the house, and what rests on it."""

    id: str
    name: str
    text: str
    created_by: str
    created_at: datetime
    retired_by: str | None
    retired_at: datetime | None
    words: int = Field(
        description="Feedback in force that rests on it; retired, it does not teach."
    )
    tickets: int = Field(description="Tickets that rest on it; retired, they are not asked.")
    adapters: list[LearnedFromOut] = Field(description="To examine again once it is retired.")

    @classmethod
    def of(cls, policy: Policy, rests: Rests) -> Self:
        """The public side of a policy's row, with what rests on it."""
        names = set(cls.model_fields) - {"words", "tickets", "adapters"}
        return cls(
            **{name: getattr(policy, name) for name in names},
            words=rests.words,
            tickets=rests.tickets,
            adapters=[
                LearnedFromOut(adapter=each.adapter.name, words=each.words, is_live=each.is_live)
                for each in rests.adapters
            ],
        )


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
    withheld: str | None = Field(
        description="Why it does not teach: 'disputed' until a third reviewer decides, 'outvoted' after."
    )
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
            withheld=learned.withheld,
            recheck=RecheckOut.of(learned.recheck) if learned.recheck else None,
        )
