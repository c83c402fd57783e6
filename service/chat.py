"""The customers' door: conversations and messages, as JSON or as a stream of events."""

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from feedback import conversations
from feedback.assistants import sampling_of
from feedback.database import reading
from feedback.errors import Unavailable
from feedback.tables import Adapter, ApiKey, Assistant, Conversation, Customer, Role
from service.following import CLIENT_CLOSED_REQUEST, NO_BUFFERING, event, while_connected
from service.permissions import (
    EVERYONE,
    allow,
    assistant_for,
    conversation_for,
    message_for,
)
from service.shapes import (
    AnswerOut,
    ConversationOut,
    Exchange,
    History,
    MessageOut,
    NewConversation,
    NewMessage,
    conversation_out,
)
from service.turn import Ask, Turn, Turns

router = APIRouter(prefix="/v1", tags=["conversations"])
Caller = Annotated[ApiKey, Depends(allow(*EVERYONE))]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Send the same key to repeat a request safely: nothing is asked twice, and an "
        "answer that was cut off goes on where it stopped.",
    ),
]


@router.post("/conversations", status_code=201)
async def begin_conversation(
    request: Request, new: NewConversation, caller: Caller
) -> ConversationOut:
    """Begin a conversation. It keeps the adapter that is live now for as long as it lasts."""
    state = request.app.state

    def find() -> Assistant:
        with reading(state.database) as session:
            return assistant_for(session, caller, new.assistant)

    assistant = await to_thread.run_sync(find)
    turns: Turns = state.turns
    conversation = await turns.begin(assistant, new.customer, "api", caller.id)

    def describe() -> ConversationOut:
        with reading(state.database) as session:
            return ConversationOut(**_fields(session, conversation))

    return await to_thread.run_sync(describe)


@router.get("/conversations/{conversation_id}")
def read_conversation(request: Request, conversation_id: str, caller: Caller) -> History:
    """A conversation with everything said in it; staff also see how each answer was made."""
    shape = MessageOut if caller.role == Role.CUSTOMER else AnswerOut
    with reading(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        said = conversations.messages_of(session, conversation_id)
        fields = _fields(session, conversation)
        return History(**fields, messages=[shape.of(message) for message in said])


@router.get("/conversations/{conversation_id}/messages/{message_id}")
def read_message(
    request: Request, conversation_id: str, message_id: str, caller: Caller
) -> AnswerOut | MessageOut:
    """One message: how to fetch an answer after a disconnect."""
    shape = MessageOut if caller.role == Role.CUSTOMER else AnswerOut
    with reading(request.app.state.database) as session:
        conversation_for(session, caller, conversation_id)
        return shape.of(message_for(session, caller, message_id))


@router.post(
    "/conversations/{conversation_id}/messages",
    status_code=201,
    response_model=Exchange,
    responses={
        201: {
            "description": "The exchange as JSON, or with `Accept: text/event-stream` the events "
            "`question`, `delta` …, and `answer` or `error`.",
            "content": {"text/event-stream": {}},
        },
        503: {"description": "The engine is down; the message is kept. See Retry-After."},
    },
)
async def ask(
    request: Request,
    conversation_id: str,
    new: NewMessage,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
    accept: Annotated[str, Header()] = "application/json",
) -> Response | Exchange:
    """Say something and get the answer. Both are stored before you are told so."""
    state = request.app.state

    def prepare() -> Ask:
        with reading(state.database) as session:
            conversation = conversation_for(session, caller, conversation_id)
            assistant = session.get_one(Assistant, conversation.assistant_id)
            return Ask(conversation_id, new.text, sampling_of(assistant), idempotency_key)

    turns: Turns = state.turns
    turn = await turns.ask(await to_thread.run_sync(prepare))
    if "text/event-stream" in accept:
        return StreamingResponse(
            _events(turn), 201, headers=NO_BUFFERING, media_type="text/event-stream"
        )
    answer = await while_connected(request, turn.done())
    if answer is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return Exchange(question=MessageOut.of(turn.question), answer=MessageOut.of(answer))


async def _events(turn: Turn) -> AsyncIterator[bytes]:
    opened = {
        "question": MessageOut.of(turn.question).model_dump(mode="json"),
        "answer_id": turn.row.id,
    }
    yield event("question", opened)
    async for piece in turn.follow():
        yield event("delta", {"text": piece})
    if turn.error:
        failed: dict[str, object] = {"message": str(turn.error), "answer_id": turn.row.id}
        if isinstance(turn.error, Unavailable):
            failed["retry_after_seconds"] = turn.error.retry_after_seconds
        yield event("error", failed)
    else:
        yield event("answer", MessageOut.of(turn.row).model_dump(mode="json"))


def _fields(session: Session, conversation: Conversation) -> dict[str, object]:
    assistant = session.get_one(Assistant, conversation.assistant_id)
    customer = session.get(Customer, conversation.customer_id) if conversation.customer_id else None
    adapter = session.get(Adapter, conversation.adapter_id) if conversation.adapter_id else None
    return conversation_out(
        conversation,
        assistant.name,
        customer.external_id if customer else None,
        adapter.name if adapter else None,
    )
