"""Whose new words came in a flood, push one phrase, or approve nearly everything? Reads; decides nothing.

What is looked at are words that nothing was frozen from yet, against everybody else's. Called before a
freeze; holds.py keeps what comes of it, and a person decides.
"""

import hashlib
import re
from bisect import insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from feedback import holds
from feedback.corrections import TEACHING
from feedback.holds import Suspicion
from feedback.imports import CHANNEL
from feedback.learning import Learning, learning_of
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    ItemSource,
    Message,
)
from feedback.trust_tables import Hold

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
SAMPLE = 500
"""Words of each author that are read, drawn by hash; memory stays flat."""
LONGEST = 4
"""Phrases of up to so many words are compared."""
SHARE = {1: 0.5, 2: 0.5, 3: 0.3, 4: 0.3}
"""A phrase of so many words in this share of an author's corrections is theirs to explain ..."""
TIMES = 5
"""... where all others together add it less than a fifth as often."""
APPROVES = 0.95
"""Who approves this share of what they see ..."""
OTHERS_APPROVE = 0.6
"""... where others approve less than this, may not be reading."""


Phrase = tuple[str, ...]
Judged = tuple[str, dict[str, Any]]
"""A reason in a sentence, and the numbers behind it."""


@dataclass(slots=True)
class Author:
    """What is known of one author: of their new words, which nothing was frozen from yet, and of all."""

    words: int = 0
    approvals: int = 0
    times: list[datetime] = field(default_factory=list)
    """When the new words came."""
    drawn: list[tuple[str, str, str]] = field(default_factory=list)
    """Some of the new ones: hash, text, and what stood there before (answer and question)."""
    all_words: int = 0
    all_approvals: int = 0
    all_drawn: list[tuple[str, str, str]] = field(default_factory=list)


def look(session: Session, assistant: Assistant) -> list[Suspicion]:
    """The authors, not held already, whose new words look one-sided or came in a flood."""
    learning = learning_of(assistant)
    held = {hold.author for hold in holds.open_holds(session, assistant)}
    authors = _read(session, assistant)
    pushed = _pushed(authors, learning.one_sided_from)
    found = []
    for name, author in sorted(authors.items()):
        others = [each for other, each in authors.items() if other != name]
        judged = (
            _flood(author, learning)
            or pushed.get(name)
            or _stamped(author, others, learning.one_sided_from)
        )
        if judged and name not in held:
            reason, evidence = judged
            since = holds.last_decided(session, assistant, name)
            told = {**evidence, "since": since.isoformat() if since else None}
            found.append(Suspicion(name, reason, told))
    return found


def check(session: Session, assistant: Assistant) -> list[Hold]:
    """Look and hold within one transaction. For what is small: looking reads everybody's words."""
    return holds.place(session, assistant, look(session, assistant))


def _read(session: Session, assistant: Assistant) -> dict[str, Author]:
    authors: dict[str, Author] = {}
    decided: dict[str, datetime | None] = {}
    for name, kind, text, at, answer, question, channel, frozen in _words(session, assistant):
        if name not in decided:
            decided[name] = holds.last_decided(session, assistant, name)
        since, author = decided[name], authors.setdefault(name, Author())
        author.all_words += 1
        author.all_approvals += kind == FeedbackKind.APPROVAL
        if text:
            _draw(author.all_drawn, text, answer, question or "")
        if frozen or (since is not None and at <= since):
            continue
        author.words += 1
        author.approvals += kind == FeedbackKind.APPROVAL
        if channel != CHANNEL:  # what an operator imports comes all at once
            author.times.append(at)
        if text:
            _draw(author.drawn, text, answer, question or "")
    return authors


def _words(session: Session, assistant: Assistant) -> Iterator[Any]:
    """Words in force, each with the answer, the question, and whether a dataset rests on it."""
    asked = aliased(Message)
    frozen = exists().where(col(ItemSource.feedback_id) == col(Feedback.id))
    query = (
        columns(
            col(Feedback.author), col(Feedback.kind), col(Feedback.text), col(Feedback.created_at),
            col(Message.text), col(asked.text), col(Conversation.channel),
            frozen,
        )
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .outerjoin(asked, col(asked.id) == Message.reply_to_id)
        .where(
            col(Conversation.assistant_id) == assistant.id,
            col(Feedback.kind).in_(TEACHING),
            col(Feedback.state) == FeedbackState.ACTIVE,
        )
        .execution_options(yield_per=1000)
    )  # fmt: skip
    yield from session.execute(query)


def _draw(drawn: list[tuple[str, str, str]], text: str, answer: str, question: str) -> None:
    """Keep the text if it is among the SAMPLE lowest hashes: the same ones on any machine."""
    hashed = hashlib.sha256(f"{text}\n{answer}\n{question}".encode()).hexdigest()
    if len(drawn) == SAMPLE and hashed >= drawn[-1][0]:
        return
    insort(drawn, (hashed, text, f"{answer}\n{question}"))
    del drawn[SAMPLE:]


def _phrases(text: str) -> set[Phrase]:
    words = WORD.findall(text.casefold())
    return {
        tuple(words[start : start + size])
        for size in range(1, LONGEST + 1)
        for start in range(len(words) - size + 1)
    }


def _flood(author: Author, learning: Learning) -> Judged | None:
    """More words within a day than a person gives."""
    most, limit, times = 0, learning.author_rows_a_day, sorted(author.times)
    first = 0
    for last, at in enumerate(times):
        while at - times[first] > timedelta(days=1):
            first += 1
        most = max(most, last - first + 1)
    if most <= limit:
        return None
    return (
        f"{most} corrections and approvals within a day; expected at most {limit}.",
        {"kind": "flood", "within_a_day": most, "limit": limit},
    )


def _pushed(authors: dict[str, Author], least: int) -> dict[str, Judged]:
    """By author: a phrase that they push. Every text is gone through once, whoever it is compared with."""
    shares = {name: _frequent(each) for name, each in authors.items() if len(each.drawn) >= least}
    wanted = {phrase for each in shares.values() for phrase in each}
    said = {
        name: Counter(phrase for _, text, _ in each.all_drawn for phrase in _phrases(text) & wanted)
        for name, each in authors.items()
    }
    everybody = sum(said.values(), Counter())
    texts = sum(len(each.all_drawn) for each in authors.values())
    found = {}
    for name, frequent in shares.items():
        elsewhere, others = everybody - said[name], texts - len(authors[name].all_drawn)
        if others >= least and (judged := _against(frequent, elsewhere, others, authors[name])):
            found[name] = judged
    return found


def _frequent(author: Author) -> dict[Phrase, float]:
    """The phrases that much of an author's new corrections add, with their share."""
    added = Counter(
        phrase for _, text, before in author.drawn for phrase in _phrases(text) - _phrases(before)
    )
    shares = {phrase: count / len(author.drawn) for phrase, count in added.items()}
    return {phrase: share for phrase, share in shares.items() if share >= SHARE[len(phrase)]}


def _against(
    frequent: dict[Phrase, float], elsewhere: Counter[Phrase], others: int, author: Author
) -> Judged | None:
    """The phrase that is most an author's own, against so many of everybody else's texts."""
    theirs = {  # Laplace: never seen is not never
        phrase: share
        for phrase, share in frequent.items()
        if share >= TIMES * (elsewhere[phrase] + 1) / (others + 2)
    }
    if not theirs:
        return None
    phrase = max(theirs, key=lambda each: (theirs[each], len(each), each))
    share, rate, words = theirs[phrase], elsewhere[phrase] / others, " ".join(phrase)
    return (
        f"{share:.0%} of {len(author.drawn)} new corrections add {words!r}; of everybody else's, "
        f"{rate:.0%} say it.",
        {"kind": "one_sided", "phrase": words, "share": round(share, 3),
         "others_share": round(rate, 3), "corrections": len(author.drawn)},
    )  # fmt: skip


def _stamped(author: Author, others: list[Author], least: int) -> Judged | None:
    words = sum(other.all_words for other in others)
    if author.words < least or words < least:
        return None
    mine, theirs = (
        author.approvals / author.words,
        sum(other.all_approvals for other in others) / words,
    )
    if mine < APPROVES or theirs > OTHERS_APPROVE:
        return None
    return (
        f"{mine:.0%} of {author.words} new words approve the answer; of everybody else's, {theirs:.0%}.",
        {"kind": "one_sided", "approves": round(mine, 3), "others_approve": round(theirs, 3),
         "words": author.words},
    )  # fmt: skip
