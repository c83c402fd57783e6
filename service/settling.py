"""Who speaks in a new conversation where its topic decides that: the topic is asked for, once, and kept.

Between the transaction that stores the first question and the first word of its answer, in no transaction.
Where no topic is excepted from what is live there is nothing to settle and nothing is done. Used by turns.py.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from feedback import turn_log
from feedback.commits import Commits
from feedback.errors import UnderstudyError
from feedback.standing import Standing
from feedback.tables import Adapter, Message
from feedback.topics import BOT
from service.hot_swap import HotSwap, Voice
from service.opening import Opened
from service.settings import ServiceSettings
from service.topics import choose
from service.turn import Turn

log = logging.getLogger(__name__)


class Settling:
    """Gives new conversations the voice that their topic has. One per service process."""

    def __init__(self, hot_swap: HotSwap, commits: Commits, settings: ServiceSettings) -> None:
        self._hot_swap = hot_swap
        self._commits = commits
        self._settings = settings
        self.untold = 0
        """Topics that could not be told, since this process began."""

    async def voice(self, turn: Turn, opened: Opened) -> Adapter | None:
        """Who writes this answer; its own voice, unless that is what is to be settled."""
        unsettled, standing = opened.unsettled, self._hot_swap.known(opened.assistant_id)
        if unsettled is None or standing is None or not standing.excepts:
            return opened.adapter
        topic = unsettled.topic or await self._topic(standing, opened)
        voice = self._hot_swap.voice_for(standing, topic, unsettled.who)
        is_its_own = voice.trial_id is None and _id_of(voice.adapter) == _id_of(opened.adapter)
        if is_its_own and topic == unsettled.topic:
            return opened.adapter
        named_by = {} if topic == unsettled.topic else {"topic_by": BOT}
        kept = await self._keep(turn, opened.answer, voice, topic=topic, **named_by)
        return voice.adapter if kept else opened.adapter

    async def _topic(self, standing: Standing, opened: Opened) -> str | None:
        """What it is about, as the live adapter tells it; None where that takes too long or fails."""
        live = standing.live
        try:
            async with (
                asyncio.timeout(self._settings.topic_timeout_seconds),
                self._hot_swap.engine_with(live) as member,
            ):
                name = live.name if live else None
                return await choose(member.vllm, standing.topics, opened.said, name)
        except (UnderstudyError, TimeoutError) as error:
            self.untold += 1
            log.warning(
                "conversation=%s topic=unknown (%s): the older adapter answers; %d since the start",
                opened.answer.conversation_id,
                type(error).__name__,
                self.untold,
            )
            return None

    async def _keep(self, turn: Turn, row: Message, voice: Voice, **about: Any) -> bool:
        """Store topic and voice, once the question itself is durable. False: it keeps what it has."""
        if not await turn.counts():
            return False
        settle = partial(
            turn_log.settle,
            answer=row,
            adapter=voice.adapter,
            trial_id=voice.trial_id,
            trial_arm=voice.trial_arm,
            trial_share=voice.trial_share,
            **about,
        )
        kept = await self._commits.run(settle)
        if kept:
            row.adapter_id = _id_of(voice.adapter)
            row.adapter_digest = voice.adapter.digest if voice.adapter else None
        return kept


def _id_of(adapter: Adapter | None) -> str | None:
    return adapter.id if adapter else None
