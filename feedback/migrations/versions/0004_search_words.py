"""search finds what people type: order numbers, e-mail addresses, words of an address.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The same expression as in feedback/search.py; only a query with it can use the index.
WORDS = "to_tsvector('simple', regexp_replace(text, '[^[:alnum:]_]+', ' ', 'g'))"


def _index(expression: str) -> None:
    """SQLite's FTS5 has cut at everything but letters and digits from the start."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.execute("DROP INDEX message_search")
    op.execute(f"CREATE INDEX message_search ON message USING gin ({expression})")


def upgrade() -> None:
    _index(WORDS)


def downgrade() -> None:
    _index("to_tsvector('simple', text)")
