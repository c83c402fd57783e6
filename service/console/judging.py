"""An agent's word on an answer, from whichever page: approve, correct, flag; and taking it back."""

from dataclasses import dataclass

from sqlmodel import Session

from feedback import audit, conversations, corrections, disputes, policies, reviews
from feedback.desk_tables import Verdict
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import (
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    Message,
)
from service.console.session import Seat
from service.permissions import conversation_for, feedback_for, message_for


def conversation_here(session: Session, here: Seat, conversation_id: str) -> Conversation:
    """A conversation of the assistant in the path, or NotFound."""
    found = conversation_for(session, here.caller, conversation_id)
    if found.assistant_id != here.desk.id:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return found


def message_here(session: Session, here: Seat, message_id: str) -> tuple[Message, Conversation]:
    """A message of the assistant in the path with its conversation, or NotFound."""
    message = message_for(session, here.caller, message_id)
    conversation = conversations.get(session, message.conversation_id)
    if conversation.assistant_id != here.desk.id:
        raise NotFound(f"There is no message {message_id!r}.")
    return message, conversation


def feedback_here(session: Session, here: Seat, feedback_id: str) -> tuple[Feedback, Conversation]:
    """A word on an answer of the assistant in the path with its conversation, or NotFound."""
    row = feedback_for(session, here.caller, feedback_id)
    message = conversations.message(session, row.message_id)
    conversation = conversations.get(session, message.conversation_id)
    if conversation.assistant_id != here.desk.id:
        raise NotFound(f"There is no feedback {feedback_id!r}.")
    return row, conversation


def verdict_of(given: str) -> Verdict:
    """The verdict a form names, or Invalid."""
    try:
        return Verdict(given)
    except ValueError:
        raise Invalid(
            f"Found the verdict {given!r}; expected one of {', '.join(Verdict)}."
        ) from None


def give(
    session: Session,
    here: Seat,
    answer: Message,
    verdict: Verdict,
    reason: str,
    text: str,
    note: str,
    policy: str = "",
) -> Feedback | None:
    """Keep a verdict as the feedback it is. A correction also flags what was wrong."""
    if verdict == Verdict.SKIPPED:
        return None
    if verdict == Verdict.APPROVED:
        return _word(session, here, answer, FeedbackKind.APPROVAL)
    flag = _word(
        session, here, answer, FeedbackKind.FLAG, reason=reason_of(reason), note=note.strip()
    )
    if verdict == Verdict.FLAGGED:
        return flag
    if " ".join(text.split()) == " ".join(answer.text.split()):
        raise Invalid("You changed nothing. Approve the answer if it is right as it stands.")
    return _word(
        session,
        here,
        answer,
        FeedbackKind.CORRECTION,
        text=text.replace("\r\n", "\n"),
        note=note.strip(),
        policy=policy,
    )


def _word(
    session: Session,
    here: Seat,
    answer: Message,
    kind: FeedbackKind,
    reason: FlagReason | None = None,
    text: str | None = None,
    note: str | None = None,
    policy: str | None = None,
) -> Feedback:
    row = corrections.give(
        session,
        answer.id,
        kind,
        here.person.email,
        here.role,
        reason=reason,
        text=text,
        note=note or None,
        policy=policy or None,
    )
    record(session, here, f"feedback.{kind}", f"message {answer.id}", feedback=row.id)
    return row


def reason_of(given: str) -> FlagReason:
    """The reason a form names, or Invalid."""
    try:
        return FlagReason(given)
    except ValueError:
        raise Invalid("Say what was wrong with the answer: choose one of the reasons.") from None


def record(session: Session, here: Seat, act: str, subject: str, **detail: str) -> None:
    """Note an act of the person at the page."""
    audit.record(session, here.caller.actor(here.desk.id), act, subject, here.desk.id, **detail)


@dataclass(frozen=True)
class Told:
    """A word a person has just given, and whether a colleague's contradicts it."""

    word: Feedback
    is_disputed: bool


def told(session: Session, here: Seat, feedback_id: str) -> Told | None:
    """The word the person has just given, to tell them so and to offer to take it back."""
    found = session.get(Feedback, feedback_id) if feedback_id else None
    if found is None or found.author != here.person.email or found.state != FeedbackState.ACTIVE:
        return None
    message = conversations.message(session, found.message_id)
    why = disputes.withheld(session, here.desk, [(found, message)]).get(found.id)
    return Told(found, why == disputes.Withheld.DISPUTED)


def adopt(session: Session, here: Seat, answer: Message, feedback_id: str) -> Feedback:
    """A colleague's correction, given as one's own word: the same text and what was wrong."""
    said = [
        row
        for row in corrections.about_message(session, answer.id)
        if row.state == FeedbackState.ACTIVE
    ]
    theirs = next((row for row in said if row.id == feedback_id), None)
    if theirs is None or theirs.kind != FeedbackKind.CORRECTION:
        raise Conflict("That correction was taken back or replaced; look at the answer again.")
    for row in said:
        if row.kind == FeedbackKind.FLAG and row.author == theirs.author:
            _word(session, here, answer, FeedbackKind.FLAG, reason=row.reason)
    policy = policies.by_id(session, theirs.policy_id).name if theirs.policy_id else None
    return _word(session, here, answer, FeedbackKind.CORRECTION, text=theirs.text, policy=policy)


def withdraw(session: Session, here: Seat, feedback_id: str) -> Conversation:
    """Take one's own word back; with a correction goes the flag that says what was wrong."""
    row, conversation = feedback_here(session, here, feedback_id)
    reviews.withdraw(session, row.id, here.person.email)
    if row.kind == FeedbackKind.CORRECTION:
        for other in corrections.about_message(session, row.message_id):
            if (
                other.kind == FeedbackKind.FLAG
                and other.author == row.author
                and other.state == FeedbackState.ACTIVE
            ):
                reviews.withdraw(session, other.id, row.author)
    record(session, here, "feedback.withdraw", f"message {row.message_id}", feedback=row.id)
    return conversation
