"""A statement that is compiled once and then handed to the driver as it is. Used by turn_log.py alone.

SQLAlchemy writes the SQL and says how values are stored, for both databases; but its way of running a
statement takes several times as long as SQLite does.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.sql.compiler import SQLCompiler

Processors = dict[str, Any]


class Prepared:
    """A statement. Values are given by the names of columns, and of its own parameters with an underscore."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._known: dict[tuple[str, ...], tuple[str, Sequence[str] | None, Processors]] = {}

    def run(self, connection: Connection, values: dict[str, Any]) -> Any:
        """Run it; the driver's cursor."""
        sql, order, processors = self._compiled(connection, values)
        driver: Any = connection.connection.driver_connection
        return driver.execute(sql, _bound(values, order, processors))

    def run_all(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        """Run it once for each of some rows, which name the same columns."""
        sql, order, processors = self._compiled(connection, rows[0])
        cursor: Any = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        cursor.executemany(sql, [_bound(row, order, processors) for row in rows])
        cursor.close()

    def _compiled(
        self, connection: Connection, values: dict[str, Any]
    ) -> tuple[str, Sequence[str] | None, Processors]:
        dialect = connection.dialect
        key = (dialect.name, *values)
        if key not in self._known:
            columns = [name for name in values if not name.startswith("_")]
            compiled = self._statement.compile(dialect=dialect, column_keys=columns or None)
            assert isinstance(compiled, SQLCompiler)
            processors = {
                name: bind.type.dialect_impl(dialect).bind_processor(dialect)
                for name, bind in compiled.binds.items()
            }
            self._known[key] = (compiled.string, compiled.positiontup, processors)
        return self._known[key]


def _bound(values: dict[str, Any], order: Sequence[str] | None, processors: Processors) -> Any:
    bound = {
        name: values[name] if process is None else process(values[name])
        for name, process in processors.items()
    }
    return bound if order is None else [bound[name] for name in order]
