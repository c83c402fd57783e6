"""One conversation: what was said and by whom, the desk's acts, and every answer to be put right in place."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from feedback import (
    adapters,
    conversations,
    corrections,
    handovers,
    inbox,
    naming,
    policies,
    reviews,
)
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.desk_tables import Handover, HandoverOutcome, Staff
from feedback.errors import NotFound
from feedback.ids import new_id
from feedback.inbox import View
from feedback.tables import (
    Adapter,
    Conversation,
    Customer,
    Feedback,
    FlagReason,
    Handling,
    Message,
    MessageState,
    Speaker,
    now,
)
from service.console import forms, judging
from service.console.differences import word_diff
from service.console.pages import environment, page, words
from service.console.session import Seat, is_part, seat
from service.drafting import draft
from service.permissions import OPERATORS, STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
OfOperators = Annotated[Seat, Depends(seat(*OPERATORS))]
Given = Annotated[str, Form()]
EARLIER = 5
environment.filters["word_diff"] = word_diff


@dataclass(frozen=True)
class Event:
    """Something that happened between two messages."""

    at: datetime
    text: str


@dataclass(frozen=True)
class Line:
    """A message with what the page shows of it."""

    message: Message
    adapter: Adapter | None = None
    feedback: list[Feedback] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """When it was said."""
        return self.message.created_at

    @property
    def confidence(self) -> float | None:
        """How sure the bot was, as a mean token probability."""
        return conversations.confidence(self.message)

    @property
    def is_answer(self) -> bool:
        """Whether the bot said it and a person can judge it."""
        said = (MessageState.COMPLETE, MessageState.INTERRUPTED)
        return self.message.speaker == Speaker.ASSISTANT and self.message.state in said


# What the page shows


@router.get("/conversations/{conversation_id}")
def show(
    request: Request,
    here: OfStaff,
    conversation_id: str,
    view: View | None = None,
    given: str = "",
    drafted: Annotated[str, Query(alias="draft")] = "",
    done: str = "",
) -> HTMLResponse:
    """The whole page; `given` is the word the person has just given."""
    with reading(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        context = _timeline(session, here, conversation) | _side(session, here, conversation)
        context["given"] = judging.told(session, here, given)
        context["draft"] = _draft(session, here, conversation, drafted)
        context["following"] = view and inbox.following(
            session, here.desk, view, here.person.id, conversation.id
        )
    lines = [line for line in context["lines"] if isinstance(line, Line) and line.is_answer]
    context["current"] = _to_judge(lines)
    context["key"] = new_id()
    context["done"] = forms.said(done)
    return page(request, here, "conversation.html", view=view, **context)


@router.get("/conversations/{conversation_id}/timeline")
def show_timeline(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> HTMLResponse:
    """What was said, alone."""
    with reading(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        context = _timeline(session, here, conversation)
    return page(request, here, "_timeline.html", view=view, current=None, **context)


@router.get("/conversations/{conversation_id}/side")
def show_side(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> HTMLResponse:
    """Who has the conversation and whose it is, alone."""
    with reading(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        context = _side(session, here, conversation)
    return page(request, here, "_side.html", view=view, **context)


def _timeline(session: Session, here: Seat, conversation: Conversation) -> dict[str, Any]:
    said = conversations.told(conversations.messages_of(session, conversation.id))
    words_about = corrections.about_conversation(session, conversation.id)
    lines = [
        Line(
            message,
            adapters.by_id(session, message.adapter_id),
            words_about[message.id][1] if message.id in words_about else [],
        )
        for message in said
    ]
    history = handovers.history(session, conversation)
    events = [
        event
        for before, handover in zip([None, *history], history, strict=False)
        for event in _events(session, handover, before)
    ]
    return {
        "conversation": conversation,
        "customer": _customer(session, conversation),
        "lines": sorted([*lines, *events], key=lambda each: each.at),
        "reasons": list(FlagReason),
        "policies": policies.every(session, here.desk),
        "low": desk_of(here.desk).low_confidence,
    }


def _events(session: Session, handover: Handover, before: Handover | None) -> list[Event]:
    """A hand-over as people would tell it; the reason of one that goes on was told already."""
    came_from = before.outcome if before else None
    events = []
    if came_from not in (HandoverOutcome.TAKEN_OVER, HandoverOutcome.PUT_BACK):
        detail = f": {handover.detail}" if handover.detail else ""
        closed = " (out of hours)" if handover.out_of_hours else ""
        reason = f"{words(handover.reason).capitalize()}{detail}{closed}"
        events.append(Event(handover.created_at, reason))
    if handover.taken_by_id and handover.taken_at and came_from != HandoverOutcome.TAKEN_OVER:
        name = session.get_one(Staff, handover.taken_by_id).name
        events.append(Event(handover.taken_at, f"{name} took over"))
    if handover.ended_at:
        events.append(Event(handover.ended_at, _end(session, handover)))
    return events


ENDED = {
    HandoverOutcome.HANDED_BACK: "handed back to the bot",
    HandoverOutcome.CLOSED: "closed the conversation",
}


def _end(session: Session, handover: Handover) -> str:
    if handover.outcome == HandoverOutcome.CUSTOMER_LEFT:
        return "The customer ended the chat"
    holder = session.get(Staff, handover.taken_by_id or "")
    had_it = holder.name if holder else "a colleague"
    if handover.outcome == HandoverOutcome.PUT_BACK:
        return f"{had_it} may not answer here any more; the customer waits again"
    if handover.outcome is None or handover.ended_by_id is None:  # ended before this was kept
        return "Handed back to the bot, or closed"
    by = session.get_one(Staff, handover.ended_by_id).name
    if handover.outcome == HandoverOutcome.TAKEN_OVER:
        return f"{by} took over from {had_it}"
    return f"{by} {ENDED[handover.outcome]}"


def _side(session: Session, here: Seat, conversation: Conversation) -> dict[str, Any]:
    holder = session.get(Staff, conversation.assigned_to_id or "")
    theirs = (
        inbox.of_customer(session, here.desk, conversation.customer_id, None, EARLIER + 1)
        if conversation.customer_id
        else []
    )
    return {
        "conversation": conversation,
        "customer": _customer(session, conversation),
        "erase": _erase_query(session, conversation),
        "holder": holder,
        "mine": conversation.handling == Handling.PERSON
        and conversation.assigned_to_id == here.person.id,
        "others": [row.conversation for row in theirs if row.conversation.id != conversation.id],
        "minutes": handovers.waiting_minutes(conversation, now()),
        "adapter": adapters.by_id(session, conversation.adapter_id),
    }


def _customer(session: Session, conversation: Conversation) -> str:
    found = session.get(Customer, conversation.customer_id or "")
    return found.external_id if found else "Visitor"


def _erase_query(session: Session, conversation: Conversation) -> str:
    """Whom the page of erasures is asked about: the customer, or this conversation of nobody known."""
    found = session.get(Customer, conversation.customer_id or "")
    whose = {"customer": found.external_id} if found else {"conversation": conversation.id}
    return urlencode(whose)


def _draft(
    session: Session, here: Seat, conversation: Conversation, draft_id: str
) -> Message | None:
    if not draft_id:
        return None
    message, about = judging.message_here(session, here, draft_id)
    if about.id != conversation.id or message.state != MessageState.DRAFT:
        raise NotFound(f"There is no draft {draft_id!r} in this conversation.")
    return message


def _to_judge(answers: list[Line]) -> str | None:
    """The answer the keys act on first: what a customer disliked, else the least sure, else the last."""
    fresh = [line for line in answers if not any(_of_staff(row) for row in line.feedback)]
    disliked = [line for line in fresh if line.feedback]
    sure = [line for line in fresh if line.confidence is not None]
    chosen = (
        disliked[-1:]
        or sorted(sure, key=lambda line: line.confidence or 0.0)[:1]
        or fresh[-1:]
        or answers[-1:]
    )
    return chosen[0].message.id if chosen else None


def _of_staff(row: Feedback) -> bool:
    return row.author_role != "customer"


# The desk's acts


@router.post("/conversations/{conversation_id}/take")
def take(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> Response:
    """Take over: the bot is silent at once."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        handovers.take(session, conversation, here.person)
        _note(session, here, conversation, "conversation.take")
    return _back(here, conversation_id, view)


@router.post("/conversations/{conversation_id}/take-over")
def take_over(
    request: Request, here: OfOperators, conversation_id: str, view: View | None = None
) -> Response:
    """Take the conversation from the colleague who has it."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        holder = handovers.take_over(session, conversation, here.person)
        _note(session, here, conversation, "conversation.take_over", holder=holder.email)
    return _back(here, conversation_id, view)


@router.post("/conversations/{conversation_id}/release")
def hand_back(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> Response:
    """The bot answers again."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        handovers.hand_back(session, conversation, here.person)
        _note(session, here, conversation, "conversation.hand_back")
    return _back(here, conversation_id, view)


@router.post("/conversations/{conversation_id}/close")
def close(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> Response:
    """Done; on to the next of the view."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        onward = _onward(session, here, conversation, view)
        handovers.close(session, conversation, here.person)
        _note(session, here, conversation, "conversation.close")
    return RedirectResponse(onward, 303)


@router.post("/conversations/{conversation_id}/topic")
def name_topic(
    request: Request,
    here: OfStaff,
    conversation_id: str,
    topic: Given = "",
    view: View | None = None,
) -> Response:
    """Say what it is about."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        before, after = naming.name(session, conversation, topic, here.caller.name)
        told = {"before": before or "", "after": after or ""}
        _note(session, here, conversation, "conversation.topic", **told)
    return _back(here, conversation_id, view)


@router.post("/conversations/{conversation_id}/drafts")
async def suggest(
    request: Request, here: OfStaff, conversation_id: str, view: View | None = None
) -> Response:
    """What the bot would say now, into the composer."""

    def find() -> Conversation:
        with reading(request.app.state.database) as session:
            return judging.conversation_here(session, here, conversation_id)

    conversation = await to_thread.run_sync(find)
    made = await draft(request.app.state, conversation, here.caller)
    if not is_part(request):
        return _back(here, conversation_id, view, draft=made.id)
    key = new_id()
    return page(
        request, here, "_composer.html", conversation=conversation, draft=made, key=key, view=view
    )


@router.post("/conversations/{conversation_id}/replies")
def reply(
    request: Request,
    here: OfStaff,
    conversation_id: str,
    text: Given = "",
    draft_id: Given = "",
    key: Annotated[str, Form(max_length=200)] = "",
    view: View | None = None,
) -> Response:
    """Write to the customer. An edited draft corrects the bot, an untouched one approves it."""
    with writing(request.app.state.database) as session:
        conversation = judging.conversation_here(session, here, conversation_id)
        plain = text.replace("\r\n", "\n")
        sent = handovers.send(
            session, conversation, here.person, plain, draft_id or None, key or None
        )
        _note(session, here, conversation, "conversation.reply", message=sent.message.id)
    taught = sent.feedback.id if sent.feedback else ""
    return _back(here, conversation_id, view, given=taught)


# Words on answers


@router.post("/messages/{message_id}/verdicts")
def judge(
    request: Request,
    here: OfStaff,
    message_id: str,
    verdict: Given = "",
    reason: Given = "",
    text: Given = "",
    note: Given = "",
    policy: Given = "",
    view: View | None = None,
) -> Response:
    """Approve, correct or flag an answer; then on to the next conversation of the view."""
    with writing(request.app.state.database) as session:
        answer, conversation = judging.message_here(session, here, message_id)
        onward = _onward(session, here, conversation, view)
        made = judging.verdict_of(verdict)
        row = judging.give(session, here, answer, made, reason, text, note, policy)
        if row is not None:
            reviews.heard(session, row)
    given = urlencode({"given": row.id}) if row else ""
    return RedirectResponse(f"{onward}{'&' if '?' in onward else '?'}{given}", 303)


@router.post("/feedback/{feedback_id}/withdrawal")
def withdraw(
    request: Request, here: OfStaff, feedback_id: str, view: View | None = None
) -> Response:
    """Take one's own word back, and see the conversation it was about."""
    with writing(request.app.state.database) as session:
        conversation = judging.withdraw(session, here, feedback_id)
    return _back(here, conversation.id, view)


def _onward(session: Session, here: Seat, conversation: Conversation, view: View | None) -> str:
    """The next conversation of the view, the inbox at its end; without a view this one again."""
    start = f"/console/{here.desk.name}"
    if view is None:
        return f"{start}/conversations/{conversation.id}"
    following = inbox.following(session, here.desk, view, here.person.id, conversation.id)
    if following is None:
        return f"{start}/inbox?view={view}"
    return f"{start}/conversations/{following.id}?view={view}"


def _back(here: Seat, conversation_id: str, view: View | None, **more: str) -> Response:
    query = {name: value for name, value in {"view": view or "", **more}.items() if value}
    path = f"/console/{here.desk.name}/conversations/{conversation_id}"
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def _note(
    session: Session, here: Seat, conversation: Conversation, act: str, **detail: str
) -> None:
    judging.record(session, here, act, f"conversation {conversation.id}", **detail)
