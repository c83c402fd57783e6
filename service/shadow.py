"""A candidate answers silently beside the live adapter: kept for agents to compare, seen by no customer.

It never makes a customer wait: while customers queue, or too many such answers are under way, it is left
out. Which answers are taken is drawn by a hash, so that a share is a fair sample.
"""

import asyncio
import logging

from anyio import to_thread
from sqlalchemy import Engine as Database

from feedback import conversations, standing
from feedback.assistants import Sampling
from feedback.database import writing
from feedback.errors import UnderstudyError
from feedback.swap_tables import Trial, TrialKind
from feedback.tables import Adapter, Message, MessageState, Speaker
from feedback.transcript import ModelMessages
from service.admission import Admission
from service.answering import Answer
from service.hot_swap import HotSwap
from service.settings import ServiceSettings
from service.vllm import Urgency

log = logging.getLogger(__name__)


class Shadow:
    """The silent answers of this process."""

    def __init__(
        self,
        database: Database,
        hot_swap: HotSwap,
        admission: Admission,
        settings: ServiceSettings,
    ) -> None:
        self._database = database
        self._hot_swap = hot_swap
        self._admission = admission
        self._settings = settings
        self._running: set[asyncio.Task[None]] = set()

    def follow(
        self, assistant_id: str, said: Message, messages: ModelMessages, sampling: Sampling
    ) -> None:
        """Have the candidate answer the same question, if a shadow trial wants this one."""
        now = self._hot_swap.known(assistant_id)
        if now is None or now.trial is None or now.candidate is None:
            return
        trial = now.trial
        live = now.live.id if now.live else None
        if (
            now.excepts and said.adapter_id != live
        ):  # about a topic that the live adapter leaves alone
            return
        busy = self._admission.waiting or len(self._running) >= self._settings.shadow_at_once
        if trial.kind != TrialKind.SHADOW or busy:
            return
        if standing.in_share(f"{trial.id}:{said.id}", trial.share):
            work = self._answer(trial, now.candidate, said, messages, sampling)
            task = asyncio.create_task(work)
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """End what is under way; nothing of it is kept."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _answer(
        self,
        trial: Trial,
        candidate: Adapter,
        said: Message,
        messages: ModelMessages,
        sampling: Sampling,
    ) -> None:
        made = Answer(messages, sampling, candidate.name, urgency=Urgency.LATER)
        error: str | None = None
        try:
            async with (
                asyncio.timeout(self._settings.answer_timeout_seconds),
                self._hot_swap.engine_with(candidate) as member,
            ):
                async for _ in made.pieces(member.vllm):
                    pass
        except (UnderstudyError, TimeoutError) as failure:
            error = str(failure) or "It took too long."

        def keep() -> None:
            with writing(self._database) as session:
                conversation = conversations.get(session, said.conversation_id, lock=True)
                conversations.say(
                    session,
                    conversation,
                    Speaker.ASSISTANT,
                    made.text,
                    state=MessageState.SHADOW,
                    reply_to_id=said.reply_to_id,
                    prompt_id=said.prompt_id,
                    adapter_id=candidate.id,
                    adapter_digest=candidate.digest,
                    base_model=said.base_model,
                    sampling=said.sampling,
                    error=error,
                    **made.measured(),
                )

        try:
            await to_thread.run_sync(keep)
        except Exception:
            log.exception("trial=%s: a shadow answer could not be stored", trial.id)
