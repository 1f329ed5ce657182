"""One owner: only one server at a time writes to a database, and one that is no longer the owner writes nothing more.

The owner holds the one row of the table `owner`. Its *token* is raised whenever the row changes hands, and every write
transaction looks whether the token is still its own: what a paused or cut-off server wakes up to write is refused.

Whoever finds the row held must know that its holder is dead, by one of three proofs:

- SQLite: a lock of the operating system beside the database's file, which ends with its process. Nothing is renewed.
- PostgreSQL, the same data directory: the holder had the lock of that directory, which the newcomer has now.
- PostgreSQL, elsewhere: the newcomer watched for as long as the lease lasts, and it was not renewed. Nobody compares
  clocks: each measures with its own monotonic one, so that no clock that jumps gives or takes a lease.
"""

import datetime as dt
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Row, bindparam, select, text, update

from ersgallery_server.store.engines import Engines
from ersgallery_server.store.errors import DatabaseOwned, NotOwner
from ersgallery_server.store.reading import unavailable_if_database_fails
from ersgallery_server.store.tables import OWNER

LEASE_S = 15.0
"""A holder that renewed nothing for so long counts as dead: longer than a short cut of the network."""

RENEWALS = 5
"""So often a lease is renewed while it lasts."""

WATCH_S = 0.25

_LOCK_NUMBER = 0x657274
"""Any number that all servers agree on; migrations have another."""

_READ = select(OWNER)
_TOKEN = select(OWNER.c.token)
_RENEW = update(OWNER).where(OWNER.c.token == bindparam("held")).values(renewals=OWNER.c.renewals + 1)
_RELEASE = update(OWNER).where(OWNER.c.token == bindparam("held")).values(is_held=False)
_SHARED = text("SELECT pg_advisory_xact_lock_shared(:number)").bindparams(number=_LOCK_NUMBER)
_ALONE = text("SELECT pg_advisory_xact_lock(:number)").bindparams(number=_LOCK_NUMBER)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants to be the owner.

    lock: which lock this process holds as long as it lives, by boot, device and inode; empty where it holds none. Equal
    locks are one lock of one running system, so the former holder of it is gone. A copied directory has another one.
    lease_s: how long others must see it renew nothing before they take its place.
    """

    host: str
    pid: int
    lock: str
    lease_s: float = LEASE_S

    @classmethod
    def of(cls, held_lock: Path | None = None, lease_s: float = LEASE_S) -> Self:
        """Return this process, with the file whose lock it holds."""
        return cls(socket.gethostname(), os.getpid(), "" if held_lock is None else _identity(held_lock), lease_s)


class Ownership:
    """The right to write, from `acquire` until `release` or until another took it. Safe for concurrent use."""

    def __init__(self, engines: Engines, token: int, lease_s: float, file_lock: FileLock | None) -> None:
        self._engines = engines
        self._token = token
        self._lease_s = lease_s
        self._file_lock = file_lock
        self._lost = False
        self._tell: Callable[[], object] = lambda: None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, name="store-owner", daemon=True)
        if file_lock is None:
            self._thread.start()

    @classmethod
    def acquire(cls, engines: Engines, applicant: Applicant) -> Self:
        """Become the owner, waiting for its lease where the holder may be dead; raises DatabaseOwned where it lives."""
        file_lock = _lock_file(engines) if engines.is_sqlite else None
        try:
            with unavailable_if_database_fails():
                token = _take(engines, applicant, is_proved=file_lock is not None)
        except BaseException:
            if file_lock is not None:
                file_lock.release()
            raise
        return cls(engines, token, applicant.lease_s, file_lock)

    @property
    def is_lost(self) -> bool:
        """Tell whether another is known to have become the owner."""
        return self._lost

    def on_loss(self, tell: Callable[[], object]) -> None:
        """Have it told, once and on some thread, when this is known to be the owner no more."""
        self._tell = tell
        if self._lost:
            tell()

    def check(self, connection: Connection) -> None:
        """Raise NotOwner unless this is the owner; nobody else becomes it until the transaction ends."""
        if not self._lost:
            if not self._engines.is_sqlite:
                # In a statement of its own: the one after it then sees what was committed before the lock was given.
                connection.execute(_SHARED)
            if connection.execute(_TOKEN).scalar_one() == self._token:
                return
            self._lose()
        raise NotOwner

    def release(self) -> None:
        """Let others become the owner at once; a database that does not answer is left to the lease's end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(Exception), self._engines.writing.begin() as connection:
            connection.execute(_RELEASE, {"held": self._token})
        if self._file_lock is not None:
            self._file_lock.release()

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(self._lease_s / RENEWALS) and not self._lost:
            try:
                with self._engines.owning.begin() as connection:
                    renewed = connection.execute(_RENEW, {"held": self._token}).rowcount
            except Exception as error:  # noqa: BLE001 - whatever the database does, it may answer again
                log.warning("the right to write to the database could not be renewed: %s", type(error).__name__)
            else:
                if not renewed:
                    self._lose()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            log.error("another server has become the owner of this database; this one serves no more, stop it")
            self._tell()


def _take(engines: Engines, applicant: Applicant, *, is_proved: bool) -> int:
    """Return the token of the new owner; raises DatabaseOwned."""
    first: Row[Any] | None = None
    begun_s = time.monotonic()
    while True:
        with engines.reading.connect() as connection:
            row = connection.execute(_READ).one()
        is_free = is_proved or not row.is_held or (row.lock != "" and row.lock == applicant.lock)
        if is_free or time.monotonic() - begun_s >= row.lease_s:
            if (token := _take_from(engines, applicant, row)) is not None:
                return token
            raise _owned(engines)
        if first is None:
            first = row
            log.warning("%s; waiting whether it renews its lease", _described(row))
        if (row.token, row.renewals) != (first.token, first.renewals):
            raise _owned(engines)
        time.sleep(WATCH_S)


def _take_from(engines: Engines, applicant: Applicant, seen: Row[Any]) -> int | None:
    """Take the row as it was seen; None where it changed since."""
    statement = (
        update(OWNER)
        .where(OWNER.c.token == seen.token, OWNER.c.renewals == seen.renewals)
        .values(
            token=seen.token + 1,
            is_held=True,
            renewals=0,
            host=applicant.host,
            pid=applicant.pid,
            lock=applicant.lock,
            lease_s=applicant.lease_s,
            since=dt.datetime.now(dt.UTC),
        )
    )
    with engines.writing.begin() as connection:
        if not engines.is_sqlite:
            connection.execute(_ALONE)
        return int(seen.token) + 1 if connection.execute(statement).rowcount else None


def _lock_file(engines: Engines) -> FileLock:
    """Lock the file beside a SQLite database until this process ends; raises DatabaseOwned."""
    database = Path(str(engines.writing.url.database)).resolve()
    lock = FileLock(f"{database}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _owned(engines) from None
    return lock


def _owned(engines: Engines) -> DatabaseOwned:
    with suppress(Exception), engines.reading.connect() as connection:
        row = connection.execute(_READ).one()
        return DatabaseOwned(_described(row), None if engines.is_sqlite else row.lease_s)
    return DatabaseOwned("another process is about to write to this database", None)


def _described(row: Row[Any]) -> str:
    since = f"{row.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"process {row.pid} on {row.host or 'an unknown host'} has owned this database since {since}"


def _identity(path: Path) -> str:
    """Name a file among all files of all running systems; empty where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        found = path.stat()
    except OSError:
        return ""
    return f"{boot}:{found.st_dev}:{found.st_ino}"
