"""The one place that opens a database: SQLite (the default) or PostgreSQL, same tables.

One transaction per request, command or stage, opened and closed at the edge with `reading()` or
`writing()`; code below takes the session and never commits.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlmodel import Session, create_engine

from feedback.errors import UnderstudyError
from feedback.fair_lock import FairLock
from feedback.settings import feedback_settings

LOCKED = "database is locked"
"""What SQLite says to whoever has waited for other writers for too long."""


def connect(url: str, busy_timeout_seconds: float = 10.0, connections: int = 15) -> Engine:
    """An engine for `url`; on SQLite with WAL, foreign keys and honest transactions.

    `connections`: of this process with PostgreSQL, at most; they are kept.
    """
    if url.startswith("sqlite"):
        return _sqlite(url, busy_timeout_seconds)
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            url = url.replace(scheme, "postgresql+psycopg://", 1)
    return create_engine(
        url, pool_pre_ping=True, pool_size=connections, max_overflow=0, hide_parameters=True
    )


def _sqlite(url: str, busy_timeout_seconds: float) -> Engine:
    path = url.removeprefix("sqlite:///")
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    # An error that quoted what was to be stored would carry customers' words into logs and rows.
    engine = create_engine(
        url,
        connect_args={"timeout": busy_timeout_seconds},
        execution_options={"writers": FairLock(), "busy_timeout_seconds": busy_timeout_seconds},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged row survives a power cut
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once: upgrading later cannot be waited for.
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


@cache
def database() -> Engine:
    """This process's engine, from the settings."""
    settings = feedback_settings()
    return connect(settings.url, settings.busy_timeout_seconds, settings.database_connections)


@contextmanager
def reading(engine: Engine | None = None) -> Iterator[Session]:
    """A transaction that only looks. Rows stay usable after it has ended."""
    with Session(engine or database(), expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine | None = None) -> Iterator[Session]:
    """A transaction that is committed when the block ends and undone when it raises."""
    bound = (engine or database()).execution_options(writing=True)
    with _my_turn(bound), Session(bound, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def _my_turn(engine: Engine) -> Iterator[None]:
    """This process's writers of an SQLite database in the order they came; refused as SQLite would refuse."""
    options = engine.get_execution_options()
    writers: FairLock | None = options.get("writers")
    if writers is None:
        yield
        return
    with writers.turn(options["busy_timeout_seconds"]) as is_mine:
        if not is_mine:
            raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError(LOCKED))
        yield


def _alembic(engine: Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = engine
    return config


def migrate(engine: Engine | None = None) -> None:
    """Bring the database to the newest schema; does nothing when it is there already."""
    command.upgrade(_alembic(engine or database()), "head")


@contextmanager
def explained() -> Iterator[None]:
    """For commands: a database that is away or was never migrated, told in a sentence."""
    try:
        yield
    except (OperationalError, ProgrammingError):
        check_schema()
        raise


def check_schema(engine: Engine | None = None) -> None:
    """Raise UnderstudyError unless the database can be reached and has the newest schema."""
    engine = engine or database()
    head = ScriptDirectory.from_config(_alembic(engine)).get_current_head()
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except OperationalError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise UnderstudyError(
            f"The database {where} cannot be reached ({error.orig}). Is it running, and is "
            "FEEDBACK_DATABASE_URL right?"
        ) from None
    if found != head:
        raise UnderstudyError(
            f"The database has schema {found!r}, expected {head!r}. Run `understudy feedback migrate`."
        )
