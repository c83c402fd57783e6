"""What became of a person's corrections since they last looked: which the bot learned, which it lost again.

Only rechecks tell; without one since then there is no news. Called by the consoles, the API and commands.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from feedback import learned, rechecks
from feedback.desk_tables import Recheck, RecheckState
from feedback.tables import Adapter, Assistant, Feedback, FeedbackState, Message


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
    learned: list[Change] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many corrections changed."""
        return len(self.lost) + len(self.learned)

    @property
    def sentence(self) -> str:
        """As people are told: "3 of your corrections were learned, 1 was lost again."."""
        told = [
            f"{number} of your corrections {'was' if number == 1 else 'were'} {what}"
            for number, what in ((len(self.learned), "learned"), (len(self.lost), "lost again"))
            if number
        ]
        whole = ", ".join(
            [*told[:1], *(each.replace(" of your corrections", "") for each in told[1:])]
        )
        return f"{whole}." if told else "None of your corrections was learned or lost."


def since(session: Session, assistant: Assistant, author: str | None, when: datetime) -> News:
    """What changed since a time for one person's corrections (None: everybody's), the newest first."""
    news = News(when)
    words = _checked_since(session, assistant, author, when)
    ids = [word.id for word in words]
    now = rechecks.that_count(session, assistant, ids)
    then = rechecks.before(session, assistant, ids, when)
    changed = [word for word in words if _has_changed(now.get(word.id), then.get(word.id))]
    messages = [session.get_one(Message, word.message_id) for word in changed]
    questions = learned.questions_of(session, messages)
    for word in changed:
        recheck = now[word.id]
        adapter = session.get(Adapter, recheck.adapter_id) if recheck.adapter_id else None
        told = Change(word, questions[word.message_id], recheck, adapter)
        (news.learned if recheck.state == RecheckState.FIXED else news.lost).append(told)
    return news


def count(session: Session, assistant: Assistant, author: str, when: datetime) -> int:
    """How many of a person's corrections were learned or lost since then. Asked on every page."""
    ids = [word.id for word in _checked_since(session, assistant, author, when)]
    if not ids:
        return 0
    now = rechecks.that_count(session, assistant, ids)
    then = rechecks.before(session, assistant, ids, when)
    return sum(_has_changed(now.get(ident), then.get(ident)) for ident in ids)


def _checked_since(
    session: Session, assistant: Assistant, author: str | None, when: datetime
) -> list[Feedback]:
    checked = select(Recheck.feedback_id).where(
        Recheck.assistant_id == assistant.id,
        col(Recheck.finished_at) > when,
        col(Recheck.state).in_(rechecks.SEEN),
    )
    query = (
        select(Feedback)
        .where(col(Feedback.id).in_(checked), Feedback.state == FeedbackState.ACTIVE)
        .order_by(col(Feedback.id).desc())
    )
    if author is not None:
        query = query.where(Feedback.author == author)
    return list(session.exec(query))


def _has_changed(now: Recheck | None, then: Recheck | None) -> bool:
    """It is said now and was not, or was said and is not."""
    if now is None or now.state not in (RecheckState.FIXED, RecheckState.REGRESSED):
        return False
    return then is None or then.state != now.state
