"""Shapes of what the API tells of judging models. Used by judge_api.py."""

from datetime import datetime
from typing import Any, Self

from feedback import judge_figures
from feedback.exam_tables import JudgeCheck
from feedback.judgements import Tally
from service.shapes import Shape


class JudgeTallyOut(Shape):
    """What one judge made of a candidate's answers against live's, each asked in both orders."""

    judge: str
    candidate: int
    live: int
    ties: int
    position_driven: int
    unscored: int
    score: float | None

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """The public side of a tally."""
        return cls(**judge_figures.tally_as_dict(tally))


class JudgeCheckOut(Shape):
    """How far a judge agreed with people, with the figures and in sentences."""

    judge: str
    source: str
    pairs: int
    agreed: int
    figures: dict[str, Any]
    sentences: list[str]
    created_at: datetime

    @classmethod
    def of(cls, row: JudgeCheck) -> Self:
        """The public side of a check's row."""
        return cls(**judge_figures.check_as_dict(row))
