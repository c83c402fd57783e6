"""A question is stored and its answer's row opened, in one transaction; or it is left to a person.

Everything here runs inside that transaction, on the thread that writes. Used by turns.py.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from feedback import adapters, assistants, conversations, handovers, turn_log
from feedback.assistants import Sampling, sampling_of
from feedback.desk import Desk, desk_of, why_hand_over
from feedback.errors import Conflict
from feedback.remembered import Remembered
from feedback.settings import feedback_settings
from feedback.standing import Standing
from feedback.storing import storable
from feedback.tables import (
    UNSEEN,
    Adapter,
    Assistant,
    Conversation,
    Handling,
    Message,
    MessageState,
    Prompt,
    Speaker,
    now,
)
from feedback.transcript import ModelMessages, render, turns
from service.settings import ServiceSettings

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
class Unsettled:
    """A conversation whose topic decides who answers in it, before the bot's first word (settling.py)."""

    topic: str | None
    """Where it is known already: a person named it."""
    who: str
    """For whom a canary's arm is drawn."""


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
    unsettled: Unsettled | None = None


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


class Opening:
    """Opens turns. One per service process."""

    def __init__(
        self,
        settings: ServiceSettings,
        known: Callable[[str], Standing | None],
        check_admission: Callable[[str], None],
        is_running: Callable[[str], bool],
    ) -> None:
        """`known`: an assistant's adapters. `check_admission` raises Overloaded for an assistant.
        `is_running`: whether this process writes an answer, by its id.
        """
        self._settings = settings
        self._known = known
        self._check_admission = check_admission
        self._is_running = is_running
        self.writer = writer_name(settings)
        self._speaking = Remembered(settings.remember_seconds, _speaking)

    def open(self, ask: Ask, session: Session) -> Opened | LeftToAPerson:
        """Store the question; with the conversation, where it begins one."""
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
        self._check_admission(found.assistant_id)
        unsettled = self._unsettled(found, said)
        adapter = self._voice_of(session, found, unsettled)
        sampling = ask.sampling or how.sampling
        question, answer = turn_log.ask(
            session,
            stands,
            storable(how.assistant, ask.text),
            ask.idempotency_key,
            prompt_id=how.prompt.id,
            adapter_id=adapter.id if adapter else None,
            adapter_digest=adapter.digest if adapter else None,
            base_model=how.assistant.base_model,
            sampling=sampling.model_dump(exclude_none=True),
            writer=self.writer,
        )
        return self._opened(
            ask,
            question,
            answer,
            said,
            turns([*said, question]),
            how,
            adapter,
            how.prompt,
            unsettled,
        )

    def _unsettled(self, found: Any, said: Sequence[Any]) -> Unsettled | None:
        """Of a conversation that holds what answers unknown topics, and in which the bot is yet to speak."""
        standing = self._known(found.assistant_id)
        if standing is None or not standing.excepts or found.trial_id is not None:
            return None
        kept = standing.keeper.id if standing.keeper else None
        if found.adapter_id != kept or any(_is_our_word(each) for each in said):
            return None
        return Unsettled(found.topic, found.customer_id or found.id)

    def _voice_of(
        self, session: Session, found: Any, unsettled: Unsettled | None = None
    ) -> Adapter | None:
        """The conversation's adapter. Between two turns the swap policy may move it to what answers its
        topic now; one whose adapter has no files any more has to move.
        """
        own, usable = adapters.kept(session, found.adapter_id)
        standing = self._known(found.assistant_id)
        stays = unsettled is not None or (standing is not None and not standing.moves(found, now()))
        if standing is None or (usable and stays):
            return own
        speaker = standing.speaker(found.topic)
        turn_log.move(session, found.id, speaker)
        return speaker

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
        unsettled: Unsettled | None,
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
            unsettled,
        )

    def _open_unusual(self, ask: Ask, session: Session, how: Speaking) -> Opened | LeftToAPerson:
        """A request sent again, a person who has the word or is asked for, a customer who is back."""
        conversation = conversations.get(session, ask.conversation_id, lock=True)
        pair = None
        if ask.idempotency_key:
            pair = conversations.asked_before(session, conversation, ask.idempotency_key)
        if pair:
            question, answer = pair
            self._check_same(question, storable(how.assistant, ask.text.strip()))
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
        unsettled = self._unsettled(conversation, [*before, answer])
        return self._opened(
            ask, question, answer, before, turns(before), how, adapter, prompt, unsettled
        )

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
        if answer.state == MessageState.WRITING and not self._is_running(answer.id):
            raise Conflict(
                f"Message {answer.id!r} is still being written elsewhere; fetch it, or try again in "
                f"{self._settings.retry_after_seconds} seconds."
            )
        if answer.state in (MessageState.INTERRUPTED, MessageState.FAILED):
            answer.state = MessageState.WRITING
            answer.error = None
            answer.finished_at = None
            answer.writer = self.writer
            if not adapters.kept(session, answer.adapter_id)[1]:  # another voice begins anew
                voice = self._voice_of(session, conversation)
                answer.text = ""
                answer.adapter_id = voice.id if voice else None
                answer.adapter_digest = voice.digest if voice else None

    def _refuse_while_writing(self, message_id: str) -> None:
        raise Conflict(f"Message {message_id!r} is still being written; one question at a time.")


def _is_our_word(line: Any) -> bool:
    """Whether the bot said something here. Not what it said elsewhere before, nor what nobody saw."""
    said = line.speaker == Speaker.ASSISTANT and line.engine and line.text
    return bool(said) and line.state not in UNSEEN


def _speaking(session: Session, assistant_id: str) -> Speaking:
    assistant = session.get_one(Assistant, assistant_id)
    prompt = assistants.prompt_in_force(session, assistant)
    return Speaking(assistant, prompt, desk_of(assistant), sampling_of(assistant))


def writer_name(settings: ServiceSettings) -> str:
    """This process among all services: its host and port, which outlive a restart."""
    return f"{socket.gethostname()}:{settings.port}"
