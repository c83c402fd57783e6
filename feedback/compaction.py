"""Deleted is not gone: a database keeps the bytes of deleted rows in pages it has freed. This removes them.

SQLite is written anew (VACUUM) and its write-ahead log emptied; PostgreSQL's changed tables are written anew
(VACUUM FULL), the samples its planner keeps included. Called by erasing.py.
"""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from feedback.settings import feedback_settings

WAIT_SECONDS = 10.0
"""For readers of SQLite's log that began before, and for a lock of PostgreSQL."""


@dataclass
class Done:
    """What was done, what is left, and whether it need not be tried again."""

    told: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    is_whole: bool = True


def compact(engine: Engine, changed: list[str]) -> Done:
    """Write anew what held deleted rows; `changed` names the tables."""
    if engine.dialect.name == "sqlite":
        return _sqlite(engine, _file(engine))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return _postgresql(connection, sorted(changed))


def beyond(engine: Engine) -> str:
    """What no statement reaches, in a sentence."""
    if engine.dialect.name == "sqlite":
        return "Copies and backups of the database's file, and blocks the disk has freed, are the operator's."
    return (
        "PostgreSQL's write-ahead log until it is recycled, its archives, replicas and backups, and the "
        "server's own logs, are the operator's."
    )


def file_name() -> str:
    """How the names of SQLite's own files begin; of no file where PostgreSQL is used."""
    url = feedback_settings().url
    return Path(url.removeprefix("sqlite:///")).name if url.startswith("sqlite") else "\0"


def _file(engine: Engine) -> Path | None:
    name = engine.url.database
    return Path(name) if name and name != ":memory:" else None


def _most_bytes() -> int:
    return feedback_settings().erase_rewrite_max_mb * 1_000_000


def _sqlite(engine: Engine, file: Path | None) -> Done:
    size = file.stat().st_size if file else 0
    if size > _most_bytes():
        return Done(left=[_too_large("The database", size)])
    with contextlib.closing(engine.raw_connection()) as pooled:
        connection: Any = pooled.driver_connection  # SQLAlchemy would begin a transaction
        # The full-text index keeps deleted words until its parts are merged.
        connection.execute("INSERT INTO message_search(message_search) VALUES('optimize')")
        connection.execute("VACUUM")
        deadline = time.monotonic() + WAIT_SECONDS
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > deadline:
                left = "The write-ahead log is in use by a long reader and is emptied later."
                return Done(left=[left], is_whole=False)
            time.sleep(0.05)
    return Done(["The database's file was written anew, and its write-ahead log emptied."])


def _too_large(what: str, size: int) -> str:
    return (
        f"{what} has {size / 1e6:.0f} MB, more than is written anew (setting FEEDBACK_ERASE_REWRITE_MAX_MB); "
        "freed pages may hold bytes of deleted rows until they are used again."
    )


def _postgresql(connection: Connection, changed: list[str]) -> Done:
    done = Done()
    connection.exec_driver_sql(f"SET lock_timeout = '{WAIT_SECONDS:g}s'")
    whole = []
    for table in changed:
        size = _scalar(connection, f"SELECT pg_total_relation_size('{table}')")
        small = size <= _most_bytes()
        how = "FULL, ANALYZE" if small else "ANALYZE"
        try:
            connection.exec_driver_sql(f'VACUUM ({how}) "{table}"')
        except DBAPIError as error:
            done.left.append(
                f"The table {table} was in use and is written anew later ({error.orig})."
            )
            done.is_whole = False
            continue
        if small:
            whole.append(table)
        else:
            done.left.append(_too_large(f"The table {table}", size))
    _forget_samples(connection, done)
    if whole:
        done.told.append(f"Written anew, with their indexes: {', '.join(whole)}.")
    return done


def _forget_samples(connection: Connection, done: Done) -> None:
    """The planner's statistics hold common texts word for word; ANALYZE has replaced those."""
    try:
        connection.exec_driver_sql("VACUUM (FULL) pg_statistic")
    except DBAPIError as error:
        done.left.append(f"The planner's old samples were not written anew ({error.orig}).")


def _scalar(connection: Connection, query: str) -> Any:
    return connection.exec_driver_sql(query).scalar()
