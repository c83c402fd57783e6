"""What the API says of replays, their pairs and the votes on them."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from feedback.exam_tables import Replay
from feedback.replays import Turn
from feedback.votes import Ballot, Pair, Progress, Tally
from service.shapes import Shape


class NewReplay(Shape):
    """Which adapter shall answer again what customers asked."""

    assistant: str | None = None
    adapter: str | None = Field(None, description="Default: the newest that is not live.")
    days: int | None = Field(None, ge=1, description="Default: FEEDBACK_REPLAY_DAYS.")
    turns: int | None = Field(
        None, ge=1, description="At most so many answers. Default: FEEDBACK_REPLAY_TURNS."
    )


class ReplayOut(Shape):
    """A replay and how far it is."""

    id: str
    adapter: str = Field(description="The candidate.")
    against: str = Field(description="What was live when it was asked for.")
    since: datetime
    until: datetime
    turns: int = Field(description="Answers drawn.")
    done: int
    state: str = Field(description="requested, running, finished or failed.")
    eta_seconds: float | None
    error: str | None
    requested_by: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, replay: Replay, names: tuple[str, str]) -> Self:
        """The public side of a replay's row."""
        taken = ("adapter", "against", "turns")
        own = {n: getattr(replay, n) for n in cls.model_fields if n not in taken}
        return cls(adapter=names[0], against=names[1], turns=replay.total, **own)


class TallyOut(Shape):
    """What the votes say together."""

    votes: int
    voters: int
    turns: int = Field(description="Pairs with at least one vote.")
    sides: dict[str, int] = Field(description="candidate, tie, live and skipped.")
    by_author: dict[str, dict[str, int]]
    win_rate: float | None = Field(description="Of the candidate; a tie is half a win.")
    low: float | None = Field(description="Of its 95 % interval.")
    high: float | None
    seen_by_two: int
    agreed: int
    alpha: float | None = Field(description="Krippendorff's alpha among the voters.")
    alpha_low: float | None
    alpha_high: float | None

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """The figures as they are."""
        return cls(**{name: getattr(tally, name) for name in cls.model_fields})


class ReplayFigures(ReplayOut):
    """A replay with what the votes on it say."""

    same: int = Field(description="Answers in which both say the same, to the letter.")
    failed: int
    tally: TallyOut

    @classmethod
    def with_votes(
        cls, replay: Replay, names: tuple[str, str], turns: list[Turn], tally: Tally
    ) -> Self:
        """The same with its figures."""
        return cls(
            **ReplayOut.of(replay, names).model_dump(),
            same=sum(turn.is_same for turn in turns),
            failed=sum(turn.row.error is not None for turn in turns),
            tally=TallyOut.of(tally),
        )


class TurnOut(Shape):
    """One answer given then, and what both say now."""

    id: str
    conversation: str
    topic: str
    question: str
    said_then: str
    spoke_then: str = Field(description="The adapter that answered then.")
    live: str | None
    candidate: str | None
    likeness: float | None = Field(description="chrF between the two, 0 to 100.")
    error: str | None
    votes: dict[str, int]

    @classmethod
    def of(cls, turn: Turn, votes: dict[str, int]) -> Self:
        """A turn with its place."""
        return cls(
            id=turn.row.id,
            conversation=turn.conversation_id,
            topic=turn.topic,
            question=turn.question,
            said_then=turn.said_then,
            spoke_then=turn.spoke_then,
            live=turn.row.live_text,
            candidate=turn.row.candidate_text,
            likeness=turn.row.likeness,
            error=turn.row.error,
            votes=votes,
        )


class PairOut(Shape):
    """Two answers to one question; nothing says whose they are."""

    id: str
    context: list[dict[str, str]]
    first: str
    second: str
    left: int = Field(description="Pairs you have not seen, this one among them.")
    pairs: int

    @classmethod
    def of(cls, pair: Pair, progress: Progress) -> Self:
        """A pair as it is shown."""
        shown = {"context": pair.context, "first": pair.first, "second": pair.second}
        return cls(id=pair.turn_id, left=progress.left, pairs=progress.pairs, **shown)


class NewVote(Shape):
    """Which would you send?"""

    choice: Ballot = Field(description="first, second, tie or skip.")


class VotedOut(Shape):
    """How far you are. Whose the answer was you read once you have seen every pair."""

    left: int
    pairs: int
    mine: dict[str, Any] | None = Field(description="How you voted by side, when none is left.")
