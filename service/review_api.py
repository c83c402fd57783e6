"""The reviewers' door: the queue, verdicts, what was learned of a correction, rechecks.

A review is a person's act: over the API that needs a personal key.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime
from sqlmodel import Session

from feedback import (
    audit,
    conversations,
    corrections,
    incidents,
    learned,
    news,
    proposals,
    rechecks,
    reliability,
    reviews,
)
from feedback.database import reading, writing
from feedback.desk_tables import Staff, Verdict
from feedback.errors import NotFound
from feedback.forgetting import By, forgetting
from feedback.tables import Assistant, Feedback, FeedbackKind, Role, now
from service.desk_api import note
from service.desk_shapes import AgreementOut, LearnedOut, NewVerdict, RecheckOut, ReviewOut
from service.operator_shapes import TicketOut
from service.permissions import (
    OPERATORS,
    STAFF,
    Caller,
    allow,
    assistant_for,
    conversation_for,
    feedback_for,
    message_for,
    person_of,
)
from service.regression_shapes import ForgettingOut, NewIncident, NewsOut, ProgressOut
from service.shapes import AnswerOut
from service.trial_shapes import ProposalOut

router = APIRouter(prefix="/v1", tags=["desk"])
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]
OfStaff = Annotated[Caller, Depends(allow(*STAFF))]


@router.post("/reviews", status_code=201)
def fill_queue(request: Request, caller: OfStaff, assistant: str | None = None) -> dict[str, int]:
    """Sample new answers into the review queue; says how many for each reason."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        added = reviews.fill(session, owner)
        audit.record(session, caller.actor(owner.id), "review.fill", owner.name, owner.id)
        return {str(source): count for source, count in added.items()}


@router.post("/reviews/next", status_code=200)
def next_review(
    request: Request, caller: OfStaff, assistant: str | None = None
) -> ReviewOut | None:
    """The next answer for you to review, yours for a few minutes; null when there is none."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        person = person_of(session, caller)
        item = reviews.take_next(session, owner, person)
        if item is None:
            return None
        subject = f"review {item.review.id}"
        audit.record(session, caller.actor(owner.id), "review.take", subject, owner.id)
        return _review_out(session, item)


@router.get("/disputes")
def list_disputes(
    request: Request, caller: Operator, assistant: str | None = None
) -> list[ReviewOut]:
    """Answers about which people disagree, oldest first; nothing said of them teaches until it is decided."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_review_out(session, item) for item in reviews.disputed(session, owner)]


def _review_out(session: Session, item: reviews.Item) -> ReviewOut:
    sides = reviews.in_dispute(session, item.review)
    return ReviewOut.of(item.review, AnswerOut.of(item.answer), sides)


@router.post("/reviews/{review_id}/verdicts", status_code=201)
def judge(request: Request, review_id: str, new: NewVerdict, caller: OfStaff) -> ReviewOut:
    """Your verdict on an answer: approved, corrected (with the text), flagged (with the reason), skipped."""
    with writing(request.app.state.database) as session:
        item = reviews.get(session, review_id)
        conversation = item.conversation
        if caller.role_at(conversation.assistant_id) is None:
            raise NotFound(f"There is no review {review_id!r}.")
        person = person_of(session, caller)
        role = caller.role_at(conversation.assistant_id) or Role.AGENT
        feedback = feedback_of(session, person, role, item.answer.id, new)
        review = reviews.judge(session, item.review, person, new.verdict, feedback)
        note(session, caller, conversation, "review.judge", verdict=str(new.verdict))
        return ReviewOut.of(review, AnswerOut.of(item.answer))


def feedback_of(
    session: Session, person: Staff, role: Role, answer_id: str, new: NewVerdict
) -> Feedback | None:
    """What a verdict says about the answer, kept as the feedback it is."""
    kinds = {
        Verdict.APPROVED: FeedbackKind.APPROVAL,
        Verdict.CORRECTED: FeedbackKind.CORRECTION,
        Verdict.FLAGGED: FeedbackKind.FLAG,
    }
    kind = kinds.get(new.verdict)
    if kind is None:
        return None
    return corrections.give(
        session,
        answer_id,
        kind,
        person.email,
        role,
        reason=new.reason,
        text=new.text,
        note=new.note,
        policy=new.policy,
    )


@router.get("/agreement")
def read_agreement(request: Request, caller: OfStaff, assistant: str | None = None) -> AgreementOut:
    """How far people agree, and how reliable each is; an agent sees only their own reliability."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        found = reliability.figures(session, owner)
        sees_all = caller.role_at(owner.id) in (Role.OPERATOR, Role.ADMIN)
        return AgreementOut.of(found.seen_by(caller.name, sees_all))


@router.get("/learned")
def list_learned(
    request: Request,
    caller: OfStaff,
    assistant: str | None = None,
    author: Annotated[str | None, Query(description="'me', or a name; none: everybody.")] = "me",
    before: str | None = None,
) -> list[LearnedOut]:
    """Corrections, the datasets and adapters they went into, and whether the bot is right by now."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        who = caller.name if author == "me" else author
        return [LearnedOut.of(one) for one in learned.by_author(session, owner, who, before)]


@router.get("/learned/news")
def read_news(
    request: Request,
    caller: OfStaff,
    assistant: str | None = None,
    author: Annotated[str | None, Query(description="'me', or a name; none: everybody.")] = "me",
    since: Annotated[
        AwareDatetime | None, Query(description="What changed since then; none: in 30 days.")
    ] = None,
) -> NewsOut:
    """Which corrections the bot has learned since then, and which it has lost again."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        who = caller.name if author == "me" else author
        return NewsOut.of(news.since(session, owner, who, since or now() - timedelta(days=30)))


@router.get("/learned/progress")
def read_progress(
    request: Request, caller: OfStaff, assistant: str | None = None
) -> ProgressOut | None:
    """How many corrections in force were checked against what is live; null before any promotion."""
    with reading(request.app.state.database) as session:
        found = rechecks.progress(session, assistant_for(session, caller, assistant))
        return ProgressOut.of(found) if found else None


@router.post("/feedback/{feedback_id}/ticket", status_code=201)
def make_ticket(request: Request, feedback_id: str, caller: Operator) -> TicketOut:
    """Make a correction a held-out ticket: from the next cycle on it examines instead of teaching."""
    with writing(request.app.state.database) as session:
        row = feedback_for(session, caller, feedback_id)
        about = conversations.message(session, row.message_id)
        conversation = conversation_for(session, caller, about.conversation_id)
        owner = session.get_one(Assistant, conversation.assistant_id)
        ticket = incidents.from_correction(session, owner, row)
        note(session, caller, conversation, "ticket.create", feedback=row.id)
        return TicketOut.of(ticket)


@router.post("/messages/{message_id}/incidents", status_code=201)
def report_incident(
    request: Request, message_id: str, new: NewIncident, caller: OfStaff
) -> ProposalOut:
    """An answer that must not be given again: it is flagged, and proposed as a ticket."""
    with writing(request.app.state.database) as session:
        answer = message_for(session, caller, message_id)
        conversation = conversation_for(session, caller, answer.conversation_id)
        role = caller.role_at(conversation.assistant_id) or Role.AGENT
        made = incidents.report(session, answer, new.reason, caller.name, role, new.note)
        note(session, caller, conversation, "incident.report", reason=str(new.reason))
        return ProposalOut.of(proposals.shown(session, made))


@router.get("/forgetting")
def read_forgetting(
    request: Request, caller: OfStaff, assistant: str | None = None, by: By = By.TOPIC
) -> ForgettingOut:
    """What each adapter that went live knows of each group of corrections, and what was lost since."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return ForgettingOut.of(forgetting(session, owner, by))


@router.post("/feedback/{feedback_id}/rechecks", status_code=201)
def recheck(request: Request, feedback_id: str, caller: OfStaff) -> RecheckOut:
    """Ask the correction's question again of what is live; the loop does it within seconds."""
    with writing(request.app.state.database) as session:
        row = feedback_for(session, caller, feedback_id)
        about = conversations.message(session, row.message_id)
        conversation = conversation_for(session, caller, about.conversation_id)
        asked = rechecks.request(session, row, caller.name)
        note(session, caller, conversation, "feedback.recheck", feedback=row.id)
        return RecheckOut.of(asked)
