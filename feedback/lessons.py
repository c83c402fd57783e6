"""What may teach today: the words people taught, filtered and redacted, as rows of each dataset.

A stream, like taught.py that it reads. Used by freezing.py; nothing is written here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from feedback import house_words, redactions
from feedback.assistants import prompt_in_force
from feedback.batches import in_batches
from feedback.canonical import canonical
from feedback.corrections import TEACHING
from feedback.draws import drawn, split_of
from feedback.edits import ONLY_FORM, kind_of, length_ratio
from feedback.holds import Held
from feedback.learning import learning_of
from feedback.near_copies import Near, Sealed
from feedback.redaction import Redactor
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    DatasetKind,
    FeedbackKind,
    FlagReason,
    Role,
    Split,
)
from feedback.taught import (
    BATCH,
    Taught,
    chosen_of,
    is_whole,
    learned_already,
    questions,
    said_by_staff,
    staff_reasons,
    standing,
    with_context,
)
from feedback.tickets import held_out
from feedback.topics import BOT, TOPIC, readable, render_topic_question
from feedback.transcript import ModelMessages, render


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


@dataclass(frozen=True)
class Clean:
    """Texts without personal data: what customers said, and what was said to them."""

    asked: Mapping[str, str]
    answers: Mapping[str, str]
    """The house's own words stay in these."""

    def turn(self, turn: Mapping[str, str]) -> str:
        """One turn's text."""
        return (self.asked if turn["role"] == "user" else self.answers)[turn["content"]]

    def turns(self, word: Taught) -> ModelMessages:
        """What had been said when a word's answer was due."""
        return [{**turn, "content": self.turn(turn)} for turn in word.context]


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
            lessons += self._topic(word, lesson, clean)
        return lessons

    def _lesson(
        self, word: Taught, kind: DatasetKind, clean: "Clean", chosen: str, **more: Any
    ) -> Lesson:
        prompt = render(self._prompt, clean.turns(word), self._settings.transcript_max_chars)
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

    def _topic(self, word: Taught, lesson: Lesson, clean: "Clean") -> Iterator[Lesson]:
        """What the question is about, as a lesson of its own, where somebody who should know has named it."""
        if not self._learning.teach_topics or word.topic_by == BOT:
            return
        if word.topic in self._assistant.topics:
            self.counts[DatasetKind.SFT]["topic_rows"] += 1
            yield replace(
                lesson,
                prompt=canonical(
                    render_topic_question(clean.turns(word), self._settings.transcript_max_chars)
                ),
                chosen=readable(word.topic),
                edit=TOPIC,
            )

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


def _told(word: Taught) -> str:
    return "\n".join([word.who, word.context[-1]["content"], chosen_of(word) or ""])
