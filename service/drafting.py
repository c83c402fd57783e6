"""What the bot would say now, for an agent: made as every answer is, kept as a draft no customer sees."""

from anyio import to_thread
from sqlmodel import Session
from starlette.datastructures import State

from feedback import adapters, assistants, audit, conversations, handovers
from feedback.assistants import sampling_of
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant, Conversation, Message, Prompt
from feedback.transcript import render, turns
from service.answering import answer
from service.permissions import Caller


async def draft(state: State, conversation: Conversation, caller: Caller) -> Message:
    """A draft in the conversation's own voice, answering what the customer said last.

    Where the files of that voice were removed since, what answers its topic now speaks.
    """

    def prepare() -> tuple[Assistant, Adapter | None, Prompt, list[Message]]:
        with reading(state.database) as session:
            assistant = session.get_one(Assistant, conversation.assistant_id)
            said = conversations.told(conversations.messages_of(session, conversation.id))
            last = handovers.last_question(session, conversation)
            if last is None:
                raise Invalid("There is nothing to answer yet: the customer has not said anything.")
            return (
                assistant,
                _voice(session, assistant, conversation),
                assistants.prompt_in_force(session, assistant),
                [message for message in said if message.position <= last.position],
            )

    assistant, adapter, prompt, said = await to_thread.run_sync(prepare)
    limit = feedback_settings().transcript_max_chars
    sampling = sampling_of(assistant)
    messages = render(prompt.text, turns(said), limit)
    async with state.hot_swap.engine_with(adapter) as member:
        name = adapter.name if adapter else None
        made = await answer(member.vllm, messages, sampling, name)

    def keep() -> Message:
        with writing(state.database) as session:
            row = handovers.keep_draft(
                session,
                conversations.get(session, conversation.id, lock=True),
                made.text,
                prompt_id=prompt.id,
                adapter_id=adapter.id if adapter else None,
                adapter_digest=adapter.digest if adapter else None,
                base_model=assistant.base_model,
                sampling=sampling.model_dump(exclude_none=True),
                **made.measured(),
            )
            audit.record(
                session,
                caller.actor(assistant.id),
                "conversation.draft",
                f"conversation {conversation.id}",
                assistant.id,
                message=row.id,
            )
            return row

    return await to_thread.run_sync(keep)


def _voice(session: Session, assistant: Assistant, conversation: Conversation) -> Adapter | None:
    own = adapters.by_id(session, conversation.adapter_id)
    if own is None or adapters.usable(session, own):
        return own
    return adapters.speaker(session, assistant, conversation.topic)
