"""What became of each text: looked up by its hash, redacted where it is new, and remembered.

A text is looked through once under one set of rules, however often it is frozen. redact_ahead.py fills
this ahead, so that freezing finds nearly everything here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import delete, exists
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from feedback.batches import in_batches
from feedback.learning import learning_of
from feedback.redaction import Redacted, Redactor
from feedback.tables import Assistant, Conversation, Feedback, FeedbackState, Message, now
from feedback.trust_tables import Redaction

BATCH = 500
"""Texts that are looked up, redacted and stored at once."""
EXAMPLES = 3
EXAMPLE_CHARS = 160


def redactor_of(assistant: Assistant) -> Redactor:
    """The redactor with an assistant's own patterns."""
    return Redactor(learning_of(assistant).patterns)


def sha256_of(text: str) -> str:
    """What a text is remembered by."""
    return hashlib.sha256(text.encode()).hexdigest()


def redacted(session: Session, redactor: Redactor, texts: Iterable[str]) -> dict[str, str]:
    """Each text as it may be taught. What is new is redacted and remembered in this transaction."""
    known: dict[str, str] = {}
    for batch in _different(texts):
        found = remembered(session, redactor, batch)
        new = [text for text in batch if text not in found]
        results = redactor.redact(new)
        store(session, redactor, new, results)
        known |= {text: row.text or text for text, row in found.items()}
        known |= {text: result.text for text, result in zip(new, results, strict=True)}
    return known


def as_taught(session: Session, redactor: Redactor, texts: Iterable[str]) -> dict[str, str]:
    """The same for a transaction that only looks: what is new is redacted, and not remembered."""
    known: dict[str, str] = {}
    for batch in _different(texts):
        hashes = {sha256_of(text): text for text in batch}
        # Columns, not rows: a freeze asks this a million times.
        found = session.exec(
            select(Redaction.text_sha256, Redaction.text).where(
                Redaction.rules == redactor.rules, col(Redaction.text_sha256).in_(list(hashes))
            )
        )
        known |= {hashes[sha256]: became or hashes[sha256] for sha256, became in found}
        new = [text for text in batch if text not in known]
        results = redactor.redact(new) if new else []
        known |= {text: result.text for text, result in zip(new, results, strict=True)}
    return known


def _different(texts: Iterable[str]) -> Iterator[list[str]]:
    """Different texts, `BATCH` at most at a time."""
    for some in in_batches(texts, BATCH):
        yield list(dict.fromkeys(some))


def remembered(session: Session, redactor: Redactor, texts: Sequence[str]) -> dict[str, Redaction]:
    """What is known already of some texts, at most a few thousand."""
    hashes = {sha256_of(text): text for text in texts}
    query = select(Redaction).where(
        Redaction.rules == redactor.rules, col(Redaction.text_sha256).in_(list(hashes))
    )
    return {hashes[row.text_sha256]: row for row in session.exec(query)}


def store(
    session: Session, redactor: Redactor, texts: Sequence[str], results: Sequence[Redacted]
) -> None:
    """Remember what became of some texts; what another process has stored meanwhile is the same."""
    rows: dict[str, dict[str, Any]] = {
        sha256_of(text): {
            "text_sha256": sha256_of(text),
            "rules": redactor.rules,
            "text": result.text if result.found else None,
            "found": result.found,
            "created_at": now(),
        }
        for text, result in zip(texts, results, strict=True)
    }
    if not rows:
        return
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert if on_postgresql else sqlite.insert
    # In one order everywhere: two processes that store the same texts do not wait for each other in a ring.
    in_order = [rows[each] for each in sorted(rows)]
    session.connection().execute(insert(Redaction).on_conflict_do_nothing(), in_order)


def forget(session: Session, texts: Iterable[str]) -> int:
    """Remember nothing of some texts any more, under whichever rules; how many rows went."""
    gone = 0
    for batch in _different(texts):
        hashes = [sha256_of(text) for text in batch]
        query = delete(Redaction).where(col(Redaction.text_sha256).in_(hashes))
        gone += session.connection().execute(query).rowcount
    return gone


@dataclass(frozen=True)
class Place:
    """How far the texts of an assistant were gone through."""

    in_feedback: bool = False
    after: str = ""
    """The id of the last row."""


def page(session: Session, assistant: Assistant, place: Place) -> tuple[list[str], Place | None]:
    """The next texts that an assistant's datasets may need, and where to go on; None: that was all.

    They are what was said in conversations with feedback, and then the feedback's own words.
    """
    table = Feedback if place.in_feedback else Message
    query = _needed(assistant, table, table.id, table.text).where(col(table.id) > place.after)
    rows = session.exec(query.order_by(col(table.id)).limit(BATCH)).all()
    texts = [text for _, text in rows]
    if rows:
        return texts, Place(place.in_feedback, rows[-1][0])
    return texts, None if place.in_feedback else Place(in_feedback=True)


def needed(session: Session, assistant: Assistant) -> Iterator[str]:
    """Every such text; one may come twice. A page is in memory at a time."""
    place: Place | None = Place()
    while place is not None:
        texts, place = page(session, assistant, place)
        yield from texts


def count_needed(session: Session, assistant: Assistant) -> int:
    """How many texts `needed` gives."""
    queries = (_needed(assistant, table, func.count()) for table in (Message, Feedback))
    return sum(session.exec(query).one() for query in queries)


def _needed(assistant: Assistant, table: type[Message] | type[Feedback], *what: Any) -> Any:
    """A query of rows in the order of their own key; the rest is looked up row by row (EXISTS, not JOIN),
    so that a page costs the same however many there are.
    """
    in_force = col(Feedback.state) == FeedbackState.ACTIVE
    if table is Feedback:
        theirs = (
            select(Conversation.id)
            .join(Message, col(Message.conversation_id) == Conversation.id)
            .where(Message.id == Feedback.message_id, Conversation.assistant_id == assistant.id)
            .correlate(Feedback)
        )
        has_text = [in_force, col(Feedback.text).is_not(None), Feedback.text != ""]
        return select(*what).select_from(Feedback).where(exists(theirs), *has_text)
    about = aliased(Message)
    theirs = (
        select(Conversation.id)
        .where(
            Conversation.id == Message.conversation_id, Conversation.assistant_id == assistant.id
        )
        .correlate(Message)
    )
    given = (
        select(Feedback.id)
        .join(about, col(about.id) == Feedback.message_id)
        .where(about.conversation_id == Message.conversation_id, in_force)
        .correlate(Message)
    )
    return (
        select(*what).select_from(Message).where(exists(theirs), exists(given), Message.text != "")
    )


@dataclass
class OfType:
    """What was found of one type: how many, in how many texts, and texts with placeholders."""

    count: int = 0
    texts: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What was found in an assistant's feedback, never a value of it."""

    rules: str
    texts: int = 0
    """Different texts, as far as the report looks."""
    looked_through: int = 0
    with_any: int = 0
    found: dict[str, OfType] = field(default_factory=dict)
    is_whole: bool = True
    """Whether all texts were counted, or only as many as were asked for."""


def report(session: Session, assistant: Assistant, most: int | None = None) -> Report:
    """What is remembered of the texts that an assistant's datasets may need; of the first `most` at most."""
    redactor = redactor_of(assistant)
    told = Report(redactor.rules)
    seen = 0
    for batch in _different(islice(needed(session, assistant), most)):
        seen += len(batch)
        rows = remembered(session, redactor, batch)
        told.texts += len(batch)
        told.looked_through += len(rows)
        for row in rows.values():
            _count(told, row)
    told.is_whole = most is None or seen < most
    told.found = dict(sorted(told.found.items(), key=lambda each: (-each[1].count, each[0])))
    return told


def _count(told: Report, row: Redaction) -> None:
    told.with_any += bool(row.found)
    for type, count in Counter(row.found).items():
        one = told.found.setdefault(type, OfType())
        one.count += count
        one.texts += 1
        example = (row.text or "")[:EXAMPLE_CHARS]
        if len(one.examples) < EXAMPLES and example not in one.examples and f"<{type}" in example:
            one.examples.append(example)
