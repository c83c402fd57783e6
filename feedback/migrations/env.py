"""Run by Alembic. The engine comes from `feedback.database.migrate`, never from an ini file."""

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

import feedback.tables  # noqa: F401  (fills the metadata)
from feedback.database import database

engine = context.config.attributes.get("engine") or database()

with engine.connect().execution_options(writing=True) as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        compare_type=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # two processes may start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(7263648)"))
        context.run_migrations()
    connection.commit()
