"""Connections: one engine to read and one to write, on SQLite and PostgreSQL."""

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import DatabaseError as AnyDatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.store.errors import DatabaseDamaged, DiskFull, StoreUnavailable, UrlUnsupported

SQLITE_PAGE_BYTES = 16384
"""Seven rows of 512 dimensions to a page instead of one: three times faster and half the size of SQLite's 4096."""

SQLITE_CACHE_KIB = 32 * 1024
"""Pages that a connection keeps: those of the indexes of some millions of faces that a batch of them touches."""

SQLITE_LOG_PAGES = 4096
"""The log is moved into the database when it has 64 MiB, four times as seldom as usual, for that waits for the disk."""

IDLE_TRANSACTION_S = 30
"""PostgreSQL ends a transaction in which the writer does nothing for so long; a chunk of scores takes far less."""

_WAL_RETRY_S = 0.02
_POSTGRES_DISK_FULL = "53100"
_SQLITE_DISK_FULL = frozenset((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE))
"""The second is what opening a database says when there is no room for the index of its log."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one database. Transactions of `writing` take SQLite's write lock as they begin.

    owning: one connection apart, so that no load keeps a lease from being renewed.
    """

    reading: Engine
    writing: Engine
    owning: Engine

    @property
    def is_sqlite(self) -> bool:
        """Tell whether it is a SQLite file."""
        return self.writing.dialect.name == "sqlite"

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self.reading.dispose()
        self.writing.dispose()
        self.owning.dispose()


def make_engines(url: str, *, read_connections: int, lock_timeout_s: float, keys: KeyRing = NO_KEYS) -> Engines:
    """Return the engines of a URL; makes the folder and file of a SQLite database.

    keys: what embeddings and photographs are sealed under; every connection knows them. Raises UrlUnsupported for
    anything but a SQLite file and PostgreSQL.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _make_private_file(Path(str(parsed.database)))
        connect_args: dict[str, Any] = {"timeout": lock_timeout_s, "check_same_thread": False}
    else:
        connect_args = {"application_name": "ersgallery", "connect_timeout": max(1, round(lock_timeout_s))}

    def engine(connections: int, begin: str) -> Engine:
        made = create_engine(
            parsed,
            hide_parameters=True,
            execution_options={"keys": keys},
            connect_args=connect_args,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=lock_timeout_s,
            pool_pre_ping=parsed.get_backend_name() != "sqlite",
        )
        if made.dialect.name == "sqlite":
            _take_over_sqlite(made, begin)
        else:
            event.listen(made, "connect", _limit_waiting(lock_timeout_s))
        return made

    engines = Engines(engine(read_connections, "BEGIN"), engine(1, "BEGIN IMMEDIATE"), engine(1, "BEGIN IMMEDIATE"))
    if not engines.is_sqlite:
        event.listen(engines.writing, "connect", _end_idle_transactions)
    return engines


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Tell whether the database itself failed, so that the transaction is lost; else the statement was wrong."""
    if isinstance(error, OperationalError | InterfaceError | InternalError | PoolTimeoutError):
        return True
    # A bare DatabaseError is SQLite's word for a damaged file; the specific ones are its subclasses.
    return type(error) is AnyDatabaseError or (isinstance(error, DBAPIError) and error.connection_invalidated)


def failure(error: BaseException) -> StoreUnavailable:
    """Return what a failure of the database itself is called."""
    found = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(found, "sqlite_errorcode", 0)
    if code in _SQLITE_DISK_FULL or getattr(found, "sqlstate", None) == _POSTGRES_DISK_FULL:
        return DiskFull()
    return DatabaseDamaged() if code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else StoreUnavailable()


def truncate_wal(engine: Engine) -> bool:
    """Move SQLite's write-ahead log into the database and empty it; False where a reader still needs it.

    secure_delete overwrites what was deleted in the database, but the log keeps older pages until it is emptied.
    """
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        wait_ms = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute("PRAGMA busy_timeout = 0")
        try:
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {wait_ms:d}")
        return bool(busy == 0)
    finally:
        raw.close()


def write_anew(engines: Engines) -> None:
    """Have the database write all of its files anew; outside of any transaction, as both ask for."""
    if not engines.is_sqlite:
        with engines.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM FULL")
        return
    raw = engines.writing.raw_connection()
    try:
        raw.cursor().execute("VACUUM")
    finally:
        raw.close()
    truncate_wal(engines.writing)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UrlUnsupported from error
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    is_file = parsed.drivername in {"sqlite", "sqlite+pysqlite"} and parsed.database not in {None, "", ":memory:"}
    if not is_file or parsed.query:
        raise UrlUnsupported
    return parsed


def _make_private_file(path: Path) -> None:
    """Make the database's file readable by its owner alone; the log and its index take the same mode."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _take_over_sqlite(engine: Engine, begin: str) -> None:
    """Set SQLite up, and emit BEGIN ourselves: the driver would start no transaction before DDL and savepoints.

    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-enabling-transactions
    """
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _emit(begin))


def _set_pragmas(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # The page size holds only for an empty file, and WAL writes the first page.
    cursor.execute(f"PRAGMA page_size = {SQLITE_PAGE_BYTES}")
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_LOG_PAGES}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
    cursor.close()


def _enter_wal(cursor: Any) -> None:
    """Write ahead from now on; two processes that begin it together do not wait for each other by themselves."""
    wait_ms = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    give_up_s = time.monotonic() + wait_ms / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_s:
                raise
            time.sleep(_WAL_RETRY_S)
        else:
            return


def _emit(begin: str) -> Callable[[Connection], None]:
    def emit(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return emit


def _limit_waiting(lock_timeout_s: float) -> Callable[[Any, object], None]:
    def limit(dbapi_connection: Any, _record: object) -> None:
        # Outside a transaction, for a rollback would undo it.
        dbapi_connection.autocommit = True
        dbapi_connection.execute(f"SET lock_timeout = {round(lock_timeout_s * 1000):d}")
        dbapi_connection.autocommit = False

    return limit


def _end_idle_transactions(dbapi_connection: Any, _record: object) -> None:
    """Let no writer that is paused within a transaction keep its locks from the next owner for long."""
    dbapi_connection.autocommit = True
    dbapi_connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_S * 1000:d}")
    dbapi_connection.autocommit = False
