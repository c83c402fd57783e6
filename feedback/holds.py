"""Holds: words of an author that come in a flood, or all push one way, wait until a person has looked.

One author who teaches the bot something false, for spite or by mistake, must not do so unseen. What is
looked at are words that nothing was frozen from yet, against everybody else's. Called before a freeze;
a hold is a row with its numbers, and a person releases or rejects it.
"""

import hashlib
import re
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from feedback import policies
from feedback.corrections import TEACHING
from feedback.errors import Conflict, NotFound
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
    now,
)
from feedback.trust_tables import Hold, HoldOutcome

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


def check(session: Session, assistant: Assistant) -> list[Hold]:
    """Hold the authors whose new words look one-sided or came in a flood; those newly held."""
    learning = learning_of(assistant)
    held = {hold.author for hold in open_holds(session, assistant)}
    authors = _read(session, assistant)
    made = []
    for name, author in sorted(authors.items()):
        if name in held:
            continue
        others = [each for other, each in authors.items() if other != name]
        if found := _flood(author, learning) or _one_sided(author, others, learning.one_sided_from):
            reason, evidence = found
            since = _last_decided(session, assistant, name)
            told = {**evidence, "since": since.isoformat() if since else None}
            hold = Hold(assistant_id=assistant.id, author=name, reason=reason, evidence=told)
            session.add(hold)
            made.append(hold)
    session.flush()
    return made


def _read(session: Session, assistant: Assistant) -> dict[str, Author]:
    authors: dict[str, Author] = {}
    decided: dict[str, datetime | None] = {}
    for name, kind, text, at, answer, question, channel, frozen in _words(session, assistant):
        if name not in decided:
            decided[name] = _last_decided(session, assistant, name)
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


def _phrases(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.casefold())
    return {
        tuple(words[start : start + size])
        for size in range(1, LONGEST + 1)
        for start in range(len(words) - size + 1)
    }


def _flood(author: Author, learning: Learning) -> tuple[str, dict[str, Any]] | None:
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


def _one_sided(
    author: Author, others: list[Author], least: int
) -> tuple[str, dict[str, Any]] | None:
    """A phrase that this author pushes, or an approval of nearly everything."""
    return _pushed(author, others, least) or _stamped(author, others, least)


def _pushed(author: Author, others: list[Author], least: int) -> tuple[str, dict[str, Any]] | None:
    texts = [text for other in others for _, text, _ in other.all_drawn]
    if len(author.drawn) < least or len(texts) < least:
        return None
    added = Counter(
        phrase for _, text, before in author.drawn for phrase in _phrases(text) - _phrases(before)
    )
    shares = {phrase: count / len(author.drawn) for phrase, count in added.items()}
    frequent = {phrase: each for phrase, each in shares.items() if each >= SHARE[len(phrase)]}
    said = Counter(phrase for text in texts for phrase in _phrases(text) & frequent.keys())
    theirs = {  # Laplace: never seen is not never
        phrase: share
        for phrase, share in frequent.items()
        if share >= TIMES * (said[phrase] + 1) / (len(texts) + 2)
    }
    if not theirs:
        return None
    phrase = max(theirs, key=lambda each: (theirs[each], len(each), each))
    share, elsewhere, words = theirs[phrase], said[phrase] / len(texts), " ".join(phrase)
    return (
        f"{share:.0%} of {len(author.drawn)} new corrections add {words!r}; of everybody else's, "
        f"{elsewhere:.0%} say it.",
        {"kind": "one_sided", "phrase": words, "share": round(share, 3),
         "others_share": round(elsewhere, 3), "corrections": len(author.drawn)},
    )  # fmt: skip


def _stamped(author: Author, others: list[Author], least: int) -> tuple[str, dict[str, Any]] | None:
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


def _last_decided(session: Session, assistant: Assistant, author: str) -> datetime | None:
    decided = [
        hold.decided_at
        for hold in every(session, assistant)
        if hold.author == author and hold.decided_at is not None
    ]
    return max(decided, default=None)


def every(session: Session, assistant: Assistant) -> list[Hold]:
    """An assistant's holds, newest first."""
    return list(
        session.exec(
            select(Hold)
            .where(Hold.assistant_id == assistant.id)
            .order_by(col(Hold.created_at).desc(), col(Hold.id).desc())
        )
    )


def open_holds(session: Session, assistant: Assistant) -> list[Hold]:
    """Those that wait for a person."""
    return [hold for hold in every(session, assistant) if hold.outcome is None]


def get(session: Session, assistant: Assistant, hold_id: str) -> Hold:
    """The hold, or NotFound."""
    found = session.get(Hold, hold_id)
    if found is None or found.assistant_id != assistant.id:
        raise NotFound(f"There is no hold {hold_id!r}. See `understudy feedback holds list`.")
    return found


def decide(session: Session, hold: Hold, outcome: HoldOutcome, by: str) -> Hold:
    """Release: what the author has said so far teaches. Reject: it never does."""
    if hold.outcome is not None:
        raise Conflict(f"The hold on {hold.author!r} was {hold.outcome} by {hold.decided_by}.")
    hold.outcome, hold.decided_by, hold.decided_at = outcome, by, now()
    session.add(hold)
    session.flush()
    return hold


class Held:
    """Which words of an assistant do not teach because of a hold."""

    def __init__(self, session: Session, assistant: Assistant) -> None:
        self._session = session
        self.policies = policies.retired(session, assistant)
        """The policies that were retired: what rests on one does not teach either."""
        self._by_author: dict[str, list[Hold]] = {}
        for hold in every(session, assistant):
            if hold.outcome != HoldOutcome.RELEASED:
                self._by_author.setdefault(hold.author, []).append(hold)

    def why(self, words: Iterable[Feedback]) -> dict[str, str]:
        """By the id of each such word: held (nobody has decided yet) or rejected."""
        suspect = [word for word in words if word.author in self._by_author]
        frozen = self._frozen([word.id for word in suspect])
        found = {}
        for word in suspect:
            for hold in self._by_author[word.author]:
                since = hold.evidence.get("since")
                if since and word.created_at <= datetime.fromisoformat(since):
                    continue
                if hold.outcome == HoldOutcome.REJECTED:
                    if hold.decided_at and word.created_at <= hold.decided_at:
                        found[word.id] = "rejected"
                elif word.id not in frozen:
                    found[word.id] = "held"
        return found

    def _frozen(self, ids: list[str]) -> set[str]:
        if not ids:
            return set()
        query = select(ItemSource.feedback_id).where(col(ItemSource.feedback_id).in_(ids))
        return set(self._session.exec(query))


def examples(session: Session, assistant: Assistant, hold: Hold, limit: int = 10) -> list[Feedback]:
    """Some of the author's newest words, for whoever decides."""
    return list(
        session.exec(
            select(Feedback)
            .join(Message, col(Message.id) == Feedback.message_id)
            .join(Conversation, col(Conversation.id) == Message.conversation_id)
            .where(
                Conversation.assistant_id == assistant.id,
                Feedback.author == hold.author,
                col(Feedback.kind).in_(TEACHING),
                Feedback.state == FeedbackState.ACTIVE,
            )
            .order_by(col(Feedback.created_at).desc(), col(Feedback.id).desc())
            .limit(limit)
        )
    )
