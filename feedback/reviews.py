"""The review queue: answers sampled because they are uncertain, new, or by chance; looked at by people.

A share is seen by two; where they disagree a third decides, and until then neither side's words teach
(disputes.py). So it is with two people who disagree beside the queue: the answer comes into it. An item is
locked for a few minutes while somebody looks at it, so that two people do not do the same work.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import corrections, disputes
from feedback.agreement import seen_by_two
from feedback.conversations import confidence
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
from feedback.disputes import SAYS, Judged, contradict
from feedback.errors import Conflict, NotFound
from feedback.near_copies import similarity, trigrams
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    Message,
    MessageState,
    Role,
    Speaker,
    now,
)

LOOKED_AT = 2000
"""Newest answers that are considered for the queue at a time."""
KNOWN = 500
"""Newest taught questions that decide whether a topic is new."""
DRAWN: tuple[ReviewSource, ...] = (
    ReviewSource.UNCERTAIN,
    ReviewSource.NEW_TOPIC,
    ReviewSource.RANDOM,
)
"""Why an answer is drawn; a disagreement comes by itself."""
NEW_TOPIC = 0.25
"""A question less similar than this to every taught one counts as a new topic."""


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
    added = dict.fromkeys(DRAWN, 0)
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
    taught = corrections.that_teach(session, assistant.id, KNOWN)
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
        .order_by(
            col(Review.assigned_to_id).is_(None),
            col(Review.source) != ReviewSource.DISAGREEMENT,  # two people's words wait for it
            col(Review.created_at),
            col(Review.id),
        )
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
    if any(one.staff_id == person.id for one in verdicts(session, review)):
        raise Conflict("You have judged this answer already; another person looks at it next.")
    return _count(session, review, person, verdict, feedback)


def _count(
    session: Session, review: Review, person: Staff, verdict: Verdict, feedback: Feedback | None
) -> Review:
    """Keep a verdict, and see whether the item is done with it."""
    was_disputed = _is_disputed_without(_sides(session, review), person.email)
    session.add(
        ReviewVerdict(
            review_id=review.id,
            staff_id=person.id,
            verdict=verdict,
            feedback_id=feedback.id if feedback else None,
        )
    )
    session.flush()
    review.locked_by_id = review.locked_until = None
    counted, skipped = _counted(session, review)
    if not was_disputed and _sides(session, review).in_dispute:
        review.verdicts_needed = counted + 1
        review.assigned_to_id = None
    if counted >= review.verdicts_needed or (skipped and not _others_left(session, review)):
        review.state, review.done_at = ReviewState.DONE, now()
    session.add(review)
    return review


def _counted(session: Session, review: Review) -> tuple[int, int]:
    """How many have judged an item, and how many have skipped it."""
    given = verdicts(session, review)
    skipped = sum(one.verdict == Verdict.SKIPPED for one in given)
    return len(given) - skipped, skipped


def _sides(session: Session, review: Review) -> disputes.Sides:
    return disputes.of_answer(session, review.assistant_id, review.message_id)


def _is_disputed_without(sides: disputes.Sides, author: str) -> bool:
    """Whether others than this person are in dispute, so that this person's word decides."""
    return contradict([one for one in sides.in_dispute if one.author != author])


def in_dispute(session: Session, review: Review) -> list[Judged]:
    """What those say who disagree about an answer, oldest first; nothing when nobody does."""
    return _sides(session, review).in_dispute


# Beside the queue


def heard(session: Session, word: Feedback) -> Review | None:
    """A word given beside the queue. Where it contradicts a colleague's, the answer waits for a third person
    there and neither word teaches; a third person's word decides, as it does in the queue.

    Whoever keeps such a word calls this (console, API, command line). Returns the review, if there is one.
    """
    if word.author_role == Role.CUSTOMER or word.kind not in SAYS:
        return None
    about = session.get_one(Message, word.message_id)
    owner = session.get_one(Conversation, about.conversation_id).assistant_id
    query = select(Review).where(Review.message_id == about.id).with_for_update()
    review = session.exec(query).first()
    sides = disputes.of_answer(session, owner, about.id)
    if not sides.in_dispute:
        return _leave(session, review) if review else None
    if not _is_disputed_without(sides, word.author):
        return _wait_for_third(session, owner, about, review, sides.in_dispute)
    person = session.exec(select(Staff).where(Staff.email == word.author)).first()
    if review is None or person is None or word.kind == FeedbackKind.FLAG:
        return review
    if any(one.staff_id == person.id for one in verdicts(session, review)):
        return review
    return _count(session, review, person, SAYS[FeedbackKind(word.kind)], word)


def _wait_for_third(
    session: Session, owner: str, about: Message, review: Review | None, judged: list[Judged]
) -> Review:
    """The answer joins the queue. The words of those who disagree are their verdicts: they do not decide."""
    if review is None:
        review = Review(assistant_id=owner, message_id=about.id, source=ReviewSource.DISAGREEMENT)
        session.add(review)
        session.flush()
    known = {one.staff_id for one in verdicts(session, review)}
    names = {one.author: one for one in judged}
    for person in session.exec(select(Staff).where(col(Staff.email).in_(list(names)))).all():
        if person.id not in known:
            one = names[person.email]
            session.add(
                ReviewVerdict(
                    review_id=review.id,
                    staff_id=person.id,
                    verdict=one.verdict,
                    feedback_id=one.feedback_id,
                    created_at=one.at,
                )
            )
    session.flush()
    review.source, review.state = ReviewSource.DISAGREEMENT, ReviewState.OPEN
    review.verdicts_needed = _counted(session, review)[0] + 1
    review.assigned_to_id = review.locked_by_id = review.locked_until = None
    session.flush()
    return review


def _leave(session: Session, review: Review) -> Review:
    """Out of the queue again, if only a dispute that is over had brought it there."""
    if review.source == ReviewSource.DISAGREEMENT and review.state == ReviewState.OPEN:
        review.state, review.done_at = ReviewState.DONE, now()
        review.verdicts_needed = _counted(session, review)[0]
        session.flush()
    return review


def withdraw(session: Session, feedback_id: str, author: str) -> Feedback:
    """An author takes their word back; a verdict that gave it goes too, and the item is open again.

    An item that was in the queue for a dispute only leaves it when that was the last word against another.
    """
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
        session.flush()
        if _sides(session, review).in_dispute:
            review.verdicts_needed = _counted(session, review)[0] + 1
        elif review.verdicts_needed == 3:
            review.verdicts_needed = 2
    session.flush()
    review_of = session.exec(select(Review).where(Review.message_id == word.message_id)).first()
    if review_of is not None and not _sides(session, review_of).in_dispute:
        _leave(session, review_of)
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


def disputed(session: Session, assistant: Assistant, limit: int = 100) -> list[Item]:
    """The open items about which people disagree, oldest first, whoever they wait for."""
    return [
        item for item in open_items(session, assistant, limit) if in_dispute(session, item.review)
    ]


def agreement(session: Session, assistant: Assistant) -> tuple[int, int]:
    """Of the answers drawn for two people: how many they agreed on at once, of how many."""
    pairs = [item.judged[:2] for item in seen_by_two(session, assistant)]
    return sum(not contradict(pair) for pair in pairs), len(pairs)
