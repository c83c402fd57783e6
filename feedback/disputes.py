"""Who said what of one answer, whether they agree, and whose word stands. Pure reading; writes nothing.

What one person makes of an answer is their verdict in a review, or their newest word beside it. reviews.py
puts what is disputed into the queue; taught.py leaves it out until a third person has decided.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import combinations

from sqlmodel import Session, col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback.conversations import QUERY_IDS
from feedback.desk_tables import Review, ReviewVerdict, Staff, Verdict
from feedback.near_copies import similarity, trigrams
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    Role,
)
from feedback.trust_tables import Policy

SAME = 0.6
"""Two corrections at least this similar say the same."""
SAYS = {
    FeedbackKind.APPROVAL: Verdict.APPROVED,
    FeedbackKind.CORRECTION: Verdict.CORRECTED,
    FeedbackKind.FLAG: Verdict.FLAGGED,
}
"""The verdict that a word on an answer amounts to."""


@dataclass(frozen=True)
class Judged:
    """What one person made of an answer, as far as it can agree with others."""

    author: str
    verdict: Verdict
    text: str
    at: datetime
    feedback_id: str | None = None
    is_flag_beside: bool = False
    """A flag that was no verdict of a review: it asks for somebody to write the right answer."""

    def disagrees(self, other: "Judged") -> bool:
        """Whether two verdicts say different things; two corrections may use other words."""
        if self.verdict != other.verdict:
            return True
        if self.verdict != Verdict.CORRECTED:
            return False
        return similarity(trigrams(self.text), trigrams(other.text)) < SAME


class Withheld(StrEnum):
    """Why a word that is in force does not teach."""

    DISPUTED = "disputed"
    OUTVOTED = "outvoted"


@dataclass
class Sides:
    """What people made of one answer: up to the decision of its review, if it was decided, and since."""

    review: Review | None = None
    _until: dict[str, Judged] = field(default_factory=dict)
    _since: dict[str, Judged] = field(default_factory=dict)

    def hear(self, one: Judged) -> None:
        """The newest word of each person counts; a flag does not replace their correction or approval."""
        decided = self.review.done_at if self.review else None
        side = self._until if decided is None or one.at <= decided else self._since
        earlier = side.get(one.author)
        if earlier is None or (one.at >= earlier.at and not one.is_flag_beside):
            side[one.author] = one

    @property
    def judged(self) -> list[Judged]:
        """One verdict of each person, oldest first, as the decision found them (or as they are now)."""
        return _in_order(self._until.values())

    @property
    def lost(self) -> dict[str, Withheld]:
        """By author: whose words until the decision do not stand, and why."""
        judged = self.judged
        if self.review is None or self.review.done_at is None:
            return dict.fromkeys(_names(judged), Withheld.DISPUTED) if contradict(judged) else {}
        why = Withheld.DISPUTED if len(judged) == 2 else Withheld.OUTVOTED
        return dict.fromkeys(_names(outvoted(judged)), why)

    @property
    def standing(self) -> list[Judged]:
        """What is in force: what did not lose, and what was said since; the newest of each person."""
        kept = {name: one for name, one in self._until.items() if name not in self.lost}
        return _in_order({**kept, **self._since}.values())

    @property
    def in_dispute(self) -> list[Judged]:
        """Those between whom somebody has to decide now; nobody when they agree."""
        if self.review is None or self.review.done_at is None:
            return self.judged if contradict(self.judged) else []
        return self.standing if self._since and contradict(self.standing) else []

    def withholds(self, word: Feedback) -> Withheld | None:
        """Why this word does not teach; None when it does."""
        decided = self.review.done_at if self.review else None
        if (decided is None or word.created_at <= decided) and word.author in self.lost:
            return self.lost[word.author]
        return Withheld.DISPUTED if word.author in _names(self.in_dispute) else None


def _names(judged: Iterable[Judged]) -> set[str]:
    return {one.author for one in judged}


def _in_order(judged: Iterable[Judged]) -> list[Judged]:
    """Oldest first. Flags from beside the queue speak only against an approval."""
    found = sorted(judged, key=lambda one: (one.at, one.author))
    if any(one.verdict == Verdict.APPROVED for one in found):
        return found
    return [one for one in found if not one.is_flag_beside]


def contradict(judged: list[Judged]) -> bool:
    """Whether any two of these disagree."""
    return any(one.disagrees(other) for one, other in combinations(judged, 2))


def outvoted(judged: list[Judged]) -> list[Judged]:
    """Of the verdicts on one answer, oldest first, those that do not stand.

    Of two that disagree neither stands. With a third the majority does; where all three differ, the
    third was asked to decide and does. A flag decides, too: then nothing said here is right.
    """
    support = [sum(not one.disagrees(other) for other in judged) for one in judged]
    most = max(support, default=0)
    if most == len(judged):
        return []
    if len(judged) == 2:
        return judged
    deciding = [one for one, count in zip(judged, support, strict=True) if count == most][-1]
    return [one for one in judged if one.disagrees(deciding)]


def sides(
    session: Session, assistant: Assistant, message_ids: list[str] | None = None
) -> dict[str, Sides]:
    """By answer: its sides, where two or more people have judged it. None: of all answers."""
    several = _said_by_several(assistant, message_ids)
    found: dict[str, Sides] = {}
    for review, verdict, author, text in session.exec(_verdicts(assistant, several, message_ids)):
        side = found.setdefault(review.message_id, Sides(review))
        if verdict is not None and verdict.verdict != Verdict.SKIPPED:
            made = Verdict(verdict.verdict)
            side.hear(Judged(author, made, text or "", verdict.created_at, verdict.feedback_id))
    words = (
        select(Feedback)
        .where(*_are_judgements(), col(Feedback.message_id).in_(several))
        .order_by(col(Feedback.created_at), col(Feedback.id))
    )
    if message_ids is not None and len(message_ids) <= QUERY_IDS:
        words = words.where(col(Feedback.message_id).in_(message_ids))
    for word in session.exec(words):
        found.setdefault(word.message_id, Sides()).hear(_judged(word))
    return found


def _judged(word: Feedback) -> Judged:
    is_flag = word.kind == FeedbackKind.FLAG
    made = SAYS[FeedbackKind(word.kind)]
    return Judged(word.author, made, word.text or "", word.created_at, word.id, is_flag)


def _are_judgements() -> tuple[bool, ...]:
    """Words of staff in force that say whether an answer is right, for a query.

    What rests on a retired policy takes no side: it was right under a rule that is gone.
    """
    gone = select(Policy.id).where(col(Policy.retired_at).is_not(None))
    return (
        col(Feedback.kind).in_(list(SAYS)),
        Feedback.state == FeedbackState.ACTIVE,
        Feedback.author_role != Role.CUSTOMER,
        or_(col(Feedback.policy_id).is_(None), col(Feedback.policy_id).not_in(gone)),
    )  # type: ignore[return-value]


def _said_by_several(assistant: Assistant, message_ids: list[str] | None) -> SelectOfScalar[str]:
    """Answers with words by two or more members of staff."""
    query = (
        select(Feedback.message_id)
        .where(*_are_judgements())
        .group_by(col(Feedback.message_id))
        .having(func.count(func.distinct(col(Feedback.author))) > 1)
    )
    if message_ids is not None and len(message_ids) <= QUERY_IDS:
        return query.where(col(Feedback.message_id).in_(message_ids))
    return (
        query.join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(Conversation.assistant_id == assistant.id)
    )


def _verdicts(
    assistant: Assistant, several: SelectOfScalar[str], message_ids: list[str] | None
) -> SelectOfScalar[tuple[Review, ReviewVerdict | None, str, str | None]]:
    """Reviews that two or more people have to do with, once for each verdict, oldest first."""
    gone = select(Policy.id).where(col(Policy.retired_at).is_not(None))
    query = (
        select(Review, ReviewVerdict, Staff.email, Feedback.text)
        .outerjoin(ReviewVerdict, col(ReviewVerdict.review_id) == Review.id)
        .outerjoin(Staff, col(Staff.id) == ReviewVerdict.staff_id)
        .outerjoin(Feedback, col(Feedback.id) == ReviewVerdict.feedback_id)
        .where(
            Review.assistant_id == assistant.id,
            or_(Review.verdicts_needed >= 2, col(Review.message_id).in_(several)),
            or_(col(Feedback.policy_id).is_(None), col(Feedback.policy_id).not_in(gone)),
        )
        .order_by(col(ReviewVerdict.created_at), col(ReviewVerdict.id))
    )
    if message_ids is not None and len(message_ids) <= QUERY_IDS:
        query = query.where(col(Review.message_id).in_(message_ids))
    return query  # type: ignore[return-value]


def of_answer(session: Session, assistant_id: str, message_id: str) -> Sides:
    """The sides of one answer; empty where fewer than two people judged it."""
    owner = session.get_one(Assistant, assistant_id)
    return sides(session, owner, [message_id]).get(message_id) or Sides()


def withheld(
    session: Session, assistant: Assistant, taught: Iterable[tuple[Feedback, Message]]
) -> dict[str, Withheld]:
    """Which of these words do not teach, by id, because somebody else on the staff did not agree.

    What a review decided holds for what was said until then: a later word is a new one, not one that
    lost. If it contradicts what stands, that is a new dispute, and neither teaches until it is decided.
    """
    words = list(taught)
    found = sides(session, assistant, list({message.id for _, message in words}))
    out = {}
    for word, message in words:
        side = found.get(message.id)
        why = side.withholds(word) if side else None
        if why is not None:
            out[word.id] = why
    return out
