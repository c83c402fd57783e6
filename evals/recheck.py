"""Does the bot now say what a correction taught? The question is asked again of what answers its topic now.

Fixed: the answer reaches the setting's chrF against the correction and holds every number of it (a price
that is nearly right is wrong). Regressed: it did so before and does not now. Called by the loop, for what
agents ask for and after promotions.
"""

import logging
import re
from dataclasses import dataclass

from anyio import to_thread
from sqlalchemy import Engine as Database

from evals import scores
from evals.settings import EvalsSettings, evals_settings
from feedback import adapters, assistants, conversations, rechecks, taught
from feedback.assistants import Sampling
from feedback.database import reading, writing
from feedback.desk_tables import Recheck, RecheckState
from feedback.errors import UnderstudyError
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant, Conversation, Feedback, FeedbackKind, Message
from feedback.transcript import ModelMessages, render
from service.answering import answer
from service.hot_swap import HotSwap
from service.vllm import Urgency

log = logging.getLogger(__name__)

NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


@dataclass(frozen=True)
class Question:
    """A correction, ready to be asked again."""

    feedback: Feedback
    said: str | None
    """What the bot had said; None where a person answered from scratch."""
    messages: ModelMessages
    sampling: Sampling
    adapter: Adapter | None


async def recheck(
    swaps: HotSwap,
    database: Database,
    asked: Recheck,
    settings: EvalsSettings | None = None,
) -> Recheck:
    """The finished recheck. One that cannot be answered is kept as failed, with the reason."""
    settings = settings or evals_settings()
    question = await to_thread.run_sync(_prepare, database, asked)
    try:
        name = question.adapter.name if question.adapter else None
        async with swaps.engine_with(question.adapter) as member:
            made = await answer(
                member.vllm, question.messages, question.sampling, name, Urgency.LATER
            )
    except UnderstudyError as error:
        return await to_thread.run_sync(_fail, database, asked, question, str(error))
    return await to_thread.run_sync(_keep, database, asked, question, made.text, settings)


def _prepare(database: Database, asked: Recheck) -> Question:
    with reading(database) as session:
        feedback = rechecks.get(session, asked.feedback_id)
        message = session.get_one(Message, feedback.message_id)
        conversation = session.get_one(Conversation, message.conversation_id)
        assistant = session.get_one(Assistant, conversation.assistant_id)
        said = conversations.messages_of(session, conversation.id)
        prompt = assistants.prompt_in_force(session, assistant).text
        context = taught.context_of(feedback, message, said)
        limit = feedback_settings().transcript_max_chars
        sampling = assistants.sampling_of(assistant).model_copy(update={"temperature": 0.0})
        return Question(
            feedback,
            message.text if feedback.kind == FeedbackKind.CORRECTION else None,
            render(prompt, context, limit),
            sampling,
            adapters.speaker(session, assistant, conversation.topic),
        )


def _fail(database: Database, asked: Recheck, question: Question, reason: str) -> Recheck:
    with writing(database) as session:
        return rechecks.finish(session, asked, RecheckState.FAILED, question.adapter, text=reason)


def _keep(
    database: Database, asked: Recheck, question: Question, text: str, settings: EvalsSettings
) -> Recheck:
    taught = question.feedback.text or ""
    now = scores.chrf(text, taught).value
    before = None if question.said is None else scores.chrf(question.said, taught).value
    with writing(database) as session:
        alike = now is not None and now >= settings.fixed_chrf
        if alike and set(NUMBER.findall(taught)) <= set(NUMBER.findall(text)):
            state = RecheckState.FIXED
        elif rechecks.was_fixed(session, question.feedback.id):
            state = RecheckState.REGRESSED
        else:
            state = RecheckState.NOT_YET
        return rechecks.finish(session, asked, state, question.adapter, text, now, before)
