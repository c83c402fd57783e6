"""Search over everything that was said, newest first: SQLite's FTS5, PostgreSQL's full-text index.

Words are matched whole, the last one also as a beginning. A conversation's id or a customer's name is
found, too. The index is kept by the database (feedback/migrations, 0002).
"""

import re
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from feedback.inbox import Row
from feedback.tables import Assistant, Conversation, Customer

WORD = re.compile(r"\w+")
MOST_WORDS = 12
SCANNED = 400
"""Newest matching messages looked at; several may be of one conversation."""

SQLITE = """
SELECT conversation_id FROM message_search
WHERE message_search MATCH :query AND assistant_id = :assistant
ORDER BY rowid DESC LIMIT :scanned
"""
# Left alone, PostgreSQL's planner walks all messages backwards for a rare word. So a frequent word is
# looked for among the newest messages; only when these hold too few is the full-text index asked.
NEWEST = 3000
POSTGRESQL_NEWEST = """
SELECT newest.conversation_id FROM (
  SELECT id, conversation_id, text, state FROM message ORDER BY id DESC LIMIT :newest
) AS newest
JOIN conversation ON conversation.id = newest.conversation_id
WHERE to_tsvector('simple', newest.text) @@ to_tsquery('simple', :query)
AND newest.state NOT IN ('writing', 'draft') AND conversation.assistant_id = :assistant
ORDER BY newest.id DESC LIMIT :scanned
"""
POSTGRESQL = """
WITH hits AS MATERIALIZED (
  SELECT id, conversation_id FROM message
  WHERE to_tsvector('simple', text) @@ to_tsquery('simple', :query)
  AND state NOT IN ('writing', 'draft')
)
SELECT hits.conversation_id FROM hits
JOIN conversation ON conversation.id = hits.conversation_id
WHERE conversation.assistant_id = :assistant
ORDER BY hits.id DESC LIMIT :scanned
"""


def find(session: Session, assistant: Assistant, words: str, limit: int = 50) -> list[Row]:
    """Conversations of an assistant in which all these words were said in one message."""
    ids = _named(session, assistant, words)
    if tokens := WORD.findall(words.casefold())[:MOST_WORDS]:
        ids += _said(session, assistant, tokens, limit)
    ids = list(dict.fromkeys(ids))[:limit]
    query = (
        select(Conversation, Customer.external_id)
        .outerjoin(Customer, col(Customer.id) == Conversation.customer_id)
        .where(col(Conversation.id).in_(ids))
    )
    rows = {found[0].id: Row(*found) for found in session.exec(query).all()}
    return [rows[ident] for ident in ids]


def _named(session: Session, assistant: Assistant, words: str) -> list[str]:
    """The conversation of this id, and those of the customer of this name."""
    name = words.strip()
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
            .limit(SCANNED)
        )
        found += session.exec(theirs)
    return found


def _said(session: Session, assistant: Assistant, tokens: list[str], enough: int) -> list[str]:
    values: dict[str, Any] = {"assistant": assistant.id, "scanned": SCANNED}
    if session.get_bind().dialect.name == "sqlite":
        values["query"] = " ".join(f'"{token}"' for token in tokens) + "*"
        return _conversations(session, SQLITE, values)
    values["query"] = " & ".join(f"'{token}'" for token in tokens) + ":*"
    found = _conversations(session, POSTGRESQL_NEWEST, {**values, "newest": NEWEST})
    if len(set(found)) >= enough // 2:
        return found
    return _conversations(session, POSTGRESQL, values)


def _conversations(session: Session, statement: str, values: dict[str, Any]) -> list[str]:
    return list(session.execute(text(statement), values).scalars())
