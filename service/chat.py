"""The customers' door: conversations and messages, as JSON or as a stream of events."""

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Request, Response

from feedback import conversations
from feedback.database import reading
from feedback.errors import NotFound, Unavailable
from feedback.tables import Handling, Role
from service.following import CLIENT_CLOSED_REQUEST, EventStream, event, while_connected
from service.opening import Ask, LeftToAPerson
from service.permissions import (
    EVERYONE,
    Caller,
    allow,
    assistant_among,
    check_may_see,
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
    begun_out,
    conversation_out,
)
from service.turn import Turn
from service.turns import Turns

router = APIRouter(prefix="/v1", tags=["conversations"])
Anyone = Annotated[Caller, Depends(allow(*EVERYONE))]
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
    request: Request, new: NewConversation, caller: Anyone
) -> ConversationOut:
    """Begin a conversation. It keeps the adapter that is live now for as long as it lasts; where that
    does not answer all topics, the first message decides.
    """
    state = request.app.state

    every = await state.assistants.soon(state.database, None)
    assistant = assistant_among(every, caller, new.assistant)
    turns: Turns = state.turns
    customer, channel = new.customer, "api"
    if caller.site_id is not None:  # a visitor speaks for nobody else
        customer, channel = caller.name, "widget"
    conversation, adapter = await turns.begin(
        assistant, customer, channel, api_key_id=caller.api_key_id, site_id=caller.site_id
    )
    return ConversationOut(**begun_out(conversation, assistant, adapter, customer))


@router.get("/conversations/{conversation_id}")
def read_conversation(request: Request, conversation_id: str, caller: Anyone) -> History:
    """A conversation with everything said in it; staff also see how each answer was made."""
    with reading(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        said = conversations.messages_of(session, conversation_id)
        is_customer = caller.role_at(conversation.assistant_id) == Role.CUSTOMER
        shape = MessageOut if is_customer else AnswerOut
        if is_customer:
            said = conversations.told(said)
        fields = conversation_out(session, conversation)
        return History(**fields, messages=[shape.of(message) for message in said])


@router.get("/conversations/{conversation_id}/messages/{message_id}")
def read_message(
    request: Request, conversation_id: str, message_id: str, caller: Anyone
) -> AnswerOut | MessageOut:
    """One message: how to fetch an answer after a disconnect."""
    with reading(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        is_customer = caller.role_at(conversation.assistant_id) == Role.CUSTOMER
        shape = MessageOut if is_customer else AnswerOut
        message = message_for(session, caller, message_id)
        if message.conversation_id != conversation.id:
            raise NotFound(f"There is no message {message_id!r} in this conversation.")
        return shape.of(message)


@router.post(
    "/conversations/{conversation_id}/messages",
    status_code=201,
    response_model=Exchange,
    responses={
        201: {
            "description": "The exchange as JSON, or with `Accept: text/event-stream` the events "
            "`question`, `delta` …, and `answer` or `error`. Where a person has the conversation, "
            "or is now asked for, there is no answer yet: `answer` is null, the stream ends with "
            "`conversation`.",
            "content": {"text/event-stream": {}},
        },
        503: {"description": "The engine is down; the message is kept. See Retry-After."},
    },
)
async def ask(
    request: Request,
    conversation_id: str,
    new: NewMessage,
    caller: Anyone,
    idempotency_key: IdempotencyKey = None,
    accept: Annotated[str, Header()] = "application/json",
) -> Response | Exchange:
    """Say something and get the answer. Both are stored before you are told so."""
    state = request.app.state

    turns: Turns = state.turns
    mine = partial(check_may_see, caller)
    question = Ask(conversation_id, new.text, idempotency_key=idempotency_key, check=mine)
    turn = await turns.ask(question)

    def describe() -> ConversationOut:
        with reading(state.database) as session:
            conversation = conversations.get(session, conversation_id)
            return ConversationOut(**conversation_out(session, conversation))

    if "text/event-stream" in accept:
        return EventStream(_events(turn, describe), 201)
    if isinstance(turn, LeftToAPerson):
        about = await to_thread.run_sync(describe)
        return Exchange(question=MessageOut.of(turn.question), answer=None, conversation=about)
    answer = await while_connected(request, turn.done())
    if answer is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return Exchange(
        question=MessageOut.of(turn.question),
        answer=MessageOut.of(answer),
        conversation=await to_thread.run_sync(describe),
    )


async def _events(
    turn: Turn | LeftToAPerson, describe: Callable[[], ConversationOut]
) -> AsyncGenerator[bytes]:
    if isinstance(turn, LeftToAPerson):
        said = {"question": MessageOut.of(turn.question).model_dump(mode="json"), "answer_id": None}
        yield event("question", said)
        yield event("conversation", (await to_thread.run_sync(describe)).model_dump(mode="json"))
        return
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
        if turn.handling == Handling.BOT:
            return
        about = await to_thread.run_sync(describe)
        if about.handling != Handling.BOT:
            yield event("conversation", about.model_dump(mode="json"))
