"""Search over everything that was said, newest first: SQLite's FTS5, PostgreSQL's full-text index.

Words are runs of letters and digits, matched whole, the last one also as a beginning: `ORD-1234` is two of
them. A conversation's id or a customer's name is found, too. The index is kept by the database
(feedback/migrations, 0002 and 0004); it alone decides how capitals are folded, so nothing is folded here.
"""

import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from feedback.errors import Invalid
from feedback.inbox import Row
from feedback.tables import Assistant, Conversation, Customer

MOST_WORDS = 12
MOST_NAMED = 400
"""Of one customer; whoever has more is searched for with words."""

SQLITE = """
SELECT conversation_id FROM message_search
WHERE message_search MATCH :query AND assistant_id = :assistant
ORDER BY rowid DESC
"""

# PostgreSQL's own parser keeps "-1234", whole addresses and paths; cut first, they are words.
CUT = "regexp_replace({}, '[^[:alnum:]_]+', ' ', 'g')"
SAID = f"to_tsvector('simple', {CUT.format('message.text')})"
ASKED = f"(nullif(plainto_tsquery('simple', {CUT.format(':query')})::text, '') || ':*')::tsquery"
HIT = f"{SAID} @@ {ASKED} AND message.state NOT IN ('writing', 'draft')"

# Left alone, PostgreSQL's planner walks all messages backwards for a rare word. So a frequent word is
# looked for in windows of messages, newest first; where one holds too few, the full-text index is asked.
# Cutting a message into words takes 50 µs; what cannot fit is seen in 4.
WINDOW = 1000
FREQUENT = 8
"""With fewer hits in a window than this, all hits together are few enough to be sorted."""
WINDOW_BEGINS = """
SELECT id FROM message WHERE id < :before ORDER BY id DESC OFFSET :window LIMIT 1
"""
IN_WINDOW = """
SELECT message.conversation_id FROM message
JOIN conversation ON conversation.id = message.conversation_id
WHERE message.id < :before AND message.id >= :floor
AND lower(message.text COLLATE "C") LIKE ALL(CAST(:holds AS text[])) AND {hit}
AND conversation.assistant_id = :assistant
ORDER BY message.id DESC
""".replace("{hit}", HIT)
POSTGRESQL = """
WITH hits AS MATERIALIZED (
  SELECT id, conversation_id FROM message WHERE {hit}
)
SELECT hits.conversation_id FROM hits
JOIN conversation ON conversation.id = hits.conversation_id
WHERE hits.id < :before AND conversation.assistant_id = :assistant
ORDER BY hits.id DESC
""".replace("{hit}", HIT)
NEWEST_IN = """
SELECT max(message.id) FROM message WHERE message.conversation_id = :ident AND {hit}
""".replace("{hit}", HIT)
SHOWN = """
SELECT DISTINCT message.conversation_id FROM message
WHERE message.conversation_id = ANY(:ids) AND message.id >= :until AND {hit}
""".replace("{hit}", HIT)
AT_ONCE = 60
"""Conversations looked up together; about a page."""
END = "z"
"""Sorts behind every id."""


def find(
    session: Session,
    assistant: Assistant,
    words: str,
    limit: int = 50,
    after: str | None = None,
) -> list[Row]:
    """Conversations of an assistant in which all these words were said in one message.

    `after` is the id of the last one of the page before.
    """
    ids = list(islice(_ids(session, assistant, words, after), limit))
    query = (
        select(Conversation, Customer.external_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(col(Conversation.id).in_(ids))
    )
    rows = {found[0].id: Row(*found) for found in session.exec(query).all()}
    return [rows[ident] for ident in ids]


def _ids(session: Session, assistant: Assistant, words: str, after: str | None) -> Iterator[str]:
    """What is found, each once, from behind `after` on: by name first, then by what was said."""
    named = _named(session, assistant, words.strip().replace("\x00", ""))
    behind = named.index(after) + 1 if after in named else 0
    if after is None or behind:
        yield from named[behind:]
        after = None
    seen = set(named)
    for ident in _said(session, assistant, words, after):
        if ident not in seen:
            seen.add(ident)
            yield ident


def _named(session: Session, assistant: Assistant, name: str) -> list[str]:
    """The conversation of this id, and those of the customer of this name."""
    by_id = select(Conversation.id).where(
        Conversation.assistant_id == assistant.id, Conversation.id == name
    )
    customer = session.exec(
        select(Customer.id).where(
            Customer.assistant_id == assistant.id, Customer.external_id == name
        )
    ).first()
    found = list(session.exec(by_id))
    if customer:
        theirs = (
            select(Conversation.id)
            .where(Conversation.customer_id == customer)
            .order_by(col(Conversation.id).desc())
            .limit(MOST_NAMED)
        )
        found += session.exec(theirs)
    return list(dict.fromkeys(found))


def tokens(words: str) -> list[str]:
    """Runs of letters, digits and the marks that belong to them."""
    kept = (each if _is_of_a_word(each) else " " for each in words)
    return "".join(kept).split()[:MOST_WORDS]


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _said(session: Session, assistant: Assistant, words: str, after: str | None) -> Iterator[str]:
    """Conversations by their newest message with these words; an older one may name them again."""
    if not (found := tokens(words)):
        return iter(())
    values: dict[str, Any] = {"assistant": assistant.id}
    if session.get_bind().dialect.name == "sqlite":
        values["query"] = " ".join(f'"{token}"' for token in found) + "*"
        return _on_sqlite(session, values, after)
    holds = [f"%{token.lower()}%" for token in found if token.isascii()]
    return _on_postgresql(session, {**values, "query": " ".join(found), "holds": holds}, after)


def _on_sqlite(session: Session, values: dict[str, Any], after: str | None) -> Iterator[str]:
    """FTS5 walks from the newest on, and no further than it is asked to."""
    shown: set[str] = set()
    for ident in session.execute(text(SQLITE), values).scalars():
        if after is None:
            if ident not in shown:
                yield ident
            continue
        shown.add(ident)
        if ident == after:
            after = None
    if after is not None:
        raise _unknown(after)


def _on_postgresql(session: Session, values: dict[str, Any], after: str | None) -> Iterator[str]:
    before = END
    if after is not None:
        asked = {"query": values["query"], "ident": after}
        before = session.execute(text(NEWEST_IN), asked).scalar() or ""
    until = before
    if not until:
        raise _unknown(after or "")
    while before:
        found, before = _next_hits(session, values, before)
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            shown = set() if until == END else _shown(session, values, some, until)
            yield from (ident for ident in some if ident not in shown)


def _next_hits(session: Session, values: dict[str, Any], before: str) -> tuple[list[str], str]:
    """Conversations with hits older than `before`, and where to go on; "" at the end."""
    values = {**values, "before": before}
    floor = session.execute(text(WINDOW_BEGINS), {"before": before, "window": WINDOW}).scalar()
    if floor is not None:
        hits = list(session.execute(text(IN_WINDOW), {**values, "floor": floor}).scalars())
        if len(hits) >= FREQUENT:
            return list(dict.fromkeys(hits)), floor
    hits = list(session.execute(text(POSTGRESQL), values).scalars())
    return list(dict.fromkeys(hits)), ""


def _shown(session: Session, values: dict[str, Any], some: list[str], until: str) -> set[str]:
    """Those of them that a page before has shown, for a hit of theirs that is newer."""
    asked = {"query": values["query"], "ids": some, "until": until}
    return set(session.execute(text(SHOWN), asked).scalars())


def _unknown(after: str) -> Invalid:
    return Invalid(
        f"Found the page after {after!r}; expected a conversation that this search finds."
    )
