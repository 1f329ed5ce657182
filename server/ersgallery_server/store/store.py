"""The store: the truth about galleries, subjects, faces and profiles, on SQLite or PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection

from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.store.catching_up import CatchingUp
from ersgallery_server.store.changes import ChangeReads
from ersgallery_server.store.engines import Engines, make_engines, write_anew
from ersgallery_server.store.errors import SchemaOutdated
from ersgallery_server.store.faces import FaceReads
from ersgallery_server.store.galleries import GalleryReads
from ersgallery_server.store.gate_preview import GatePreviewReads
from ersgallery_server.store.loading import FaceLoading
from ersgallery_server.store.low_ers import LowErsReads
from ersgallery_server.store.outcomes import Erased
from ersgallery_server.store.ownership import Applicant, Ownership
from ersgallery_server.store.profiles import ProfileReads
from ersgallery_server.store.reading import unavailable_if_database_fails
from ersgallery_server.store.requests import RequestReads
from ersgallery_server.store.rotation import RotationReads
from ersgallery_server.store.schema import has_owner, migrate, newest_migration, present_migration
from ersgallery_server.store.sealing import adopt_key, require_keys
from ersgallery_server.store.subjects import SubjectReads
from ersgallery_server.store.tokens import TokenReads
from ersgallery_server.store.transaction import WriteTransaction
from ersgallery_server.store.writer import Writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """How much may wait or run at once.

    max_waiting: works in the queue of the writer. max_group: works in one database transaction. read_connections: reads
    at a time. lock_timeout_s: how long a connection, or a lock that another process holds, is waited for.
    """

    max_waiting: int = 1024
    max_group: int = 128
    read_connections: int = 16
    lock_timeout_s: float = 10.0


class Store(
    ProfileReads,
    GalleryReads,
    SubjectReads,
    FaceReads,
    RequestReads,
    ChangeReads,
    CatchingUp,
    FaceLoading,
    GatePreviewReads,
    LowErsReads,
    TokenReads,
    RotationReads,
):
    """Reads from any thread; writes one after another on the writer's thread, in groups that share a commit."""

    def __init__(self, engines: Engines, limits: StoreLimits, ownership: Ownership | None = None) -> None:
        super().__init__(engines)
        self.ownership = ownership
        check = _allow_all if ownership is None else ownership.check
        self._writer = Writer(engines, self.figures, check, max_waiting=limits.max_waiting, max_group=limits.max_group)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        limits: StoreLimits | None = None,
        migrations: bool = True,
        applicant: Applicant | None = None,
        keys: KeyRing | None = NO_KEYS,
    ) -> Self:
        """Open a database, making it and bringing it to the newest migration where needed.

        url: sqlite:///FILE or postgresql+psycopg://... applicant: becomes the owner, as every server does; without one,
        others may write too. keys: see `sealing`; None where no face is read or written, so that none are
        needed. Raises UrlUnsupported, StoreUnavailable, DatabaseOwned, DatabaseDamaged, SchemaUnknown for a database of
        a newer version, SchemaOutdated where migrations are needed but not wanted, KeyMissing and KeyWrong.
        """
        limits = limits or StoreLimits()
        engines = make_engines(
            url, read_connections=limits.read_connections, lock_timeout_s=limits.lock_timeout_s, keys=keys or NO_KEYS
        )
        try:
            ownership = _prepare(engines, applicant, migrations=migrations, with_keys=keys is not None)
        except BaseException:
            engines.dispose()
            raise
        return cls(engines, limits, ownership)

    @property
    def waiting(self) -> int:
        """Return how many works wait for the writer."""
        return self._writer.waiting

    def submit(self, work: Callable[[WriteTransaction], T], then: Callable[[T], None] | None = None) -> Future[T]:
        """Queue a piece of work; its future resolves once it is durable, or with what it raised.

        `then` runs on the writer's thread after the commit and before the future resolves, in the order of commits: it
        must be quick. A work that raises is rolled back alone; where the database fails, all works of the group are,
        and raise StoreUnavailable. Cancelling a future drops a work that has not begun. Raises StoreOverloaded where
        too many wait and StoreClosed after close.
        """
        return self._writer.submit(work, then)

    def erased(self, wait_s: float) -> Erased:
        """Tell whether what was deleted before is gone from the database's files; see Erased.

        SQLite's log is emptied now rather than a little later where it still has something of it.
        """
        if not self._engines.is_sqlite:
            return Erased.LEFT_TO_VACUUM
        try:
            return Erased.YES if self._writer.erasure().result(wait_s) else Erased.PENDING
        except TimeoutError:
            return Erased.PENDING

    def compact(self) -> None:
        """Have the database write its files anew, so that they have nothing of what was there before.

        It takes as much room on the disk again, and nobody else may use the database. Raises StoreUnavailable.
        """
        with unavailable_if_database_fails():
            write_anew(self._engines)

    def close(self) -> None:
        """Finish all writes that were submitted, then close the database."""
        self._writer.close()
        self._closed = True
        if self.ownership is not None:
            self.ownership.release()
        self._engines.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def migrate_database(url: str) -> tuple[str | None, str | None]:
    """Bring a database to the newest migration and return where it was (None: empty) and where it is.

    Raises UrlUnsupported, StoreUnavailable, DatabaseOwned where a server works on it, and SchemaUnknown for a
    database of a newer version.
    """
    engines = make_engines(url, read_connections=1, lock_timeout_s=StoreLimits().lock_timeout_s)
    try:
        with unavailable_if_database_fails(), ExitStack() as owned:
            # No table changes under a server that works on it.
            if has_owner(engines.reading) and not _is_newest(engines):
                owned.callback(Ownership.acquire(engines, Applicant.of()).release)
            return migrate(engines.writing)
    finally:
        engines.dispose()


def _prepare(engines: Engines, applicant: Applicant | None, *, migrations: bool, with_keys: bool) -> Ownership | None:
    """Migrate, as the owner where there can be one already."""
    with unavailable_if_database_fails(), ExitStack() as owned:
        ownership = None
        if not migrations and not _is_newest(engines):
            raise SchemaOutdated
        if applicant is not None and has_owner(engines.reading):
            ownership = Ownership.acquire(engines, applicant)
            owned.callback(ownership.release)
        if migrations:
            migrate(engines.writing)
        if applicant is not None and ownership is None:
            ownership = Ownership.acquire(engines, applicant)
            owned.callback(ownership.release)
        if with_keys:
            _prepare_keys(engines)
        owned.pop_all()
        return ownership


def _prepare_keys(engines: Engines) -> None:
    with engines.writing.begin() as connection:
        require_keys(connection)
        adopt_key(connection)


def _is_newest(engines: Engines) -> bool:
    with engines.reading.connect() as connection:
        return present_migration(connection) == newest_migration()


def _allow_all(_connection: Connection) -> None:
    """Let everybody write."""
