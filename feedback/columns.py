"""The kinds of columns that tables are made of. Times are UTC; ids are ULIDs."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from feedback.ids import new_id

# Named constraints, so that a later migration can find and change them on both databases.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, store the rest as UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"found the naive time {value!r}, expected one with a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware UTC time on every database."""
        return value and (
            value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        )


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def key() -> Any:
    """The primary key: a ULID made here."""
    return Field(default_factory=new_id, primary_key=True, max_length=26)


def time() -> Any:
    """A time; now, unless said otherwise."""
    return Field(default_factory=now, sa_type=UtcDateTime)


def time_or_none() -> Any:
    """A time that may not have come."""
    return Field(default=None, sa_type=UtcDateTime)


def json(default: type[list[Any]] | type[dict[str, Any]]) -> Any:
    """A JSON value; an empty one, unless said otherwise."""
    return Field(default_factory=default, sa_type=JSON)


def text() -> Any:
    """Text of any length."""
    return Field(sa_type=Text)


def text_or_none() -> Any:
    """Text of any length, or none."""
    return Field(default=None, sa_type=Text)


def choice(default: StrEnum | None = None) -> Any:
    """One of an enumeration, kept as its text."""
    return (
        Field(sa_type=String(24)) if default is None else Field(default=default, sa_type=String(24))
    )


def choice_or_none() -> Any:
    """One of an enumeration, or none."""
    return Field(default=None, sa_type=String(24))


def ref(column: str) -> Any:
    """A row of another table."""
    return Field(foreign_key=column, index=True, max_length=26)


def ref_or_none(column: str) -> Any:
    """A row of another table, or none."""
    return Field(default=None, foreign_key=column, index=True, max_length=26)
