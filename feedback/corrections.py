"""What people say about answers: ratings, flags, corrections, approvals and demonstrations.

Nothing is edited: an author's newer word on the same message supersedes their older one of its kind.
"""

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, func, or_, select

from feedback import policies
from feedback.conversations import check_text, message
from feedback.errors import Conflict, Invalid, NotFound
from feedback.storing import storable
from feedback.tables import (
    UNSEEN,
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    Message,
    MessageState,
    Role,
    Speaker,
)

ABOUT_ANSWERS = {
    FeedbackKind.RATING,
    FeedbackKind.FLAG,
    FeedbackKind.CORRECTION,
    FeedbackKind.APPROVAL,
}


def give(
    session: Session,
    message_id: str,
    kind: FeedbackKind,
    author: str,
    author_role: Role,
    value: int | None = None,
    reason: FlagReason | None = None,
    text: str | None = None,
    note: str | None = None,
    policy: str | None = None,
) -> Feedback:
    """Record one person's word on one message and supersede their earlier one of the same kind.

    `policy` names the rule of the house that it rests on.
    """
    about = _locked(session, message_id)
    owner = session.get_one(Conversation, about.conversation_id).assistant_id
    _check(about, kind, value, reason)
    if kind in (FeedbackKind.CORRECTION, FeedbackKind.DEMONSTRATION):
        text = check_text(text or "", kind)
    assistant = session.get_one(Assistant, owner)
    text, note = (each and storable(assistant, each) for each in (text, note))
    earlier = session.exec(
        select(Feedback).where(
            Feedback.message_id == message_id,
            Feedback.kind == kind,
            Feedback.author == author,
            Feedback.state == FeedbackState.ACTIVE,
        )
    ).first()
    row = Feedback(
        message_id=message_id,
        kind=kind,
        value=value,
        reason=reason,
        text=text,
        note=note,
        author=author,
        author_role=author_role,
        policy_id=policies.to_rest_on(session, owner, policy),
        supersedes_id=earlier.id if earlier else None,
    )
    if earlier:
        earlier.state = FeedbackState.SUPERSEDED
        session.add(earlier)
        session.flush()
    session.add(row)
    _note(session, about, row)
    session.flush()
    return row


def is_dislike(row: Feedback) -> bool:
    """Whether a customer says that an answer was bad: a flag, or thumbs down."""
    is_bad = row.kind == FeedbackKind.FLAG or row.value == -1
    return row.author_role == Role.CUSTOMER and is_bad


def are_dislikes() -> ColumnElement[bool]:
    """The same as `is_dislike`, for a query."""
    is_bad = or_(col(Feedback.kind) == FeedbackKind.FLAG, col(Feedback.value) == -1)
    return and_(col(Feedback.author_role) == Role.CUSTOMER, is_bad)


def _note(session: Session, about: Message, row: Feedback) -> None:
    """Keep what the inbox sorts by: what a customer disliked, and what staff have looked at since."""
    conversation = session.get_one(Conversation, about.conversation_id)
    if row.author_role == Role.CUSTOMER:
        if is_dislike(row):
            conversation.flagged_at = row.created_at
    elif about.state not in UNSEEN:
        conversation.flagged_at = None
        conversation.reviewed_at = row.created_at
    session.add(conversation)


def _locked(session: Session, message_id: str) -> Message:
    """The message; writers about it take turns, so that a person has one active word of a kind."""
    query = select(Message).where(Message.id == message_id).with_for_update()
    return session.exec(query).first() or message(session, message_id)


def _check(
    about: Message, kind: FeedbackKind, value: int | None, reason: FlagReason | None
) -> None:
    if kind in ABOUT_ANSWERS and about.speaker != Speaker.ASSISTANT:
        raise Invalid(
            f"A {kind} is about an answer; message {about.id!r} is by the {about.speaker}."
        )
    if kind == FeedbackKind.DEMONSTRATION and about.speaker != Speaker.CUSTOMER:
        raise Invalid(
            f"A demonstration answers a customer's message; {about.id!r} is by the {about.speaker}."
        )
    if about.state == MessageState.WRITING:
        raise Conflict(f"Message {about.id!r} is still being written; try again when it is done.")
    if kind == FeedbackKind.RATING and value not in (1, -1):
        raise Invalid(f"Found the rating {value!r}, expected 1 (helpful) or -1 (not helpful).")
    if kind == FeedbackKind.FLAG and reason is None:
        raise Invalid(f"A flag needs a reason: one of {', '.join(FlagReason)}.")


def withdraw(session: Session, feedback_id: str, author: str) -> Feedback:
    """An author takes their own word back. It stays on record and no longer counts."""
    row = session.get(Feedback, feedback_id)
    if row is None or row.author != author:
        raise NotFound(f"There is no feedback {feedback_id!r} by {author!r}.")
    if row.state != FeedbackState.ACTIVE:
        raise Conflict(
            f"Feedback {feedback_id!r} is {row.state}; only active feedback can be withdrawn."
        )
    row.state = FeedbackState.WITHDRAWN
    session.add(row)
    session.flush()
    _note_again(session, message(session, row.message_id).conversation_id)
    return row


def _note_again(session: Session, conversation_id: str) -> None:
    """What the inbox sorts by, from the words that still count."""
    conversation = session.get_one(Conversation, conversation_id)
    words = [
        (row, about)
        for about, rows in about_conversation(session, conversation_id).values()
        for row in rows
    ]
    disliked = [row.created_at for row, _ in words if is_dislike(row)]
    looked_at = [
        row.created_at
        for row, about in words
        if row.author_role != Role.CUSTOMER and about.state not in UNSEEN
    ]
    answered = session.exec(
        select(func.max(func.coalesce(Message.finished_at, Message.created_at))).where(
            Message.conversation_id == conversation_id,
            Message.speaker == Speaker.ASSISTANT,
            col(Message.state).not_in(UNSEEN),
        )
    ).one()
    reviewed, flagged = max(looked_at, default=None), max(disliked, default=None)
    newer_answer = reviewed is not None and answered is not None and answered > reviewed
    conversation.reviewed_at = None if newer_answer else reviewed
    conversation.flagged_at = flagged if flagged and (reviewed or flagged) <= flagged else None
    session.add(conversation)


def about_message(session: Session, message_id: str) -> list[Feedback]:
    """Everything said about a message, also what no longer counts, oldest first."""
    return list(
        session.exec(
            select(Feedback)
            .where(Feedback.message_id == message_id)
            .order_by(col(Feedback.created_at), col(Feedback.id))
        )
    )


def about_conversation(
    session: Session, conversation_id: str
) -> dict[str, tuple[Message, list[Feedback]]]:
    """What counts of what was said about a conversation's messages, by message, oldest first."""
    found: dict[str, tuple[Message, list[Feedback]]] = {}
    rows = session.exec(
        select(Message, Feedback)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .where(Message.conversation_id == conversation_id, Feedback.state == FeedbackState.ACTIVE)
        .order_by(col(Feedback.created_at), col(Feedback.id))
    )
    for about, row in rows:
        found.setdefault(about.id, (about, []))[1].append(row)
    return found


def every(
    session: Session,
    assistant: Assistant,
    kind: FeedbackKind | None = None,
    state: FeedbackState | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[tuple[Feedback, Message, Conversation]]:
    """What was said about an assistant's messages, newest first."""
    query = (
        select(Feedback, Message, Conversation)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(Conversation.assistant_id == assistant.id)
        .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
        .limit(limit)
    )
    if kind is not None:
        query = query.where(Feedback.kind == kind)
    if state is not None:
        query = query.where(Feedback.state == state)
    if since is not None:
        query = query.where(col(Feedback.created_at) >= since)
    return list(session.exec(query).all())


TEACHING = (FeedbackKind.CORRECTION, FeedbackKind.APPROVAL, FeedbackKind.DEMONSTRATION)
"""What may teach; ratings and flags only tell."""


def that_teach(
    session: Session, assistant_id: str, newest: int | None = None
) -> list[tuple[Feedback, Message, Conversation]]:
    """Active corrections, approvals and demonstrations, oldest first; only the `newest` so many of them."""
    query = (
        select(Feedback, Message, Conversation)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(*_teach(assistant_id))
        .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
        .limit(newest)
    )
    return list(reversed(session.exec(query).all()))


def number_that_teach(
    session: Session, assistant_id: str, since: datetime | None = None
) -> dict[FeedbackKind, int]:
    """How many such words there are of each kind; given after `since`, where that is said."""
    query = (
        select(Feedback.kind, func.count())
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(*_teach(assistant_id))
        .group_by(col(Feedback.kind))
    )
    if since is not None:
        query = query.where(col(Feedback.created_at) > since)
    found = {FeedbackKind(kind): number for kind, number in session.exec(query)}
    return {kind: found.get(kind, 0) for kind in TEACHING}


def _teach(assistant_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Conversation.assistant_id) == assistant_id,
        col(Feedback.kind).in_(TEACHING),
        col(Feedback.state) == FeedbackState.ACTIVE,
    )
