"""Search over everything that was said, newest first: SQLite's FTS5, PostgreSQL's full-text index.

Words are matched whole, the last one also as a beginning. A conversation's id or a customer's name is
found, too. The index is kept by the database (feedback/migrations, 0002).
"""

import re

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
# The newest first by the primary key, which is a ULID. The planner walks it backwards when a word is
# frequent and goes by the full-text index when it is rare.
POSTGRESQL = """
SELECT message.conversation_id FROM message
JOIN conversation ON conversation.id = message.conversation_id
WHERE to_tsvector('simple', message.text) @@ to_tsquery('simple', :query)
AND message.state NOT IN ('writing', 'draft') AND conversation.assistant_id = :assistant
ORDER BY message.id DESC LIMIT :scanned
"""


def find(session: Session, assistant: Assistant, words: str, limit: int = 50) -> list[Row]:
    """Conversations of an assistant in which all these words were said in one message."""
    ids = _named(session, assistant, words)
    if tokens := WORD.findall(words.casefold())[:MOST_WORDS]:
        ids += _said(session, assistant, tokens)
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


def _said(session: Session, assistant: Assistant, tokens: list[str]) -> list[str]:
    if session.get_bind().dialect.name == "sqlite":
        query, statement = " ".join(f'"{token}"' for token in tokens) + "*", SQLITE
    else:
        query, statement = " & ".join(f"'{token}'" for token in tokens) + ":*", POSTGRESQL
    values = {"query": query, "assistant": assistant.id, "scanned": SCANNED}
    return list(session.execute(text(statement), values).scalars())
