"""What the API says of regressions: what was learned and lost, rechecks' progress, incidents, forgetting."""

from datetime import datetime
from typing import Self

from pydantic import Field

from feedback.forgetting import Cell, Forgetting
from feedback.news import Change, News
from feedback.rechecks import Progress
from feedback.tables import FlagReason
from service.shapes import Shape

BASE = "base"


class ChangeOut(Shape):
    """A correction that the bot says now and did not, or the other way round."""

    feedback_id: str
    question: str
    state: str
    adapter: str

    @classmethod
    def of(cls, change: Change) -> Self:
        """The public side of a change."""
        return cls(
            feedback_id=change.feedback.id,
            question=change.question,
            state=change.recheck.state,
            adapter=change.adapter.name if change.adapter else BASE,
        )


class NewsOut(Shape):
    """What changed since a time."""

    since: datetime
    sentence: str
    lost: list[ChangeOut] = Field(description="The newest of them; the sentence counts all.")
    learned: list[ChangeOut]

    @classmethod
    def of(cls, news: News) -> Self:
        """The public side of the news."""
        return cls(
            since=news.since,
            sentence=news.sentence,
            lost=[ChangeOut.of(each) for each in news.lost],
            learned=[ChangeOut.of(each) for each in news.learned],
        )


class ProgressOut(Shape):
    """How many corrections in force were checked against what is live."""

    adapter: str
    checked: int
    total: int
    states: dict[str, int] = Field(description="Of the checked: fixed, not_yet, regressed.")
    sentence: str

    @classmethod
    def of(cls, progress: Progress) -> Self:
        """The public side of the progress."""
        return cls(
            adapter=progress.adapter.name if progress.adapter else BASE,
            checked=progress.checked,
            total=progress.total,
            states=progress.states,
            sentence=progress.sentence,
        )


class NewIncident(Shape):
    """Why an answer must not be given again."""

    reason: FlagReason
    note: str | None = Field(None, max_length=400)


class CellOut(Shape):
    """One adapter's part of one group."""

    adapter: str
    group: str
    value: float = Field(description="The share fixed, 0 to 1; of exams mean chrF, 0 to 100.")
    change: float | None = Field(
        description="Against the adapter before, on what both were asked; null: there is none."
    )
    number: int = Field(description="Of so many corrections, or tickets.")


class LostOut(Shape):
    """A correction that was right once and is not any more."""

    feedback_id: str
    question: str
    had: str = Field(description="The last adapter that had it right.")
    lost_with: str


class ForgettingOut(Shape):
    """What each adapter that went live knows."""

    adapters: list[str] = Field(description="In the order in which they first went live.")
    groups: list[str]
    fixed: list[CellOut]
    exams: list[CellOut] = Field(description="By topic; tickets that neighbours both sat.")
    backward_transfer: float | None = Field(
        description="Lopez-Paz and Ranzato (2017), -1 to 1; below 0 it forgets."
    )
    lost: list[LostOut] = Field(description="The newest of them.")
    lost_count: int

    @classmethod
    def of(cls, found: Forgetting) -> Self:
        """The public side of the picture."""
        names = {each.id: each.name for each in found.adapters}
        return cls(
            adapters=list(names.values()),
            groups=found.groups,
            fixed=_cells(found.fixed, names),
            exams=_cells(found.exams, names),
            backward_transfer=found.backward_transfer,
            lost=[
                LostOut(
                    feedback_id=one.feedback.id,
                    question=one.question,
                    had=one.had.name,
                    lost_with=one.lost_with.name,
                )
                for one in found.lost
            ],
            lost_count=found.lost_count,
        )


def _cells(cells: dict[tuple[str, str], Cell], names: dict[str, str]) -> list[CellOut]:
    return [
        CellOut(
            adapter=names[adapter],
            group=group,
            value=cell.value,
            change=cell.change,
            number=cell.number,
        )
        for (adapter, group), cell in cells.items()
    ]
