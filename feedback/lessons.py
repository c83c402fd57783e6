"""What may teach today, word by word: all feedback in force, filtered, with what the model would have seen.

A stream: a batch of questions is in memory at a time. Used by freezing.py; nothing is written here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Row, case
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from feedback import house_words, redactions
from feedback.assistants import prompt_in_force
from feedback.batches import in_batches
from feedback.canonical import canonical
from feedback.corrections import TEACHING
from feedback.disputes import withheld
from feedback.edits import ONLY_FORM, kind_of, length_ratio
from feedback.holds import Held
from feedback.learning import learning_of
from feedback.near_copies import Near, Sealed
from feedback.redaction import Redactor
from feedback.settings import feedback_settings
from feedback.tables import (
    UNSEEN,
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Customer,
    DatasetItem,
    DatasetKind,
    Feedback,
    FeedbackKind,
    FeedbackState,
    FlagReason,
    ItemSource,
    Message,
    MessageState,
    Role,
    Split,
)
from feedback.tickets import held_out
from feedback.transcript import ModelMessages, render, turns

BATCH = 400
"""Questions in memory at a time; below what one query may name."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One word of feedback as a row of one dataset, before limits and merging."""

    kind: DatasetKind
    feedback_id: str
    author: str | None
    """Whoever of the staff taught it; none for a customer's thumb."""
    customer: str | None
    topic: str | None
    split: Split
    weight: float
    prompt: str
    """JSON: model messages, the system prompt first."""
    chosen: str
    rejected: str | None = None
    label: bool | None = None
    edit: str | None = None


@dataclass(slots=True)
class Taught:
    """A word with its place: what it is about, in which conversation, whose."""

    feedback: Feedback
    message: Message
    conversation_id: str
    customer_id: str | None
    customer: str | None
    external_id: str | None
    topic: str | None
    context: ModelMessages

    @property
    def who(self) -> str:
        """Whoever the split goes by: the customer, else the conversation, else its first words."""
        return self.customer or self.external_id or self.context[0]["content"]


@dataclass(frozen=True)
class Clean:
    """Texts without personal data: what customers said, and what was said to them."""

    asked: Mapping[str, str]
    answers: Mapping[str, str]
    """The house's own words stay in these."""

    def turn(self, turn: Mapping[str, str]) -> str:
        """One turn's text."""
        return (self.asked if turn["role"] == "user" else self.answers)[turn["content"]]


class Lessons:
    """The lessons of an assistant's feedback; `counts` says what each filter left out, by dataset kind."""

    def __init__(self, session: Session, assistant: Assistant, redactor: Redactor) -> None:
        self._session = session
        self._assistant = assistant
        self._redactor = redactor
        self._house: frozenset[str] = frozenset()
        self._learning = learning_of(assistant)
        self._settings = feedback_settings()
        self._prompt = prompt_in_force(session, assistant).text
        self._held = Held(session, assistant)
        tickets = held_out(session, assistant)
        self._ticket_conversations = {ticket.conversation_id for ticket in tickets} - {None}
        self._ticket_customers = {ticket.customer_id for ticket in tickets} - {None}
        self._sealed = Sealed(
            ((ticket.id, ticket.context) for ticket in tickets),
            self._settings.near_copy_similarity,
            self._settings.near_copy_meaning,
        )
        self.near: list[tuple[str, str, Near]] = []
        """What is too close to a ticket: feedback's id, the ticket's id, how close."""
        self.counts: dict[DatasetKind, Counter[str]] = {kind: Counter() for kind in DatasetKind}
        self.seen = 0
        """Words looked at so far."""

    def __iter__(self) -> Iterator[list[Lesson]]:
        """Lessons, a batch at a time."""
        answers = (
            (word.customer or word.conversation_id, chosen_of(word) or "")
            for question in questions(self._session, self._assistant, TEACHING)
            for word in question
        )
        told_to = self._learning.house_words_from
        self._house = house_words.find(
            self._session, self._assistant, self._redactor, answers, told_to
        )
        for batch in in_batches(questions(self._session, self._assistant, TEACHING), BATCH):
            self.seen += sum(map(len, batch))
            words = standing(
                self._session, self._assistant, self._held, batch, self.counts[DatasetKind.SFT]
            )
            yield self._lessons(self._admitted(words, self.counts[DatasetKind.SFT]))
        thumbs = questions(self._session, self._assistant, (FeedbackKind.RATING,))
        for batch in in_batches(thumbs, BATCH):
            yield self._thumbs(batch)

    def _admitted(self, words: list[Taught], counts: Counter[str]) -> list[Taught]:
        """What passes the filters that are the same for every dataset."""
        with_context(self._session, words)
        admitted = []
        nearest = self._sealed.near_all([word.context for word in words])
        for word, near in zip(words, nearest, strict=True):
            if word.conversation_id in self._ticket_conversations:
                counts["ticket_conversation"] += 1
            elif word.customer_id in self._ticket_customers:
                counts["ticket_customer"] += 1
            elif not word.context or word.context[-1]["role"] != "user" or not chosen_of(word):
                counts["without_question_or_answer"] += 1
            elif near:
                counts["ticket_near_copy"] += 1
                self.near.append((word.feedback.id, near.ticket, near))
            else:
                admitted.append(word)
        return self._replayed(self._weighed(admitted, counts), counts)

    def _weighed(self, words: list[Taught], counts: Counter[str]) -> list[Taught]:
        kept = [word for word in words if self._weight(word) > 0]
        counts["without_weight"] += len(words) - len(kept)
        return kept

    def _weight(self, word: Taught) -> float:
        by_author = self._learning.author_weights.get(word.feedback.author, 1.0)
        return by_author * self._learning.topic_weights.get(word.topic or "", 1.0)

    def _replayed(self, words: list[Taught], counts: Counter[str]) -> list[Taught]:
        """All that is new, and a share of what was learned already."""
        percent = self._learning.replay_percent
        if percent >= 100:
            return words
        old = learned_already(self._session, self._assistant, [word.feedback.id for word in words])
        kept = [
            word
            for word in words
            if word.feedback.id not in old or drawn(f"replay {_told(word)}") < percent
        ]
        counts["not_replayed"] += len(words) - len(kept)
        return kept

    def _lessons(self, words: list[Taught]) -> list[Lesson]:
        reasons = staff_reasons(self._session, [word.message.id for word in words])
        clean = self._redacted(words)
        lessons = []
        for word in words:
            chosen = clean.answers[chosen_of(word) or ""]
            if self._tells_too_much(word, clean, chosen):
                self.counts[DatasetKind.SFT]["personal_answer"] += 1
                continue
            lesson = self._lesson(word, DatasetKind.SFT, clean, chosen)
            reason = reasons.get((word.message.id, word.feedback.author))
            lessons += [lesson, *self._pair(word, lesson, clean, reason)]
        return lessons

    def _lesson(
        self, word: Taught, kind: DatasetKind, clean: "Clean", chosen: str, **more: Any
    ) -> Lesson:
        context = [{**turn, "content": clean.turn(turn)} for turn in word.context]
        prompt = render(self._prompt, context, self._settings.transcript_max_chars)
        percent = self._settings.validation_percent
        return Lesson(
            kind,
            word.feedback.id,
            word.feedback.author if kind != DatasetKind.KTO else None,
            word.customer,
            word.topic,
            split_of(word.who, percent),
            self._weight(word),
            canonical(prompt),
            chosen,
            **more,
        )

    def _pair(
        self,
        word: Taught,
        lesson: Lesson,
        clean: "Clean",
        reason: FlagReason | None,
    ) -> Iterator[Lesson]:
        """The same lesson as a preference, where the answer that was given is known and was wrong."""
        counts = self.counts[DatasetKind.DPO]
        given = word.message.text if is_whole(word.message) else ""
        is_edit = word.feedback.kind == FeedbackKind.CORRECTION
        rejected = clean.answers.get(given) if is_edit and given != word.feedback.text else None
        if not rejected or rejected == lesson.chosen:
            counts["without_pair"] += 1
            return
        edit = kind_of(given, word.feedback.text or "", reason)
        if edit in ONLY_FORM:
            counts["form_only"] += 1
        elif length_ratio(rejected, lesson.chosen) > self._learning.longest_times:
            counts["length_apart"] += 1
        else:
            yield _as(lesson, DatasetKind.DPO, rejected=rejected, edit=edit)

    def _thumbs(self, batch: list[list[Taught]]) -> list[Lesson]:
        """Customers' thumbs that staff have confirmed. What nobody looked at never trains."""
        counts = self.counts[DatasetKind.KTO]
        words = [
            word
            for answer in batch
            for word in answer
            if word.feedback.author_role == Role.CUSTOMER
        ]
        counts["feedback"] += len(words)
        confirmed = said_by_staff(self._session, self._held, [word.message.id for word in words])
        kept = []
        for word in words:
            good = confirmed.get(word.message.id)
            if good is None:
                counts["not_reviewed"] += 1
            elif good != (word.feedback.value == 1):
                counts["not_confirmed"] += 1
            else:
                kept.append(word)
        admitted = self._admitted(kept, counts)
        clean = self._redacted(admitted)
        lessons = []
        for word in admitted:
            answer = clean.answers[word.message.text]
            if self._tells_too_much(word, clean, answer):
                counts["personal_answer"] += 1
                continue
            good = word.feedback.value == 1
            lessons.append(self._lesson(word, DatasetKind.KTO, clean, answer, label=good))
        return lessons

    def _tells_too_much(self, word: Taught, clean: "Clean", answer: str) -> bool:
        """Whether an answer has a placeholder for what the customer never said: a bot that learned it
        would say the placeholder.
        """
        told = house_words.types_in(answer)
        asked = [clean.turn(turn) for turn in word.context if turn["role"] == "user"]
        return bool(told) and not told <= house_words.types_in("\n".join(asked))

    def _redacted(self, words: list[Taught]) -> "Clean":
        turns = {(turn["role"], turn["content"]) for word in words for turn in word.context}
        answers = {content for role, content in turns if role != "user"}
        answers |= {text for word in words for text in (word.message.text, chosen_of(word)) if text}
        asked = {content for role, content in turns if role == "user"}
        became = redactions.as_taught(self._session, self._redactor, sorted(asked | answers))
        personal = sorted(text for text in answers if became[text] != text)
        again = self._redactor.redact(personal, self._is_the_houses) if personal else []
        kept = {text: one.text for text, one in zip(personal, again, strict=True)}
        return Clean({"": "", **became}, {"": "", **became, **kept})

    def _is_the_houses(self, type: str, value: str) -> bool:
        return type in house_words.MAY_STAY and house_words.plain(value) in self._house


def _as(lesson: Lesson, kind: DatasetKind, **more: Any) -> Lesson:
    return Lesson(
        kind, lesson.feedback_id, lesson.author, lesson.customer, lesson.topic, lesson.split,
        lesson.weight, lesson.prompt, lesson.chosen, **more,
    )  # fmt: skip


def split_of(who: str, percent: int) -> Split:
    """Which split somebody's rows go to: always the same one."""
    bucket = int(hashlib.sha256(who.encode()).hexdigest(), 16) % 100
    return Split.VALIDATION if bucket < percent else Split.TRAIN


def drawn(what: str) -> float:
    """A number from 0 to 100 that is the same wherever it is drawn."""
    return int(hashlib.sha256(what.encode()).hexdigest(), 16) % 10_000 / 100


def _told(word: Taught) -> str:
    return "\n".join([word.who, word.context[-1]["content"], chosen_of(word) or ""])


def questions(
    session: Session, assistant: Assistant, kinds: Sequence[FeedbackKind]
) -> Iterator[list[Taught]]:
    """Words of these kinds in force, those on one question together, oldest first."""
    asked = case(
        (col(Feedback.kind) == FeedbackKind.DEMONSTRATION, col(Message.id)),
        else_=func.coalesce(Message.reply_to_id, Message.id),
    )
    query = (
        columns(
            Feedback,
            Message,
            col(Conversation.customer_id),
            col(Conversation.external_id),
            col(Conversation.topic),
            col(Customer.external_id),
            asked,
        )
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(
            col(Conversation.assistant_id) == assistant.id,
            col(Feedback.kind).in_(kinds),
            col(Feedback.state) == FeedbackState.ACTIVE,
        )
        .order_by(asked, col(Feedback.created_at), col(Feedback.id))
        .execution_options(yield_per=1000)
    )
    for _, rows in groupby(session.execute(query), key=lambda row: row[-1]):
        yield [_taught(*row) for row in rows]


def _taught(
    feedback: Feedback,
    message: Message,
    customer_id: str | None,
    external_id: str | None,
    topic: str | None,
    customer: str | None,
    _asked: str,
) -> Taught:
    conversation = message.conversation_id
    return Taught(feedback, message, conversation, customer_id, customer, external_id, topic, [])


def standing(
    session: Session,
    assistant: Assistant,
    held: Held,
    batch: list[list[Taught]],
    counts: Counter[str],
) -> list[Taught]:
    """Of several people's words on one answer, the newest counts; without those in dispute or held."""
    every = [word for question in batch for word in question]
    counts["feedback"] += len(every)
    out: dict[str, str] = {**held.why(word.feedback for word in every)}
    out |= {
        word.feedback.id: "policy_retired"
        for word in every
        if word.feedback.policy_id in held.policies
    }
    out |= withheld(session, assistant, ((word.feedback, word.message) for word in every))
    counts.update(str(why) for why in out.values())
    newest = []
    for question in batch:
        left = [word for word in question if word.feedback.id not in out]
        counts["outdated"] += max(0, len(left) - 1)
        newest += left[-1:]
    return newest


def with_context(session: Session, words: list[Taught]) -> None:
    """Fill in what had been said when the answer that each word is about was due."""
    said = _said(session, {word.conversation_id for word in words})
    for word in words:
        word.context = context_of(word.feedback, word.message, said[word.conversation_id])


def _said(session: Session, conversation_ids: set[str]) -> dict[str, list[Row[Any]]]:
    said: dict[str, list[Row[Any]]] = {each: [] for each in conversation_ids}
    for ids in in_batches(sorted(said), BATCH):
        query = (
            columns(
                col(Message.conversation_id),
                col(Message.id),
                col(Message.position),
                col(Message.speaker),
                col(Message.state),
                col(Message.text),
            )
            .where(col(Message.conversation_id).in_(ids))
            .order_by(col(Message.conversation_id), col(Message.position))
        )
        for row in session.execute(query):
            said[row[0]].append(row)
    return said


def context_of(feedback: Feedback, message: Message, said: Sequence[Any]) -> ModelMessages:
    """What had been said when the answer that feedback is about was due.

    `said`: the conversation's messages in order, as rows or as these columns.
    """
    last = message.position - 1
    if feedback.kind == FeedbackKind.DEMONSTRATION:
        last = message.position
    elif message.state in UNSEEN:
        # Made beside what was said, maybe after it; it answers what its question had led to.
        last = next((m.position for m in said if m.id == message.reply_to_id), last)
    return turns(m for m in said if m.position <= last)


def is_whole(message: Message) -> bool:
    """Whether an answer was finished; what broke off is no example of anything."""
    return message.state in (MessageState.COMPLETE, MessageState.DRAFT)


def chosen_of(word: Taught) -> str | None:
    """What a word would have the bot say: its own text, or the whole answer approved."""
    if word.feedback.kind in (FeedbackKind.APPROVAL, FeedbackKind.RATING):
        return word.message.text if is_whole(word.message) else None
    return word.feedback.text


def learned_already(session: Session, assistant: Assistant, feedback_ids: list[str]) -> set[str]:
    """Those of these words that the newest adapter has learned."""
    newest = (
        select(Adapter.id)
        .where(Adapter.assistant_id == assistant.id)
        .order_by(col(Adapter.version).desc())
        .limit(1)
    )
    query = (
        select(ItemSource.feedback_id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(
            col(ItemSource.feedback_id).in_(feedback_ids),
            col(AdapterDataset.adapter_id).in_(newest),
        )
    )
    return set(session.exec(query))


def staff_reasons(session: Session, message_ids: list[str]) -> dict[tuple[str, str], FlagReason]:
    """What staff say was wrong with these answers, by message and author."""
    query = select(Feedback.message_id, Feedback.author, Feedback.reason).where(
        col(Feedback.message_id).in_(message_ids),
        Feedback.kind == FeedbackKind.FLAG,
        Feedback.state == FeedbackState.ACTIVE,
        Feedback.author_role != Role.CUSTOMER,
    )
    return {
        (message_id, author): FlagReason(reason)
        for message_id, author, reason in session.exec(query)
        if reason is not None
    }


def said_by_staff(session: Session, held: Held, message_ids: list[str]) -> dict[str, bool]:
    """Whether staff found these answers good, where they looked and are of one mind. Whose words are held
    confirms nothing.
    """
    about = (FeedbackKind.APPROVAL, FeedbackKind.CORRECTION, FeedbackKind.FLAG)
    words = session.exec(
        select(Feedback).where(
            col(Feedback.message_id).in_(message_ids),
            col(Feedback.kind).in_(about),
            Feedback.state == FeedbackState.ACTIVE,
            Feedback.author_role != Role.CUSTOMER,
        )
    ).all()
    out = held.why(words)
    found: dict[str, set[bool]] = {}
    for word in words:
        if word.id not in out:
            found.setdefault(word.message_id, set()).add(word.kind == FeedbackKind.APPROVAL)
    return {message_id: good.pop() for message_id, good in found.items() if len(good) == 1}
