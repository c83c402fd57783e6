"""One question and its answer: stored, asked, stored. Used by every door customers come through.

The question is durable before anyone hears a word of the answer; the answer, before anyone is told it
is done. When nobody follows an answer any more, the engine stops and the part is kept as such; the same
request sent again goes on from there.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from anyio import to_thread
from sqlalchemy import Engine as Database
from sqlmodel import Session

from feedback import conversations, handovers, turn_log
from feedback.commits import Commits
from feedback.database import writing
from feedback.desk import why_hand_over
from feedback.errors import NotFound, Unavailable, UnderstudyError
from feedback.ids import new_id
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Handling,
    Message,
    MessageState,
)
from service.admission import Admission
from service.answering import Answer
from service.hot_swap import HotSwap
from service.member import Member
from service.opening import Ask, LeftToAPerson, Opened, Opening
from service.settings import ServiceSettings
from service.settling import Settling
from service.shadow import Shadow
from service.silencing import Silencing, TakenOver
from service.turn import Turn, to_the_end

log = logging.getLogger(__name__)

ENGINE_TRIES = 3
"""How often an answer that has not begun is tried, on whichever engines."""


class Turns:
    """Begins turns and writes their answers. One per service process."""

    def __init__(self, database: Database, hot_swap: HotSwap, settings: ServiceSettings) -> None:
        self._database = database
        self.admission = Admission(
            settings, lambda: settings.engine_max_num_seqs * max(1, len(hot_swap.fleet.up))
        )
        self._hot_swap = hot_swap
        self.shadow = Shadow(database, hot_swap, self.admission, settings)
        self._settings = settings
        self._commits = Commits(database)
        self._settling = Settling(hot_swap, self._commits, settings)
        self._silencing = Silencing(database, settings.events_poll_seconds)
        self._running: dict[str, Turn] = {}
        self._opening = Opening(
            settings, hot_swap.known, self.admission.check, self._running.__contains__
        )
        # Between storing a question and registering its turn, its repetition must wait.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close_abandoned(self) -> None:
        """After a crash: what this process was writing when it died is marked as interrupted."""

        def store() -> int:
            with writing(self._database) as session:
                return conversations.close_abandoned(
                    session, self._opening.writer, self._settings.answer_timeout_seconds
                )

        if count := await to_thread.run_sync(store):
            log.warning("%d answers were cut off when the service last stopped", count)

    async def stop(self) -> None:
        """Stop every running answer and wait until each part is stored."""
        await self.shadow.stop()
        await asyncio.gather(*(turn.stop() for turn in list(self._running.values())))
        await self._commits.close()

    async def begin(
        self, assistant: Assistant, customer: str | None, channel: str, **whose: str | None
    ) -> tuple[Conversation, Adapter | None]:
        """A new conversation in the voice that is live now; `whose`: api_key_id or site_id."""
        store, adapter = await self.beginning(new_id(), assistant, customer, channel, **whose)
        return await self._commits.run(store), adapter

    async def beginning(
        self, ident: str, assistant: Assistant, customer: str | None, channel: str,
        **whose: str | None,
    ) -> tuple[Callable[[Session], Conversation], Adapter | None]:  # fmt: skip
        """What stores a new conversation of this id, and its voice, for whoever asks at once."""
        voice = await self._hot_swap.voice(assistant, customer or ident)

        def store(session: Session) -> Conversation:
            return turn_log.begin(
                session, assistant, voice.adapter, customer, channel, id=ident,
                trial_id=voice.trial_id, trial_arm=voice.trial_arm, trial_share=voice.trial_share,
                **whose,
            )  # fmt: skip

        return store, voice.adapter

    async def ask(self, ask: Ask) -> Turn | LeftToAPerson:
        """Store the question and begin the answer; a repeated request joins or resumes its first.

        The engine begins while the disk still writes the question; nobody hears a word before it has.
        Where a person answers, or is asked for by this very message, the question is only stored.
        """
        async with self._locks.setdefault(ask.conversation_id, asyncio.Lock()):
            held: list[Turn] = []

            def soon(opened: Opened | LeftToAPerson) -> None:
                if isinstance(opened, Opened):
                    held.append(self._turn_of(opened))

            try:
                opened = await self._commits.run(partial(self._opening.open, ask), soon)
            except BaseException:
                for turn in held:
                    await turn.take_back()
                raise
            if isinstance(opened, LeftToAPerson):
                return opened
            turn = held[
                -1
            ]  # held since its answer was seen to be written: by now it may have ended
            turn.settle(counts=True)
            turn.join()
            return turn

    def _turn_of(self, opened: Opened) -> Turn:
        """Whoever writes this answer; it is begun where nobody does. A whole one needs nobody."""
        if turn := self._running.get(opened.answer.id):
            return turn
        turn = Turn(opened.question, opened.answer)
        if opened.answer.state == MessageState.WRITING:
            self._running[opened.answer.id] = turn
            turn.start(asyncio.create_task(self._write(turn, opened)))
        return turn

    async def _write(self, turn: Turn, opened: Opened) -> None:
        """Ask the engine, pass the words on, and store what came of it, whatever came of it."""
        adapter_name = opened.adapter.name if opened.adapter else None
        answer = Answer(opened.messages, opened.sampling, adapter_name, opened.answer.text)
        state, error = MessageState.COMPLETE, None
        try:
            async with asyncio.timeout(self._settings.answer_timeout_seconds):
                await self._silencing.until_silenced(
                    turn.row.id, self._write_pieces(turn, answer, opened)
                )
        except asyncio.CancelledError:
            state = MessageState.INTERRUPTED
            error = UnderstudyError("The customer left before the answer was finished.")
        except TimeoutError:
            state = MessageState.INTERRUPTED if answer.text else MessageState.FAILED
            error = Unavailable(
                f"The answer took longer than {self._settings.answer_timeout_seconds:g} seconds "
                "(setting SERVICE_ANSWER_TIMEOUT_SECONDS). Send the same request again to go on.",
                self._settings.retry_after_seconds,
            )
        except UnderstudyError as failure:
            state = MessageState.INTERRUPTED if answer.text else MessageState.FAILED
            error = failure
        except Exception:
            log.exception("answer %s failed", turn.row.id)
            state = MessageState.INTERRUPTED if answer.text else MessageState.FAILED
            error = UnderstudyError("The answer failed; the service's log says why.")
        if not await to_the_end(turn.counts()):
            del self._running[turn.row.id]
            return
        try:
            row = await to_the_end(
                self._commits.run(partial(self._store, turn, answer, state, error, opened))
            )
        except NotFound as erased:
            row, error = turn.row, erased
        except Exception:
            log.exception("answer %s could not be stored", turn.row.id)
            row = turn.row
            error = Unavailable(
                "The answer could not be stored and does not count; try again.",
                self._settings.retry_after_seconds,
            )
        self._running.pop(turn.row.id, None)
        turn.finish(row, error)
        if row.state == MessageState.COMPLETE:
            self.shadow.follow(opened.assistant_id, row, opened.messages, opened.sampling)

    async def _write_pieces(self, turn: Turn, answer: Answer, opened: Opened) -> None:
        """One answer, one voice. Until its first word, another engine may take it over."""
        failed: list[Member] = []
        async with self.admission.turn(opened.assistant_id):
            adapter = await self._settling.voice(turn, opened)
            answer.speak_with(adapter.name if adapter else None)
            for _ in range(ENGINE_TRIES):
                member = None
                try:
                    async with self._hot_swap.engine_with(
                        adapter, opened.last_engine, failed
                    ) as member:
                        async for piece in answer.pieces(member.vllm):
                            turn.add(piece)
                    return
                except NotFound as lost:  # the engine was started again: it gets its adapter back
                    error: UnderstudyError = lost
                except Unavailable as down:
                    error = down
                    failed += [member] if member else []
                nobody_else = len(failed) >= len(self._hot_swap.fleet.members)
                if answer.has_begun or member is None or nobody_else:
                    raise error
            raise error

    def _store(
        self,
        turn: Turn,
        answer: Answer,
        state: MessageState,
        error: UnderstudyError | None,
        opened: Opened,
        session: Session,
    ) -> Message:
        filled = {"text": answer.text, **answer.measured(), "error": str(error) if error else None}
        whole = state == MessageState.COMPLETE
        why = (
            why_hand_over(opened.desk, "", answer.text) if opened.may_hand_over and whole else None
        )
        if why is None:
            row = turn_log.finish(session, opened.answer, opened.said, state=state, **filled)
            if row is not None:
                turn.handling = Handling.BOT
                return row
        conversation = conversations.get(session, opened.answer.conversation_id, lock=True)
        current = conversations.message(session, opened.answer.id)
        ended = current.state != MessageState.WRITING  # taken, and maybe handed back, meanwhile
        if (ended or conversation.handling == Handling.PERSON) and whole:
            state, why = MessageState.INTERRUPTED, None
            filled["error"] = str(TakenOver("A person took over."))
        row = conversations.finish(session, opened.answer.id, state, **filled)
        if why is not None:
            handovers.request(session, conversation, *why)
        turn.handling = conversation.handling
        return row
