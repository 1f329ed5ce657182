"""Inserting many rows at the speed of the driver: what rows share is translated once, not once per row.

SQLite takes many rows in one statement: Python's driver lets other threads run at every one, and then waits for them.
PostgreSQL takes large batches by binary COPY.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert
from sqlalchemy.exc import DBAPIError

SQLITE_ROWS = (256, 32)
"""Rows in one statement of SQLite, as many as there are and as its limit of parameters allows."""

COPY_ROWS = 64
"""From so many rows on, COPY is faster than a statement for each row."""

Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The driver's statement for one row, the order of its parameters (None: by name) and what translates each column.

    many_sql: the statement for each of SQLITE_ROWS. copy, copy_types: the same for COPY, where the database has it.
    """

    sql: str
    order: Sequence[str] | None
    processors: Mapping[str, Processor]
    many_sql: Mapping[int, str]
    copy: str
    copy_types: Sequence[str]


def insert_columns(
    connection: Connection, table: Table, *, shared: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Insert rows given by their columns, in the order of `columns`, with the values that all rows share.

    Raises what SQLAlchemy raises for a statement.
    """
    prepared = _prepare(table, connection.dialect, (*shared, *columns))
    row_count = len(next(iter(columns.values())))
    values: dict[str, Iterable[Any]] = {
        name: [_processed(prepared.processors[name], value)] * row_count for name, value in shared.items()
    }
    values |= {name: _translated(prepared.processors[name], column) for name, column in columns.items()}
    if prepared.order is not None:
        _insert_positions(connection, prepared, list(zip(*(values[name] for name in prepared.order), strict=True)))
    elif row_count >= COPY_ROWS:
        _copy(connection, prepared, zip(*values.values(), strict=True))
    else:
        rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        connection.exec_driver_sql(prepared.sql, rows)


def _insert_positions(connection: Connection, prepared: _Prepared, rows: list[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    # Usually 32,766, and 999 before SQLite 3.32.
    most = driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(rows[0])
    start = 0
    for at_once, sql in prepared.many_sql.items():
        while at_once <= most and start + at_once <= len(rows):
            connection.exec_driver_sql(sql, tuple(chain.from_iterable(rows[start : start + at_once])))
            start += at_once
    if rows[start:]:
        connection.exec_driver_sql(prepared.sql, rows[start:])


def _copy(connection: Connection, prepared: _Prepared, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copy rows in; what the driver raises becomes what SQLAlchemy raises: a lost database must be one here, too."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(prepared.copy) as copy:
            copy.set_types(prepared.copy_types)
            for row in rows:
                copy.write_row(row)
    except _driver_error(connection.dialect) as error:
        raise _as_sqlalchemy(connection, prepared.copy, error) from error


def _driver_error(dialect: Dialect) -> type[Exception]:
    """Return the base of the driver's errors; the driver of PostgreSQL is not installed everywhere."""
    driver: Any = dialect.loaded_dbapi
    error: type[Exception] = driver.Error
    return error


def _as_sqlalchemy(connection: Connection, statement: str, error: Any) -> BaseException:
    lost = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    translated: BaseException = DBAPIError.instance(
        statement,
        None,
        error,
        _driver_error(connection.dialect),
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )
    return translated


@lru_cache(maxsize=64)
def _prepare(table: Table, dialect: Dialect, names: tuple[str, ...]) -> _Prepared:
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    head, values, row = str(compiled).rpartition(" VALUES ")
    quoted = [dialect.identifier_preparer.quote(name) for name in (table.name, *names)]
    return _Prepared(
        sql=str(compiled),
        order=getattr(compiled, "positiontup", None),
        processors={name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names},
        many_sql={rows: head + values + ", ".join([row] * rows) for rows in SQLITE_ROWS},
        copy=f"COPY {quoted[0]} ({', '.join(quoted[1:])}) FROM STDIN (FORMAT BINARY)",
        copy_types=[table.c[name].type.compile(dialect).partition(" COLLATE ")[0].lower() for name in names],
    )


def _translated(processor: Processor, column: Sequence[Any]) -> Iterable[Any]:
    if processor is None:
        return column
    if all(value == column[0] for value in column):
        return [processor(column[0])] * len(column)
    return map(processor, column)


def _processed(processor: Processor, value: Any) -> Any:
    return value if processor is None else processor(value)
