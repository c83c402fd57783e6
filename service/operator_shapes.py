"""What the API says to operators: adapters, promotions, cycles, datasets, decisions and tickets."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from feedback.dataset_diff import Change, Diff
from feedback.leaks import Pair
from feedback.swap_tables import PromotionRequest
from feedback.tables import (
    Adapter,
    Cycle,
    Dataset,
    Decision,
    Expects,
    Promotion,
    Stage,
    Ticket,
    TicketOrigin,
)
from service.shapes import Shape


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
    answers_topics: list[str] = Field(
        description="Topics that it goes on answering while another adapter is live for the others."
    )
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
    except_topics: list[str] = Field(
        [],
        max_length=1000,
        description="Topics of the assistant that whatever answers them now goes on answering.",
    )
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
    except_topics: list[str] = Field(description="Topics that it does not answer.")
    except_adapter: str | None = Field(
        description="What goes on answering these, or 'base'; null: there are none."
    )
    created_at: datetime

    @classmethod
    def of(cls, promotion: Promotion, **more: Any) -> Self:
        """The public side of a promotion's row."""
        own = {n: getattr(promotion, n) for n in cls.model_fields if n not in more}
        return cls(**own, **more)


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
    except_topics: list[str] = Field(description="Topics that it shall not answer.")
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
    expects: Expects = Field(
        Expects.ANSWER, description="What a good assistant does with the question."
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
    expects: Expects = Field(description="What a good assistant does with the question.")
    origin: TicketOrigin = Field(description="Where it comes from.")

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        """The public side of a ticket's row."""
        names = set(cls.model_fields) - {"name"}
        return cls(**{n: getattr(ticket, n) for n in names}, name=ticket.external_id)
