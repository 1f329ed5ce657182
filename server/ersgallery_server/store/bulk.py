"""Inserting many rows at the speed of the driver: what rows share is translated once, not once per row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert

Processor = Callable[[Any], Any] | None


def insert_columns(
    connection: Connection, table: Table, *, shared: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Insert rows given by their columns, in the order of `columns`, with the values that all rows share."""
    sql, order, processors = _prepare(table, connection.dialect, (*shared, *columns))
    row_count = len(next(iter(columns.values())))
    values: dict[str, Iterable[Any]] = {
        name: [_processed(processors[name], value)] * row_count for name, value in shared.items()
    }
    for name, column in columns.items():
        processor = processors[name]
        values[name] = column if processor is None else map(processor, column)
    if order is None:
        names = tuple(values)
        rows: list[Any] = [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        rows = list(zip(*(values[name] for name in order), strict=True))
    connection.exec_driver_sql(sql, rows)


@lru_cache(maxsize=64)
def _prepare(
    table: Table, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, Sequence[str] | None, Mapping[str, Processor]]:
    """Return the driver's statement, the order of its parameters (None: by name), and what translates each column."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    processors = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}
    order: Sequence[str] | None = getattr(compiled, "positiontup", None)
    return str(compiled), order, processors


def _processed(processor: Processor, value: Any) -> Any:
    return value if processor is None else processor(value)
