"""The review queue: answers sampled because they are uncertain, new, or by chance; looked at by people.

A share is seen by two; where they disagree a third decides, and until then neither side's words teach.
An item is locked for a few minutes while somebody looks at it, so that two people do not do the same work.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlmodel import Session, col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import corrections
from feedback.conversations import QUERY_IDS, confidence
from feedback.desk import desk_of
from feedback.desk_tables import (
    Review,
    ReviewSource,
    ReviewState,
    ReviewVerdict,
    Staff,
    StaffRole,
    Verdict,
)
from feedback.errors import Conflict, NotFound
from feedback.near_copies import similarity, trigrams
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    Message,
    MessageState,
    Speaker,
    now,
)

LOOKED_AT = 2000
"""Newest answers that are considered for the queue at a time."""
KNOWN = 500
"""Newest taught questions that decide whether a topic is new."""
NEW_TOPIC = 0.25
"""A question less similar than this to every taught one counts as a new topic."""
SAME = 0.6
"""Two corrections at least this similar say the same."""


@dataclass(frozen=True)
class Item:
    """A review with what it is about."""

    review: Review
    answer: Message
    conversation: Conversation


def fill(session: Session, assistant: Assistant, at_most: int = 50) -> dict[ReviewSource, int]:
    """Put new answers into the queue; says how many for each reason.

    An answer is uncertain by its confidence, new by its distance to what was taught, else drawn by
    chance (by a hash of its id: the same answers are drawn wherever this runs).
    """
    session.exec(select(Assistant).where(Assistant.id == assistant.id).with_for_update()).one()
    desk = desk_of(assistant)
    taught = _taught_questions(session, assistant)
    added = dict.fromkeys(ReviewSource, 0)
    for answer, question, conversation in _not_looked_at(session, assistant):
        if sum(added.values()) >= at_most:
            break
        source = _source(desk.low_confidence, desk.review_percent, answer, question, taught)
        if source is None:
            continue
        twice = _draw(f"twice {answer.id}") < desk.second_review_percent
        session.add(
            Review(
                assistant_id=conversation.assistant_id,
                message_id=answer.id,
                source=source,
                verdicts_needed=2 if twice else 1,
            )
        )
        added[source] += 1
    session.flush()
    return added


def _source(
    low_confidence: float,
    percent: int,
    answer: Message,
    question: Message,
    taught: list[frozenset[str]],
) -> ReviewSource | None:
    sure = confidence(answer)
    if sure is not None and sure < low_confidence:
        return ReviewSource.UNCERTAIN
    if taught:
        mine = trigrams(question.text)
        if max(similarity(mine, known) for known in taught) < NEW_TOPIC:
            return ReviewSource.NEW_TOPIC
    return ReviewSource.RANDOM if _draw(answer.id) < percent else None


def _draw(what: str) -> float:
    """A number from 0 to 100 that is the same wherever it is drawn."""
    return int(hashlib.sha256(what.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF * 100


def _taught_questions(session: Session, assistant: Assistant) -> list[frozenset[str]]:
    taught = corrections.that_teach(session, assistant.id)[-KNOWN:]
    asked = [message.reply_to_id or message.id for _, message, _ in taught]
    questions = session.exec(select(Message.text).where(col(Message.id).in_(asked)))
    return [trigrams(question) for question in questions]


def _not_looked_at(
    session: Session, assistant: Assistant
) -> list[tuple[Message, Message, Conversation]]:
    """The newest answers nobody has judged or queued, each with its question."""
    newest = (
        select(Conversation.id)
        .where(Conversation.assistant_id == assistant.id, col(Conversation.reviewed_at).is_(None))
        .order_by(col(Conversation.last_message_at).desc())
        .limit(LOOKED_AT)
    )
    answers = session.exec(
        select(Message, Conversation)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .outerjoin(Review, col(Review.message_id) == Message.id)
        .where(
            col(Conversation.id).in_(newest),
            Message.speaker == Speaker.ASSISTANT,
            Message.state == MessageState.COMPLETE,
            col(Message.reply_to_id).is_not(None),
            col(Review.id).is_(None),
        )
        .order_by(col(Message.created_at).desc())
        .limit(LOOKED_AT)
    ).all()
    questions = {
        row.id: row
        for row in session.exec(
            select(Message).where(col(Message.id).in_([a.reply_to_id for a, _ in answers]))
        )
    }
    return [
        (answer, questions[answer.reply_to_id], conversation)
        for answer, conversation in answers
        if answer.reply_to_id in questions
    ]


def waiting(session: Session, assistant: Assistant, person: Staff) -> int:
    """How many items this person could look at now."""
    return len(session.exec(_open_to(assistant, person).limit(1000)).all())


def _open_to(assistant: Assistant, person: Staff) -> SelectOfScalar[Review]:
    """Open items this person has not judged and nobody else holds."""
    judged = select(ReviewVerdict.review_id).where(ReviewVerdict.staff_id == person.id)
    return select(Review).where(
        Review.assistant_id == assistant.id,
        Review.state == ReviewState.OPEN,
        col(Review.id).not_in(judged),
        or_(col(Review.assigned_to_id).is_(None), Review.assigned_to_id == person.id),
        or_(
            col(Review.locked_until).is_(None),
            col(Review.locked_until) < now(),
            Review.locked_by_id == person.id,
        ),
    )


def take_next(session: Session, assistant: Assistant, person: Staff) -> Item | None:
    """The next item for this person, theirs for a few minutes; None when there is none."""
    query = (
        _open_to(assistant, person)
        .order_by(col(Review.assigned_to_id).is_(None), col(Review.created_at), col(Review.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    review = session.exec(query).first()
    if review is None:
        return None
    review.locked_by_id = person.id
    review.locked_until = now() + timedelta(seconds=feedback_settings().review_lock_seconds)
    session.add(review)
    session.flush()
    return _item(session, review)


def _item(session: Session, review: Review) -> Item:
    answer = session.get_one(Message, review.message_id)
    return Item(review, answer, session.get_one(Conversation, answer.conversation_id))


def open_items(session: Session, assistant: Assistant, limit: int = 100) -> list[Item]:
    """What is still in the queue, oldest first, whoever it waits for."""
    found = session.exec(
        select(Review)
        .where(Review.assistant_id == assistant.id, Review.state == ReviewState.OPEN)
        .order_by(col(Review.created_at), col(Review.id))
        .limit(limit)
    )
    return [_item(session, review) for review in found.all()]


def reviewers(session: Session, assistant: Assistant) -> list[Staff]:
    """Everybody with a role for an assistant who can sign in, by name."""
    here = select(StaffRole.staff_id).where(
        or_(col(StaffRole.assistant_id).is_(None), StaffRole.assistant_id == assistant.id)
    )
    return list(
        session.exec(
            select(Staff)
            .where(col(Staff.id).in_(here), col(Staff.disabled_at).is_(None))
            .order_by(col(Staff.name), col(Staff.id))
        )
    )


def get(session: Session, review_id: str) -> Item:
    """An item, or NotFound."""
    found = session.get(Review, review_id)
    if found is None:
        raise NotFound(f"There is no review {review_id!r}.")
    return _item(session, found)


def assign(session: Session, review: Review, person: Staff | None) -> Review:
    """Only this person is shown the item (None: anybody)."""
    review = session.get_one(Review, review.id)
    review.assigned_to_id = person.id if person else None
    review.locked_by_id = review.locked_until = None
    return review


def let_go(session: Session, person: Staff, assistant_id: str | None = None) -> None:
    """What was kept for a person (at one assistant, or at all) is shown to anybody again."""
    theirs = select(Review).where(
        Review.state == ReviewState.OPEN,
        or_(Review.assigned_to_id == person.id, Review.locked_by_id == person.id),
    )
    if assistant_id is not None:
        theirs = theirs.where(Review.assistant_id == assistant_id)
    for review in session.exec(theirs.order_by(col(Review.id)).with_for_update()):
        if review.assigned_to_id == person.id:
            review.assigned_to_id = None
        if review.locked_by_id == person.id:
            review.locked_by_id = review.locked_until = None
    session.flush()


def judge(
    session: Session,
    review: Review,
    person: Staff,
    verdict: Verdict,
    feedback: Feedback | None = None,
) -> Review:
    """One person's verdict. The item is done with the last that is needed; a dispute needs a third."""
    review = session.exec(select(Review).where(Review.id == review.id).with_for_update()).one()
    if review.state == ReviewState.DONE:
        raise Conflict("This answer's review is done already; the next one is shown.")
    if review.locked_by_id not in (None, person.id) and (review.locked_until or now()) > now():
        holder = session.get_one(Staff, review.locked_by_id)
        raise Conflict(f"{holder.name} is looking at this answer right now.")
    given = verdicts(session, review)
    if any(one.staff_id == person.id for one in given):
        raise Conflict("You have judged this answer already; another person looks at it next.")
    one = ReviewVerdict(
        review_id=review.id,
        staff_id=person.id,
        verdict=verdict,
        feedback_id=feedback.id if feedback else None,
    )
    session.add(one)
    session.flush()
    review.locked_by_id = review.locked_until = None
    counted = [each for each in [*given, one] if each.verdict != Verdict.SKIPPED]
    if len(counted) == 2 and review.verdicts_needed == 2 and _disputed(session, review):
        review.verdicts_needed = 3
        review.assigned_to_id = None
    skipped = len(given) + 1 - len(counted)
    if len(counted) >= review.verdicts_needed or (skipped and not _others_left(session, review)):
        review.state, review.done_at = ReviewState.DONE, now()
    session.add(review)
    return review


def withdraw(session: Session, feedback_id: str, author: str) -> Feedback:
    """An author takes their word back; a verdict that gave it goes too, and the item is open again."""
    word = corrections.withdraw(session, feedback_id, author)
    found = session.exec(
        select(ReviewVerdict, Review)
        .join(Review, col(Review.id) == ReviewVerdict.review_id)
        .where(col(ReviewVerdict.feedback_id).in_(_with_older(session, word)))
    ).all()
    for verdict, review in found:
        session.delete(verdict)
        session.flush()
        review.state, review.done_at = ReviewState.OPEN, None
        if review.verdicts_needed == 3 and not _disputed(session, review):
            review.verdicts_needed = 2
    session.flush()
    return word


def _with_older(session: Session, word: Feedback) -> list[str]:
    """A word and those it replaced: a verdict names the word that it was given with."""
    ids = [word.id]
    while word.supersedes_id is not None:
        word = session.get_one(Feedback, word.supersedes_id)
        ids.append(word.id)
    return ids


def _others_left(session: Session, review: Review) -> bool:
    """Whether a skipped item may still find somebody who judges it."""
    judged = {one.staff_id for one in verdicts(session, review)}
    assistant = session.get_one(Assistant, review.assistant_id)
    return any(person.id not in judged for person in reviewers(session, assistant))


def verdicts(session: Session, review: Review) -> list[ReviewVerdict]:
    """Everybody's verdict on an item, oldest first."""
    return list(
        session.exec(
            select(ReviewVerdict)
            .where(ReviewVerdict.review_id == review.id)
            .order_by(col(ReviewVerdict.created_at), col(ReviewVerdict.id))
        )
    )


@dataclass(frozen=True)
class Judged:
    """What one person made of an answer, as far as it can agree with others."""

    author: str
    verdict: Verdict
    text: str

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


def withheld(
    session: Session, assistant: Assistant, taught: Iterable[tuple[Feedback, Message]]
) -> dict[str, Withheld]:
    """Which of these words do not teach, by id, because another reviewer did not agree.

    Only what was said until the review was done: a later word is a new one, not one that lost.
    """
    words = list(taught)
    messages = list({message.id for _, message in words})
    sides: dict[tuple[str, str], tuple[Withheld, Review]] = {}
    for review, judged in _seen_by_two(session, assistant, messages):
        why = Withheld.DISPUTED if len(judged) == 2 else Withheld.OUTVOTED
        for one in outvoted(judged):
            sides[review.message_id, one.author] = (why, review)
    found = {}
    for word, message in words:
        why_and_review = sides.get((message.id, word.author))
        if why_and_review is None:
            continue
        why, review = why_and_review
        if review.done_at is None or word.created_at <= review.done_at:
            found[word.id] = why
    return found


def _seen_by_two(
    session: Session, assistant: Assistant, message_ids: list[str]
) -> list[tuple[Review, list[Judged]]]:
    """Reviews that two or more people have judged, each with their verdicts, oldest first."""
    query = (
        select(Review, ReviewVerdict.verdict, Staff.email, Feedback.text)
        .join(ReviewVerdict, col(ReviewVerdict.review_id) == Review.id)
        .join(Staff, col(Staff.id) == ReviewVerdict.staff_id)
        .outerjoin(Feedback, col(Feedback.id) == ReviewVerdict.feedback_id)
        .where(
            Review.assistant_id == assistant.id,
            Review.verdicts_needed >= 2,
            ReviewVerdict.verdict != Verdict.SKIPPED,
        )
        .order_by(col(ReviewVerdict.created_at), col(ReviewVerdict.id))
    )
    if len(message_ids) <= QUERY_IDS:
        query = query.where(col(Review.message_id).in_(message_ids))
    found: dict[str, tuple[Review, list[Judged]]] = {}
    for review, verdict, author, text in session.exec(query):
        judged = found.setdefault(review.id, (review, []))[1]
        judged.append(Judged(author, Verdict(verdict), text or ""))
    return [each for each in found.values() if len(each[1]) > 1]


def _disputed(session: Session, review: Review) -> bool:
    """Whether those who have judged an answer so far disagree about it."""
    owner = session.get_one(Assistant, review.assistant_id)
    return any(outvoted(judged) for _, judged in _seen_by_two(session, owner, [review.message_id]))


def agreement(session: Session, assistant: Assistant) -> tuple[int, int]:
    """Of the items judged by two or more people: how many they agreed on at once, of how many."""
    rows = session.exec(
        select(Review.verdicts_needed, func.count())
        .where(
            Review.assistant_id == assistant.id,
            Review.state == ReviewState.DONE,
            Review.verdicts_needed >= 2,
        )
        .group_by(col(Review.verdicts_needed))
    ).all()
    found = dict(rows)
    return found.get(2, 0), sum(found.values())
