"""The desk's door: lists and search of conversations, hand-overs to a person, drafts.

Customers reach a few of these for their own conversations; the rest is for staff. Taking a conversation
or writing in it is a person's act: over the API that needs a personal key.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from sqlmodel import Session

from feedback import (
    audit,
    conversations,
    handovers,
    inbox,
    search,
)
from feedback.database import reading, writing
from feedback.desk_tables import HandoverReason, Site
from feedback.errors import Denied, NotFound, Unauthenticated
from feedback.inbox import View
from feedback.sites import Look
from feedback.tables import (
    Assistant,
    Conversation,
    MessageState,
    Role,
)
from service.desk_shapes import (
    ConversationRow,
    HandoverOut,
    NewHandover,
    NewSatisfaction,
    NewSent,
    SentOut,
)
from service.drafting import draft
from service.following import NO_BUFFERING, event
from service.permissions import (
    EVERYONE,
    OPERATORS,
    STAFF,
    Caller,
    again,
    allow,
    assistant_for,
    conversation_for,
    person_of,
)
from service.shapes import (
    AnswerOut,
    ConversationOut,
    FeedbackOut,
    MessageOut,
    conversation_out,
)
from service.take_home import Language, as_text, language_of

router = APIRouter(prefix="/v1", tags=["desk"])
Anyone = Annotated[Caller, Depends(allow(*EVERYONE))]
Customer = Annotated[Caller, Depends(allow(Role.CUSTOMER))]
"""Only they say how satisfied they were."""
OfStaff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]
HEARTBEAT_SECONDS = 15.0


@router.get("/conversations")
def list_conversations(
    request: Request,
    caller: Anyone,
    assistant: str | None = None,
    view: View = View.ALL,
    q: Annotated[str, Query(max_length=200, description="Words to search for.")] = "",
    after: Annotated[str | None, Query(description="The last id of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[ConversationRow]:
    """Conversations, newest first: a saved view or a search for staff, a customer's own for them."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        if caller.role_at(owner.id) == Role.CUSTOMER:
            rows = inbox.of_customer(session, owner, caller.customer_id, caller.api_key_id, limit)
        elif q.strip():
            rows = search.find(session, owner, q, limit, after)
        else:
            rows = inbox.page(session, owner, view, caller.staff_id, after, limit)
        return [ConversationRow.of(row.conversation, row.customer) for row in rows]


@router.get("/conversations/{conversation_id}/events")
async def follow_conversation(
    request: Request,
    conversation_id: str,
    caller: Anyone,
    after: Annotated[int, Query(description="Position of the last message already known.")] = -1,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Live: `message` for each finished message after a position, `conversation` when it changes hands."""

    def find() -> Conversation:
        with reading(request.app.state.database) as session:
            return conversation_for(session, caller, conversation_id)

    await to_thread.run_sync(find)
    known = int(last_event_id) if last_event_id and last_event_id.isdigit() else after
    stream = _events(request, conversation_id, caller, known)
    return StreamingResponse(stream, headers=NO_BUFFERING, media_type="text/event-stream")


async def _events(
    request: Request, conversation_id: str, caller: Caller, known: int
) -> AsyncIterator[bytes]:
    state = request.app.state
    shown: str | None = None
    silent_seconds = 0.0

    def look() -> tuple[ConversationOut, list[MessageOut]]:
        with reading(state.database) as session:
            now_caller = again(request, session, caller)
            conversation = conversation_for(session, now_caller, conversation_id)
            said = conversations.told(conversations.messages_of(session, conversation_id))
            new = []
            for message in said:
                if message.position <= known:
                    continue
                if message.state == MessageState.WRITING:
                    break  # what comes after it waits, so that the order stays
                new.append(MessageOut.of(message))
            return ConversationOut(**conversation_out(session, conversation)), new

    while True:
        try:
            about, new = await to_thread.run_sync(look)
        except (Unauthenticated, Denied, NotFound):
            return  # shut out or revoked meanwhile; whoever calls again is told so in a sentence
        for message in new:
            known = message.position
            yield b"id: %d\n" % known + event("message", message.model_dump(mode="json"))
        if (now := about.model_dump_json()) != shown:
            shown = now
            yield event("conversation", about.model_dump(mode="json"))
        elif silent_seconds >= HEARTBEAT_SECONDS:
            silent_seconds = 0.0
            yield b": still here\n\n"
        if state.leaving.is_set() or await request.is_disconnected():
            return
        await asyncio.sleep(state.settings.events_poll_seconds)
        silent_seconds += state.settings.events_poll_seconds


@router.get("/conversations/{conversation_id}/transcript", response_class=PlainTextResponse)
def read_transcript(
    request: Request,
    conversation_id: str,
    caller: Anyone,
    language: Annotated[
        Language | None, Query(description="Else the site's; else English.")
    ] = None,
) -> PlainTextResponse:
    """The conversation as plain text, to keep."""
    with reading(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        assistant = session.get_one(Assistant, conversation.assistant_id)
        site = session.get(Site, conversation.site_id) if conversation.site_id else None
        said = conversations.told(conversations.messages_of(session, conversation_id))
    spoken = language_of(language, Look(**site.look) if site else None)
    attachment = f'attachment; filename="conversation-{conversation.created_at:%Y-%m-%d}.txt"'
    return PlainTextResponse(
        as_text(assistant, conversation, said, spoken),
        headers={"Content-Disposition": attachment, "Content-Language": spoken},
    )


@router.post("/conversations/{conversation_id}/handover", status_code=201)
def ask_for_a_person(
    request: Request, conversation_id: str, new: NewHandover, caller: Anyone
) -> ConversationOut:
    """Talk to a person: the conversation goes to the human queue. Asking twice changes nothing."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        is_customer = caller.role_at(conversation.assistant_id) == Role.CUSTOMER
        reason = HandoverReason.CUSTOMER_ASKED if is_customer else HandoverReason.AGENT_STEPPED_IN
        handovers.request(session, conversation, reason, new.detail or "pressed the button")
        if not is_customer:
            note(session, caller, conversation, "conversation.hand_over")
        return _out(session, conversation)


@router.post("/conversations/{conversation_id}/satisfaction", status_code=201)
def rate_conversation(
    request: Request, conversation_id: str, new: NewSatisfaction, caller: Customer
) -> ConversationOut:
    """How satisfied the customer was, 1 (not at all) to 5 (very). The newest word counts."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        conversation.satisfaction = new.value
        session.add(conversation)
        return _out(session, conversation)


@router.post("/conversations/{conversation_id}/take", status_code=201)
def take(request: Request, conversation_id: str, caller: OfStaff) -> HandoverOut:
    """Take a conversation: the bot is silent at once, the customer sees who is there."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        person = person_of(session, caller)
        handover = handovers.take(session, conversation, person)
        note(session, caller, conversation, "conversation.take")
        return HandoverOut.of(handover, person.name)


@router.post("/conversations/{conversation_id}/take-over", status_code=201)
def take_over(request: Request, conversation_id: str, caller: Operator) -> HandoverOut:
    """Take a conversation from the colleague who has it, say because they are away."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        person = person_of(session, caller)
        holder = handovers.take_over(session, conversation, person)
        note(session, caller, conversation, "conversation.take_over", holder=holder.email)
        handover = handovers.current(session, conversation)
        assert handover is not None, "it was begun a moment ago"
        return HandoverOut.of(handover, person.name)


@router.post("/conversations/{conversation_id}/release", status_code=201)
def hand_back(request: Request, conversation_id: str, caller: OfStaff) -> ConversationOut:
    """Hand a conversation back: the bot answers again."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        handovers.hand_back(session, conversation, person_of(session, caller))
        note(session, caller, conversation, "conversation.hand_back")
        return _out(session, conversation)


@router.post("/conversations/{conversation_id}/close", status_code=201)
def close(request: Request, conversation_id: str, caller: Anyone) -> ConversationOut:
    """Done; customers may close their own, and then wait no longer. Their next message opens it again."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        if caller.role_at(conversation.assistant_id) == Role.CUSTOMER:
            handovers.leave(session, conversation)
            return _out(session, conversation)
        handovers.close(session, conversation, person_of(session, caller))
        note(session, caller, conversation, "conversation.close")
        return _out(session, conversation)


@router.post("/conversations/{conversation_id}/drafts", status_code=201)
async def suggest(request: Request, conversation_id: str, caller: OfStaff) -> AnswerOut:
    """What the bot would say now, as a draft no customer sees."""

    def find() -> Conversation:
        with reading(request.app.state.database) as session:
            return conversation_for(session, caller, conversation_id)

    conversation = await to_thread.run_sync(find)
    return AnswerOut.of(await draft(request.app.state, conversation, caller))


@router.post("/conversations/{conversation_id}/replies", status_code=201)
def reply(
    request: Request,
    conversation_id: str,
    new: NewSent,
    caller: OfStaff,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> SentOut:
    """Write to the customer as a person. With `draft_id`, an edited draft counts as a correction and an
    untouched one as an approval; without, it is a demonstration.
    """
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        person = person_of(session, caller)
        sent = handovers.send(
            session, conversation, person, new.text, new.draft_id, idempotency_key
        )
        note(session, caller, conversation, "conversation.reply", message=sent.message.id)
        return SentOut(
            message=MessageOut.of(sent.message),
            feedback=FeedbackOut.of(sent.feedback) if sent.feedback else None,
        )


def _out(session: Session, conversation: Conversation) -> ConversationOut:
    session.flush()
    session.refresh(conversation)
    return ConversationOut(**conversation_out(session, conversation))


def note(
    session: Session, caller: Caller, conversation: Conversation, act: str, **detail: str
) -> None:
    """Into the audit log."""
    owner = conversation.assistant_id
    subject = f"conversation {conversation.id}"
    audit.record(session, caller.actor(owner), act, subject, owner, **detail)
