"""One question and its answer: stored, asked, stored. Used by every door customers come through.

The question is durable before anyone hears a word of the answer; the answer, before anyone is told it
is done. When nobody follows an answer any more, the engine stops and the part is kept as such; the same
request sent again goes on from there.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from anyio import to_thread
from sqlalchemy import Engine as Database
from sqlmodel import Session

from feedback import adapters, assistants, conversations, handovers, turn_log
from feedback.assistants import Sampling, sampling_of
from feedback.commits import Commits
from feedback.database import writing
from feedback.desk import Desk, desk_of, why_hand_over
from feedback.errors import Conflict, NotFound, Unavailable, UnderstudyError
from feedback.ids import new_id
from feedback.remembered import Remembered
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Handling,
    Message,
    MessageState,
    Prompt,
    now,
)
from feedback.transcript import ModelMessages, render, turns
from service.admission import Admission
from service.answering import Answer
from service.hot_swap import HotSwap
from service.member import Member
from service.settings import ServiceSettings
from service.shadow import Shadow
from service.silencing import Silencing, TakenOver
from service.turn import Turn, to_the_end

log = logging.getLogger(__name__)

ENGINE_TRIES = 3
"""How often an answer that has not begun is tried, on whichever engines."""
WITH_PEOPLE = (Handling.WAITING, Handling.PERSON)
"""Who has a conversation in which the bot is silent."""


@dataclass(frozen=True)
class Ask:
    """What a door hands over: whose turn it is and what was asked."""

    conversation_id: str
    text: str
    sampling: Sampling | None = None
    """None: the assistant's own."""
    idempotency_key: str | None = None
    may_hand_over: bool = True
    """Whether the door can show the customer that a person takes over."""
    check: Callable[[Any], None] | None = None
    """Raises where whoever asks has no business in this conversation (given: its columns)."""
    begin: Callable[[Session], Conversation] | None = None
    """Stores the conversation, where this question is its first and begins it."""


@dataclass(frozen=True)
class Opened:
    """A stored question with its answer's row, and what the model will see."""

    question: Message
    answer: Message
    said: ModelMessages
    """Everything said up to the question."""
    messages: ModelMessages
    adapter: Adapter | None
    sampling: Sampling
    desk: Desk
    may_hand_over: bool
    assistant_id: str
    last_engine: str | None


@dataclass(frozen=True)
class Speaking:
    """How an assistant answers now."""

    assistant: Assistant
    prompt: Prompt
    desk: Desk
    sampling: Sampling


@dataclass(frozen=True)
class LeftToAPerson:
    """A question was stored and the bot is silent: a person has the conversation, or is asked for."""

    question: Message


class Turns:
    """Opens turns and writes their answers. One per service process."""

    def __init__(self, database: Database, hot_swap: HotSwap, settings: ServiceSettings) -> None:
        self._database = database
        self.admission = Admission(
            settings, lambda: settings.engine_max_num_seqs * max(1, len(hot_swap.fleet.up))
        )
        self._hot_swap = hot_swap
        self.shadow = Shadow(database, hot_swap, self.admission, settings)
        self._settings = settings
        self._writer = writer_name(settings)
        self._commits = Commits(database)
        self._speaking = Remembered(settings.remember_seconds, _speaking)
        self._silencing = Silencing(database, settings.events_poll_seconds)
        self._running: dict[str, Turn] = {}
        # Between storing a question and registering its turn, its repetition must wait.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def close_abandoned(self) -> None:
        """After a crash: what this process was writing when it died is marked as interrupted."""

        def store() -> int:
            with writing(self._database) as session:
                return conversations.close_abandoned(
                    session, self._writer, self._settings.answer_timeout_seconds
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
            begun: list[Turn] = []

            def soon(opened: Opened | LeftToAPerson) -> None:
                if isinstance(opened, Opened) and opened.answer.state == MessageState.WRITING:
                    begun.extend(self._begin_writing(opened))

            try:
                opened = await self._commits.run(partial(self._begin_and_open, ask), soon)
            except BaseException:
                for turn in begun:
                    turn.settle(counts=False)
                    await turn.stop()
                raise
            if isinstance(opened, LeftToAPerson):
                return opened
            for turn in begun:
                turn.settle(counts=True)
            turn = self._running.get(opened.answer.id) or Turn(opened.question, opened.answer)
            turn.join()
            return turn

    def _begin_writing(self, opened: Opened) -> list[Turn]:
        """The turn, where nobody writes this answer yet."""
        if opened.answer.id in self._running:
            return []
        turn = Turn(opened.question, opened.answer)
        self._running[opened.answer.id] = turn
        turn.start(asyncio.create_task(self._write(turn, opened)))
        return [turn]

    def _begin_and_open(self, ask: Ask, session: Session) -> Opened | LeftToAPerson:
        if ask.begin is not None:
            ask.begin(session)
        return self._open(ask, session)

    def _open(self, ask: Ask, session: Session) -> Opened | LeftToAPerson:
        stands = turn_log.before(session, ask.conversation_id)
        found, said = stands.conversation, stands.said
        if ask.check is not None:
            ask.check(found)
        how = self._speaking.within(session, found.assistant_id)
        repeated = any(m.idempotency_key and m.idempotency_key == ask.idempotency_key for m in said)
        why = why_hand_over(how.desk, ask.text) if ask.may_hand_over else None
        if repeated or why or found.handling != Handling.BOT:
            return self._open_unusual(ask, session, how)
        if said and said[-1].state == MessageState.WRITING:
            self._refuse_while_writing(said[-1].id)
        self.admission.check(found.assistant_id)
        adapter = self._voice_of(session, found)
        sampling = ask.sampling or how.sampling
        question, answer = turn_log.ask(
            session,
            stands,
            ask.text,
            ask.idempotency_key,
            prompt_id=how.prompt.id,
            adapter_id=adapter.id if adapter else None,
            adapter_digest=adapter.digest if adapter else None,
            base_model=how.assistant.base_model,
            sampling=sampling.model_dump(exclude_none=True),
            writer=self._writer,
        )
        return self._opened(
            ask, question, answer, said, turns([*said, question]), how, adapter, how.prompt
        )

    def _voice_of(self, session: Session, found: Any) -> Adapter | None:
        """The conversation's adapter. Between two turns the swap policy may move it to what is live;
        one whose adapter has no files any more has to move.
        """
        own, usable = adapters.kept(session, found.adapter_id)
        standing = self._hot_swap.known(found.assistant_id)
        if standing is None or (usable and not standing.moves(found, now())):
            return own
        turn_log.move(session, found.id, standing.live)
        return standing.live

    def _opened(
        self,
        ask: Ask,
        question: Message,
        answer: Message,
        before: Sequence[Any],
        said: ModelMessages,
        how: Speaking,
        adapter: Adapter | None,
        prompt: Prompt,
    ) -> Opened:
        rendered = render(prompt.text, said, feedback_settings().transcript_max_chars)
        return Opened(
            question,
            answer,
            said,
            rendered,
            adapter,
            Sampling(**(answer.sampling or {})),
            how.desk,
            ask.may_hand_over,
            how.assistant.id,
            next((each.engine for each in reversed(before) if each.engine), None),
        )

    def _open_unusual(self, ask: Ask, session: Session, how: Speaking) -> Opened | LeftToAPerson:
        """A request sent again, a person who has the word or is asked for, a customer who is back."""
        conversation = conversations.get(session, ask.conversation_id, lock=True)
        pair = None
        if ask.idempotency_key:
            pair = conversations.asked_before(session, conversation, ask.idempotency_key)
        if pair:
            question, answer = pair
            self._check_same(question, ask.text)
            whole = answer is not None and answer.state == MessageState.COMPLETE
            if answer is None or (not whole and conversation.handling in WITH_PEOPLE):
                return LeftToAPerson(question)
            self._reopen(session, answer, conversation)
        elif silent := self._for_a_person(session, conversation, how.desk, ask):
            return silent
        else:
            session.flush()
            return self._open(ask, session)
        session.add(answer)
        prompt = session.get_one(Prompt, answer.prompt_id)
        before = [
            message
            for message in conversations.messages_of(session, conversation.id)
            if message.position < answer.position
        ]
        adapter = adapters.by_id(session, answer.adapter_id)
        return self._opened(ask, question, answer, before, turns(before), how, adapter, prompt)

    def _for_a_person(
        self, session: Session, conversation: Conversation, desk: Desk, ask: Ask
    ) -> LeftToAPerson | None:
        """Store the question without an answer where a person has the word, or is now asked for."""
        if conversation.handling == Handling.CLOSED:  # the customer is back: the bot is here again
            conversation.handling, conversation.closed_at = Handling.BOT, None
        silent = conversation.handling in WITH_PEOPLE
        why = why_hand_over(desk, ask.text) if ask.may_hand_over and not silent else None
        if silent and not ask.may_hand_over:
            raise Conflict("A person answers in this conversation; this door cannot show that.")
        if not silent and why is None:
            return None
        question = conversations.write(session, conversation, ask.text, ask.idempotency_key)
        if why is not None:
            handovers.request(session, conversation, *why)
        return LeftToAPerson(question)

    def _check_same(self, question: Message, text: str) -> None:
        if question.text != text.strip():
            raise Conflict(
                "This idempotency key was used for another message of this conversation; "
                "use a new key for a new message."
            )

    def _reopen(self, session: Session, answer: Message, conversation: Conversation) -> None:
        """A request sent again: joined while it runs here, resumed when it was cut off."""
        if answer.state == MessageState.WRITING and answer.id not in self._running:
            raise Conflict(
                f"Message {answer.id!r} is still being written elsewhere; fetch it, or try again in "
                f"{self._settings.retry_after_seconds} seconds."
            )
        if answer.state in (MessageState.INTERRUPTED, MessageState.FAILED):
            answer.state = MessageState.WRITING
            answer.error = None
            answer.finished_at = None
            answer.writer = self._writer
            if not adapters.kept(session, answer.adapter_id)[1]:  # another voice begins anew
                voice = self._voice_of(session, conversation)
                answer.text = ""
                answer.adapter_id = voice.id if voice else None
                answer.adapter_digest = voice.digest if voice else None

    def _refuse_while_writing(self, message_id: str) -> None:
        raise Conflict(f"Message {message_id!r} is still being written; one question at a time.")

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
            for _ in range(ENGINE_TRIES):
                member = None
                try:
                    async with self._hot_swap.engine_with(
                        opened.adapter, opened.last_engine, failed
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


def _speaking(session: Session, assistant_id: str) -> Speaking:
    assistant = session.get_one(Assistant, assistant_id)
    prompt = assistants.prompt_in_force(session, assistant)
    return Speaking(assistant, prompt, desk_of(assistant), sampling_of(assistant))


def writer_name(settings: ServiceSettings) -> str:
    """This process among all services: its host and port, which outlive a restart."""
    return f"{socket.gethostname()}:{settings.port}"
