"""Run by Alembic. The engine comes from `feedback.database.migrate`, never from an ini file."""

from alembic import context
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
        context.run_migrations()
    connection.commit()
