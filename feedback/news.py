"""What became of a person's corrections since they last looked: which the bot learned, which it lost again.

Only rechecks tell; without one since then there is no news. Called by the consoles, the API and commands.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Subquery
from sqlalchemy import select as columns
from sqlmodel import Session, and_, col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import learned, rechecks
from feedback.desk_tables import Recheck, RecheckState
from feedback.tables import Adapter, Assistant, Feedback, FeedbackState, Message

SHOWN = 200
"""So many of each kind are named, the newest; all are counted."""


@dataclass(frozen=True)
class Change:
    """A correction that the bot says since then, or no longer says."""

    feedback: Feedback
    question: str
    recheck: Recheck
    adapter: Adapter | None
    """What said it; None: the base model."""


@dataclass
class News:
    """What changed since `since`; what was lost comes first, as somebody may have to do something."""

    since: datetime
    lost: list[Change] = field(default_factory=list)
    """The newest of them, at most SHOWN; as of those that were learned."""
    learned: list[Change] = field(default_factory=list)
    lost_count: int = 0
    learned_count: int = 0

    @property
    def count(self) -> int:
        """How many corrections changed."""
        return self.lost_count + self.learned_count

    @property
    def sentence(self) -> str:
        """As people are told: "3 of your corrections were learned, 1 was lost again."."""
        told = [
            f"{number} of your corrections {'was' if number == 1 else 'were'} {what}"
            for number, what in ((self.learned_count, "learned"), (self.lost_count, "lost again"))
            if number
        ]
        whole = ", ".join(
            [*told[:1], *(each.replace(" of your corrections", "") for each in told[1:])]
        )
        return f"{whole}." if told else "None of your corrections was learned or lost."


def since(session: Session, assistant: Assistant, author: str | None, when: datetime) -> News:
    """What changed since a time for one person's corrections (None: everybody's), the newest first."""
    changed = _changed(session, assistant, author, when)
    counted = session.execute(
        columns(changed.c.state, func.count()).group_by(changed.c.state)
    ).all()
    numbers = {str(state): number for state, number in counted}
    return News(
        when,
        _newest(session, changed, RecheckState.REGRESSED) if numbers else [],
        _newest(session, changed, RecheckState.FIXED) if numbers else [],
        numbers.get(RecheckState.REGRESSED, 0),
        numbers.get(RecheckState.FIXED, 0),
    )


def count(session: Session, assistant: Assistant, author: str, when: datetime) -> int:
    """How many of a person's corrections were learned or lost since then. Asked on every page."""
    changed = _changed(session, assistant, author, when)
    return session.exec(select(func.count()).select_from(changed)).one()


def _changed(
    session: Session, assistant: Assistant, author: str | None, when: datetime
) -> Subquery:
    """Corrections that are said now and were not, or were and are not: `feedback_id`, and the recheck's
    `id` and `state`.
    """
    whose = col(Recheck.feedback_id).in_(_checked_since(assistant, author, when))
    now = rechecks.standing(session, assistant, whose)
    then = rechecks.before(assistant, when, whose)
    return (
        columns(now.c.feedback_id, now.c.id, now.c.state)
        .outerjoin(then, and_(then.c.feedback_id == now.c.feedback_id, then.c.place == 1))
        .where(
            now.c.place == 1,
            now.c.state.in_((RecheckState.FIXED, RecheckState.REGRESSED)),
            or_(then.c.state.is_(None), then.c.state != now.c.state),
        )
        .subquery()
    )


def _checked_since(assistant: Assistant, author: str | None, when: datetime) -> SelectOfScalar[str]:
    checked = select(Recheck.feedback_id).where(
        Recheck.assistant_id == assistant.id,
        col(Recheck.finished_at) > when,
        col(Recheck.state).in_(rechecks.SEEN),
    )
    query = select(Feedback.id).where(
        col(Feedback.id).in_(checked), Feedback.state == FeedbackState.ACTIVE
    )
    return query if author is None else query.where(Feedback.author == author)


def _newest(session: Session, changed: Subquery, state: RecheckState) -> list[Change]:
    rows = session.exec(
        select(Feedback, Message, Recheck, Adapter)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(changed, changed.c.feedback_id == Feedback.id)
        .join(Recheck, col(Recheck.id) == changed.c.id)
        .outerjoin(Adapter, col(Adapter.id) == Recheck.adapter_id)
        .where(changed.c.state == state)
        .order_by(col(Feedback.id).desc())
        .limit(SHOWN)
    ).all()
    questions = learned.questions_of(session, [message for _, message, _, _ in rows])
    return [
        Change(word, questions[message.id], recheck, adapter)
        for word, message, recheck, adapter in rows
    ]
