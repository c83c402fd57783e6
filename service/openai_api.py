"""The OpenAI-compatible door: the stock client works unchanged, and "model" names an assistant.

Clients are stateless and send the whole transcript; it is matched with the conversation it continues,
so that the log, the voice and the corrections are the same as at the customers' own door.
"""

import json
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, conversations
from feedback.assistants import Sampling, sampling_of
from feedback.database import reading
from feedback.errors import Denied, Invalid
from feedback.ids import new_id
from feedback.tables import Assistant, Conversation, Message, MessageState
from feedback.transcript import ModelMessages
from service.following import CLIENT_CLOSED_REQUEST, EventStream, while_connected
from service.opening import Ask
from service.permissions import EVERYONE, Caller, allow, assistant_among, assistant_for
from service.turn import Turn
from service.turns import Turns

router = APIRouter(prefix="/v1", tags=["openai"])
Anyone = Annotated[Caller, Depends(allow(*EVERYONE))]


class TextPart(BaseModel):
    """A piece of a message's content. Only text is understood."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn as clients send it."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[TextPart]

    def turn(self) -> dict[str, str]:
        """The turn as a transcript has it."""
        text = self.content
        if not isinstance(text, str):
            text = "".join(part.text for part in text)
        return {"role": self.role, "content": text.strip()}


class StreamOptions(BaseModel):
    """What a stream also carries."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion request. A field that would be ignored is refused by name instead."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="The name of an assistant, never of an adapter.")
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: Literal[1] = 1
    user: str | None = Field(None, max_length=200, description="Your own name for this customer.")
    metadata: dict[str, str] | None = None

    def sampling(self, assistant: Assistant) -> Sampling:
        """The assistant's sampling with what the caller may change."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        return sampling_of(
            assistant,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=stop,
            seed=self.seed,
        )


@router.get("/models")
def list_models(request: Request, caller: Anyone) -> dict[str, Any]:
    """The assistants this key may talk to."""
    with reading(request.app.state.database) as session:
        found = [each for each in assistants.every(session) if caller.role_at(each.id)]
        return {"object": "list", "data": [_model(each) for each in found]}


@router.get("/models/{name}")
def read_model(request: Request, name: str, caller: Anyone) -> dict[str, Any]:
    """One assistant."""
    with reading(request.app.state.database) as session:
        return _model(assistant_for(session, caller, name))


@router.post("/chat/completions", response_model=None)
async def chat_completions(
    request: Request, body: ChatRequest, caller: Anyone
) -> Response | dict[str, Any]:
    """Answer the last user message; earlier turns are the conversation so far."""
    state = request.app.state
    if (
        caller.site_id is not None
    ):  # `user` names a customer: a visitor must not choose who they are
        raise Denied("The widget's visitors use /v1/conversations; this door is for API keys.")
    said = [message.turn() for message in body.messages]
    _check(said)

    assistant = assistant_among(
        await state.assistants.soon(state.database, None), caller, body.model
    )
    conversation = None
    if len(said) > 1:
        conversation = await to_thread.run_sync(
            _continued, state.database, assistant, caller, said[:-1]
        )
    turns: Turns = state.turns
    begin = None
    conversation_id = conversation.id if conversation else new_id()
    if conversation is None:
        store, _ = await turns.beginning(
            conversation_id, assistant, body.user, "openai", api_key_id=caller.api_key_id
        )
        begin = partial(_begin_with, store, said[:-1])
    question = Ask(
        conversation_id,
        said[-1]["content"],
        body.sampling(assistant),
        may_hand_over=False,
        begin=begin,
    )
    turn = await turns.ask(question)
    assert isinstance(turn, Turn)  # a door that may not hand over gets an answer or an error
    headers = {"X-Conversation-Id": conversation_id, "X-Message-Id": turn.row.id}
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return EventStream(_chunks(turn, assistant.name, usage), headers=headers)
    answer = await while_connected(request, turn.done())
    if answer is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    completion = _completion(answer, assistant.name)
    return Response(json.dumps(completion), headers=headers, media_type="application/json")


def _check(said: ModelMessages) -> None:
    for number, turn in enumerate(said):
        if turn["role"] in ("system", "developer"):
            raise Invalid(
                f"messages[{number}] has the role {turn['role']!r}; the assistant's own prompt is "
                "used. Send only user and assistant messages; an operator can change the prompt."
            )
    if said[-1]["role"] != "user":
        raise Invalid(f"The last message has the role {said[-1]['role']!r}; expected 'user'.")


def _continued(
    database: Engine, assistant: Assistant, caller: Caller, earlier: ModelMessages
) -> Conversation | None:
    if caller.api_key_id is None:
        return None
    with reading(database) as session:
        return conversations.with_transcript(session, assistant, caller.api_key_id, earlier)


def _begin_with(
    store: Callable[[Session], Conversation], earlier: ModelMessages, session: Session
) -> Conversation:
    """A conversation that was had elsewhere so far."""
    conversation = store(session)
    if earlier:
        conversations.take_over(session, conversation, earlier)
        session.flush()
    return conversation


def _model(assistant: Assistant) -> dict[str, Any]:
    created = int(assistant.created_at.timestamp())
    return {"id": assistant.name, "object": "model", "created": created, "owned_by": "understudy"}


def _usage(answer: Message) -> dict[str, int]:
    asked, made = answer.prompt_tokens or 0, answer.completion_tokens or 0
    return {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}


def _completion(answer: Message, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason or "stop",
    }
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": int(answer.created_at.timestamp()),
        "model": model,
        "choices": [choice],
        "usage": _usage(answer),
    }


async def _chunks(turn: Turn, model: str, usage: bool) -> AsyncGenerator[bytes]:
    head = {
        "id": turn.row.id,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**head, "choices": [choice], **({"usage": None} if usage else {})})

    yield chunk({"role": "assistant", "content": ""})
    async for piece in turn.follow():
        yield chunk({"content": piece})
    if turn.error or turn.row.state != MessageState.COMPLETE:
        failed = {"message": str(turn.error), "type": "server_error", "code": "answer_cut_off"}
        yield _data({"error": failed})
        return
    yield chunk({}, turn.row.finish_reason or "stop")
    if usage:
        yield _data({**head, "choices": [], "usage": _usage(turn.row)})
    yield b"data: [DONE]\n\n"


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)
