"""Restores a backup in one transaction: a database has its former state or the backup's, whatever happens meanwhile."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select, text, update

from ersgallery_server.backups.backing_up import LEFT_OUT
from ersgallery_server.backups.columns import KINDS, unpack
from ersgallery_server.backups.file import BackupRefused, Block, Header, KeptTable, Reader, verify
from ersgallery_server.store.bulk import insert_columns
from ersgallery_server.store.engines import Engines, make_engines, truncate_wal
from ersgallery_server.store.errors import SchemaUnknown
from ersgallery_server.store.ownership import Applicant, Ownership
from ersgallery_server.store.reading import unavailable_if_database_fails
from ersgallery_server.store.schema import has_owner, is_known, lock_schema, upgrade
from ersgallery_server.store.tables import LAST_KEY, OWNER, Base

LOCK_TIMEOUT_S = 10.0

LEASE_S = 5.0
"""A restore that was killed keeps others from a PostgreSQL database for so long."""

SKIPPED_KEYS = 1 << 32
"""Keys that are passed over: those given out after the backup shall never mean another face or person."""

_VERSION_TABLE = "alembic_version"


def restore(
    url: str, path: Path, *, replace: bool = False, progress: Callable[[int], None] = lambda _bytes: None
) -> Header:
    """Put a backup into an empty database, or in place of all that one holds, and bring it to the newest migration.

    The whole file is read and checked before anything is written, and again while it is. progress: is told how many
    more bytes were read, and all are twice. Raises BackupRefused for a damaged file, one of a newer version, and a
    database that is not empty where that is not to be replaced; DatabaseOwned where a server works on it;
    StoreUnavailable, UrlUnsupported and OSError. Then the database is as it was.
    """
    header = verify(path, progress)
    if not is_known(header.migration):
        raise BackupRefused(
            f"the backup is of migration {header.migration!r}, made by a newer version; upgrade this one"
        )
    engines = make_engines(url, read_connections=1, lock_timeout_s=LOCK_TIMEOUT_S)
    try:
        with unavailable_if_database_fails(), ExitStack() as owned:
            ownership = None
            if has_owner(engines.reading):
                ownership = Ownership.acquire(engines, Applicant.of(lease_s=LEASE_S))
                owned.callback(ownership.release)
            with engines.writing.begin() as connection:
                if ownership is not None:
                    ownership.check(connection)
                _restore_within(connection, path, replace=replace, progress=progress)
            _empty_log(engines)
        return header
    finally:
        engines.dispose()


def _restore_within(connection: Connection, path: Path, *, replace: bool, progress: Callable[[int], None]) -> None:
    lock_schema(connection)
    owner = _clear(connection, replace=replace)
    with path.open("rb") as file:
        reader = Reader(file)
        upgrade(connection, reader.header.migration)
        tables = [_table(connection, kept) for kept in reader.header.tables]
        for table in reversed(tables):  # migrations put rows of their own
            connection.execute(table.delete())
        for block in reader.blocks():
            _insert(connection, tables[block.table], reader.header.tables[block.table], block)
            progress(len(block.data))
    upgrade(connection, "head")
    connection.execute(update(LAST_KEY).values(key=LAST_KEY.c.key + SKIPPED_KEYS))
    _go_on_counting(connection)
    if owner is not None:
        connection.execute(update(OWNER).values(**owner))


def _clear(connection: Connection, *, replace: bool) -> Mapping[str, Any] | None:
    """Take all tables away, and return the row of the owner, which outlives them; raises BackupRefused."""
    present = inspect(connection).get_table_names()
    ours = [name for name in present if name in Base.metadata.tables or name == _VERSION_TABLE]
    found = MetaData()
    found.reflect(connection, only=ours)
    for name in ours:
        _require_replaceable(connection, found.tables[name], replace=replace)
    owner = None
    if OWNER.name in ours:
        owner = dict(connection.execute(select(OWNER)).one()._mapping)  # noqa: SLF001 - a public name of SQLAlchemy's
    found.drop_all(connection)
    return owner


def _require_replaceable(connection: Connection, table: Table, *, replace: bool) -> None:
    if table.name == _VERSION_TABLE:
        revision = connection.execute(select(table)).scalar_one_or_none()
        if revision is not None and not is_known(revision):
            raise SchemaUnknown(revision)
        return
    if replace or table.name in LEFT_OUT or table.name == LAST_KEY.name:
        return
    if connection.execute(select(func.count()).select_from(table)).scalar_one():
        raise BackupRefused(
            f"the database is not empty: it has {table.name}; --replace takes the place of all it holds"
        )


def _table(connection: Connection, kept: KeptTable) -> Table:
    """Return a table as the database has it; SQLite has no types to tell, and those of the backup hold."""
    if connection.dialect.name == "postgresql":
        return Table(kept.name, MetaData(), autoload_with=connection)
    return Table(kept.name, MetaData(), *(Column(name, KINDS[kind].sql) for name, kind in kept.columns))


def _insert(connection: Connection, table: Table, kept: KeptTable, block: Block) -> None:
    columns: dict[str, list[Any]] = {}
    data = block.data
    try:
        for name, kind in kept.columns:
            columns[name], data = unpack(kind, data, block.rows)
    except (ValueError, KeyError) as error:
        raise BackupRefused("the backup is damaged") from error
    insert_columns(connection, table, shared={}, columns=columns)


def _go_on_counting(connection: Connection) -> None:
    """Let the counters of PostgreSQL's own go on after the rows that were put in."""
    if connection.dialect.name != "postgresql":
        return
    for table in Base.metadata.sorted_tables:
        for column in table.primary_key:
            name = connection.execute(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            ).scalar_one()
            if name is not None:
                connection.execute(select(func.setval(name, select(func.max(column)).scalar_subquery())))


def _empty_log(engines: Engines) -> None:
    if engines.is_sqlite:
        truncate_wal(engines.writing)
