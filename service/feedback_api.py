"""The agents' door: ratings, flags, corrections, approvals and demonstrations on messages."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlmodel import Session

from feedback import audit, conversations, corrections, reviews
from feedback.database import reading, writing
from feedback.tables import Feedback, FeedbackKind, Role
from service.permissions import (
    EVERYONE,
    STAFF,
    Caller,
    allow,
    conversation_for,
    feedback_for,
    message_for,
)
from service.shapes import FeedbackOut, NewApproval, NewCorrection, NewFlag, NewRating

router = APIRouter(prefix="/v1", tags=["feedback"])
Anyone = Annotated[Caller, Depends(allow(*EVERYONE))]
Staff = Annotated[Caller, Depends(allow(*STAFF))]


@router.post("/messages/{message_id}/ratings", status_code=201)
def rate(request: Request, message_id: str, new: NewRating, caller: Anyone) -> FeedbackOut:
    """Thumbs on an answer. A newer one by the same author supersedes it."""
    return _give(request, message_id, caller, FeedbackKind.RATING, value=new.value, note=new.note)


@router.post("/messages/{message_id}/flags", status_code=201)
def flag(request: Request, message_id: str, new: NewFlag, caller: Anyone) -> FeedbackOut:
    """Say what is wrong with an answer."""
    return _give(request, message_id, caller, FeedbackKind.FLAG, reason=new.reason, note=new.note)


@router.post("/messages/{message_id}/corrections", status_code=201)
def correct(request: Request, message_id: str, new: NewCorrection, caller: Staff) -> FeedbackOut:
    """Give the answer the assistant should have given."""
    return _give(
        request,
        message_id,
        caller,
        FeedbackKind.CORRECTION,
        text=new.text,
        note=new.note,
        policy=new.policy,
    )


@router.post("/messages/{message_id}/demonstrations", status_code=201)
def demonstrate(
    request: Request, message_id: str, new: NewCorrection, caller: Staff
) -> FeedbackOut:
    """Answer a customer's message from scratch."""
    return _give(
        request,
        message_id,
        caller,
        FeedbackKind.DEMONSTRATION,
        text=new.text,
        note=new.note,
        policy=new.policy,
    )


@router.post("/messages/{message_id}/approvals", status_code=201)
def approve(request: Request, message_id: str, new: NewApproval, caller: Staff) -> FeedbackOut:
    """Say that an answer is right as it stands."""
    return _give(request, message_id, caller, FeedbackKind.APPROVAL, note=new.note)


@router.get("/messages/{message_id}/feedback")
def read_feedback(request: Request, message_id: str, caller: Staff) -> list[FeedbackOut]:
    """Everything said about a message, oldest first, with what no longer counts."""
    with reading(request.app.state.database) as session:
        message_for(session, caller, message_id)
        return [FeedbackOut.of(row) for row in corrections.about_message(session, message_id)]


@router.post("/feedback/{feedback_id}/withdrawal", status_code=201)
def withdraw(request: Request, feedback_id: str, caller: Staff) -> FeedbackOut:
    """Take your own word back. It stays on record and no longer counts."""
    with writing(request.app.state.database) as session:
        feedback_for(session, caller, feedback_id)
        row = reviews.withdraw(session, feedback_id, caller.name)
        about = conversations.message(session, row.message_id)
        conversation = conversation_for(session, caller, about.conversation_id)
        _note(session, caller, conversation.assistant_id, "feedback.withdraw", row)
        return FeedbackOut.of(row)


def _give(
    request: Request,
    message_id: str,
    caller: Caller,
    kind: FeedbackKind,
    **what: Any,
) -> FeedbackOut:
    with writing(request.app.state.database) as session:
        about = message_for(session, caller, message_id)
        conversation = conversation_for(session, caller, about.conversation_id)
        role = caller.role_at(conversation.assistant_id) or Role.CUSTOMER
        row = corrections.give(
            session, message_id, kind, author=caller.name, author_role=role, **what
        )
        if role != Role.CUSTOMER:
            _note(session, caller, conversation.assistant_id, f"feedback.{kind}", row)
        reviews.heard(session, row)
        return FeedbackOut.of(row)


def _note(session: Session, caller: Caller, assistant_id: str, act: str, row: Feedback) -> None:
    subject = f"message {row.message_id}"
    audit.record(session, caller.actor(assistant_id), act, subject, assistant_id, feedback=row.id)
