"""Writes a backup: all tables as they are at one moment, while the server goes on."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, func, make_url, select

from ersgallery_server.backups.columns import kind_of, pack
from ersgallery_server.backups.file import BackupRefused, Header, KeptGallery, KeptTable, Writer, replacing
from ersgallery_server.store.engines import Engines, make_engines
from ersgallery_server.store.errors import SchemaOutdated
from ersgallery_server.store.reading import unavailable_if_database_fails
from ersgallery_server.store.schema import newest_migration, present_migration
from ersgallery_server.store.tables import FACES, GALLERIES, SUBJECTS, Base

LOCK_TIMEOUT_S = 10.0
BLOCK_BYTES = 4 << 20
MOST_ROWS = 2048
ROWS_AT_ONCE = 256
AT_ONCE = {"face_images": 1, "requests": 16}
"""Photographs and answers to requests can be large, and so many are in memory together."""

LEFT_OUT = frozenset({"owner", "last_commit"})
"""Who owns a database now, and what its last commit was, says nothing of another one."""


def kept_tables() -> list[Table]:
    """Return the tables of a backup; each comes after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def back_up(url: str, path: Path, begun: Callable[[Header], Callable[[int], None]]) -> Header:
    """Write a database to a file and return its header.

    Nobody waits for it, but SQLite's log grows and deleted rows stay in it until it is done. begun: gets the header and
    returns what is told how many more rows were written. Raises StoreUnavailable, SchemaOutdated, UrlUnsupported,
    BackupRefused and OSError; then nothing is left of the file, and a former one stays.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        raise BackupRefused(f"there is no database {parsed.database}")
    engines = make_engines(url, read_connections=1, lock_timeout_s=LOCK_TIMEOUT_S)
    try:
        with unavailable_if_database_fails(), _reading(engines) as connection, replacing(path) as file:
            header = _header(connection)
            progress = begun(header)
            writer = Writer(file, header)
            for number, table in enumerate(kept_tables()):
                kinds = [kind_of(column.type) for column in table.c]
                for rows in _parts(connection, table):
                    columns = zip(kinds, zip(*rows, strict=True), strict=True)
                    writer.add(number, len(rows), b"".join(pack(kind, values) for kind, values in columns))
                    progress(len(rows))
            writer.end()
        return header
    finally:
        engines.dispose()


def _reading(engines: Engines) -> Connection:
    """Return a connection that sees one state throughout."""
    if engines.is_sqlite:
        return engines.reading.connect()
    return engines.reading.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _header(connection: Connection) -> Header:
    migration = present_migration(connection)
    if migration is None or migration != newest_migration():
        raise SchemaOutdated
    return Header(
        migration=migration,
        program=metadata.version("ersgallery"),
        create_time=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        tables=tuple(_kept(connection, table) for table in kept_tables()),
        galleries=tuple(_galleries(connection)),
    )


def _kept(connection: Connection, table: Table) -> KeptTable:
    rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return KeptTable(table.name, rows, tuple((column.name, kind_of(column.type)) for column in table.c))


def _galleries(connection: Connection) -> Iterator[KeptGallery]:
    def counted(table: Table) -> Any:
        return select(func.count()).where(table.c.gallery_key == GALLERIES.c.key).scalar_subquery()

    found = select(GALLERIES.c.gallery_id, GALLERIES.c.revision, counted(SUBJECTS), counted(FACES))
    for row in connection.execute(found.order_by(GALLERIES.c.gallery_id)):
        yield KeptGallery(*row)


def _parts(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """Yield the rows of a table by its primary key, about BLOCK_BYTES at a time."""
    statement = select(table).order_by(*table.primary_key).execution_options(stream_results=True, max_row_buffer=1)
    part: list[Row[Any]] = []
    size = 0
    with connection.execute(statement) as result:
        while rows := result.fetchmany(AT_ONCE.get(table.name, ROWS_AT_ONCE)):
            part += rows
            size += sum(len(value) for row in rows for value in row if isinstance(value, bytes))
            if size >= BLOCK_BYTES or len(part) >= MOST_ROWS:
                yield part
                part, size = [], 0
    if part:
        yield part
