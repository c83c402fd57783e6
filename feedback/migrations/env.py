"""Run by Alembic. The engine comes from `feedback.database.migrate`, never from an ini file."""

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

import feedback.tables  # noqa: F401  (fills the metadata)
from feedback.database import database


def _is_a_table(thing: object, name: str | None, *_: object) -> bool:
    """Full-text search has tables and an index of its own, made by hand in the migrations."""
    return not (name or "").startswith("message_search")


engine = context.config.attributes.get("engine") or database()

with engine.connect().execution_options(writing=True) as connection:
    if connection.dialect.name == "sqlite":
        # SQLite changes a table by making it anew. Rows that point to it would stop that; so the check
        # is off while it happens (which must be said outside a transaction) and made at its end.
        connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        compare_type=True,
        include_object=_is_a_table,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # two processes may start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(7263648)"))
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            broken = connection.execute(text("PRAGMA foreign_key_check")).all()
            if broken:
                raise RuntimeError(
                    f"The migration would leave rows that point nowhere: {broken[:5]!r}"
                )
    connection.commit()
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("PRAGMA foreign_keys=ON")
