"""How every read gets its connection, and what a page is."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, select
from sqlalchemy.exc import SQLAlchemyError

from ersgallery_server.store.allocation import MAX_KEY
from ersgallery_server.store.engines import Engines, failure, is_unavailable
from ersgallery_server.store.errors import PageKeyInvalid, StoreClosed
from ersgallery_server.store.figures import StoreFigures
from ersgallery_server.store.tables import LAST_KEY
from ersgallery_server.values import Page

T = TypeVar("T")


class Reads:
    """Reads from any thread, each on a connection of its own."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._closed = False
        self.figures = StoreFigures()
        """What was counted of reads and writes since the store was opened."""

    @contextmanager
    def _read(self, *, consistent: bool = False) -> Iterator[Connection]:
        """Give a connection; several statements see one state where `consistent` asks for it.

        Raises StoreUnavailable when the database fails and StoreClosed after close.
        """
        if self._closed:
            raise StoreClosed
        engine = self._engines.reading
        if consistent and not self._engines.is_sqlite:
            # SQLite's transactions read one state anyhow.
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        begun_s = time.monotonic()
        with unavailable_if_database_fails(), engine.connect() as connection:
            yield connection
        self.figures.reads.add(time.monotonic() - begun_s)

    def ping(self) -> None:
        """Read one row; raises StoreUnavailable when the database fails and StoreClosed after close."""
        with self._read() as connection:
            connection.execute(select(LAST_KEY.c.row)).first()


@contextmanager
def unavailable_if_database_fails() -> Iterator[None]:
    """Turn a failure of the database itself into StoreUnavailable; a wrong statement stays what it is."""
    try:
        yield
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise failure(error) from error
        raise


def read_page(
    connection: Connection,
    statement: Select[Any],
    page_size: int,
    item: Callable[[Row[Any]], T],
    key: Callable[[T], str],
) -> Page[T]:
    """Return the first page_size rows of an ordered statement; its last item's key is where the next page begins."""
    rows: Sequence[Row[Any]] = connection.execute(statement.limit(page_size + 1)).all()
    items = tuple(item(row) for row in rows[:page_size])
    return Page(items, key(items[-1]) if len(rows) > page_size else None)


def text_page_key(key: str) -> str:
    """Return a page key that is compared as text; raises PageKeyInvalid for one that PostgreSQL could not take."""
    if "\0" in key:
        raise PageKeyInvalid
    return key


def integer_page_key(key: str) -> int:
    """Return the number in a page key; raises PageKeyInvalid for anything else."""
    if not (key.isascii() and key.isdigit() and len(key) <= 19):
        raise PageKeyInvalid
    number = int(key)
    if number > MAX_KEY:
        raise PageKeyInvalid
    return number
