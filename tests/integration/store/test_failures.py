"""The database fails: nothing is half-written, everybody is told, and the writer goes on."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ersgallery_server.store import Store, StoreError, StoreUnavailable, UrlUnsupported, WriteTransaction
from ersgallery_server.store.tables import FACES
from ersgallery_server.values import GalleryRecord
from sqlalchemy import Connection, event, insert, select, text

from tests.support.stores import create_gallery, enroll, enroll_within, enrolled_within, new_faces, stored_ids, write


@pytest.fixture
def postgres(migrated_postgres: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Give a store on PostgreSQL alone."""
    from tests.support.stores import empty_tables

    empty_tables(migrated_postgres)
    with Store.open(migrated_postgres) as store:
        yield store


@pytest.fixture
def sqlite(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Store]:
    """Give a store on SQLite alone."""
    path = tmp_path / "gallery.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    with Store.open(f"sqlite:///{path}") as store:
        yield store


@contextmanager
def held_up(store: Store) -> Iterator[None]:
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: WriteTransaction) -> None:
        begun.set()
        go_on.wait(60)

    store.submit(wait)
    begun.wait(60)
    yield
    go_on.set()


def fail_at_commit(transaction: WriteTransaction) -> None:
    """Break a foreign key in a way that the database looks at only at COMMIT."""
    if transaction.connection.dialect.name == "sqlite":
        transaction.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    else:
        transaction.connection.exec_driver_sql(
            "ALTER TABLE faces ALTER CONSTRAINT fk_faces_subject_key DEFERRABLE INITIALLY DEFERRED"
        )
    row = dict(transaction.connection.execute(select(FACES).limit(1)).one()._mapping)
    transaction.connection.execute(insert(FACES).values({**row, "face_id": 10**6, "subject_key": 10**6}))


def test_a_failed_commit_fails_the_whole_group_and_stores_nothing_of_it(store: Store, gallery: GalleryRecord) -> None:
    kept = enroll(store, gallery, "a").face_ids.tolist()
    followed: list[Any] = []
    with held_up(store):
        before = store.submit(lambda t: enroll_within(t, gallery, new_faces(["b"])), followed.append)
        breaking = store.submit(fail_at_commit, followed.append)
        exists = store.submit(lambda t: t.create_gallery("people", gallery.settings, gallery.profile.key))
    for future in (before, breaking, exists):
        with pytest.raises(StoreUnavailable, match="nothing was half-written"):
            future.result(60)
    assert followed == []
    assert stored_ids(store, gallery) == kept
    assert store.gallery("people").revision == 1
    assert enroll(store, gallery, "b").revision == 2, "the writer goes on"


def test_a_full_disk_loses_nothing_and_is_survived(sqlite: Store) -> None:
    gallery = create_gallery(sqlite)

    def limit(dbapi_connection: Any, *_: object) -> None:
        dbapi_connection.execute("PRAGMA max_page_count = 40")

    event.listen(sqlite._engines.writing, "connect", limit)
    sqlite._engines.writing.dispose()
    acknowledged: list[int] = []
    followed: list[int] = []
    faces = new_faces(["a"], image=b"x" * 30_000)

    def enroll_until_full() -> None:
        while True:
            future = sqlite.submit(
                lambda t: enrolled_within(t, gallery, faces),
                lambda enrolled: followed.append(enrolled.face_ids.item()),
            )
            acknowledged.append(future.result(60).face_ids.item())

    with pytest.raises(StoreUnavailable):
        enroll_until_full()
    assert len(acknowledged) > 3
    assert followed == acknowledged == stored_ids(sqlite, gallery)
    with pytest.raises(StoreUnavailable):
        write(sqlite, lambda t: enroll_within(t, gallery, new_faces(["a"], image=b"x" * 90_000)))
    event.remove(sqlite._engines.writing, "connect", limit)
    sqlite._engines.writing.dispose()
    more = enroll(sqlite, gallery, "a")
    assert more.face_ids.item() > acknowledged[-1]
    assert more.revision == len(acknowledged) + 1
    assert stored_ids(sqlite, gallery) == [*acknowledged, more.face_ids.item()]


def test_a_connection_that_closes_under_the_writer_is_survived(sqlite: Store) -> None:
    gallery = create_gallery(sqlite)

    def close_within(t: WriteTransaction) -> None:
        enroll_within(t, gallery, new_faces(["a"]))
        driver: Any = t.connection.connection.dbapi_connection
        driver.close()
        enroll_within(t, gallery, new_faces(["a"]))

    with pytest.raises(StoreUnavailable):
        write(sqlite, close_within)
    assert stored_ids(sqlite, gallery) == []
    assert enroll(sqlite, gallery, "a").revision == 1


def terminate(store: Store, pid: int) -> None:
    with store._engines.reading.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


def own_pid(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_server_that_drops_the_writer_is_survived(postgres: Store) -> None:
    gallery = create_gallery(postgres)

    def drop_within(t: WriteTransaction) -> None:
        enroll_within(t, gallery, new_faces(["a"]))
        terminate(postgres, own_pid(t.connection))
        enroll_within(t, gallery, new_faces(["a"]))

    with pytest.raises(StoreUnavailable):
        write(postgres, drop_within)
    assert stored_ids(postgres, gallery) == []
    assert enroll(postgres, gallery, "a").revision == 1


def test_a_server_that_drops_everybody_is_survived(postgres: Store, migrated_postgres: str) -> None:
    gallery = create_gallery(postgres)
    with psycopg.connect(migrated_postgres) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert postgres.gallery("people") == gallery or postgres.gallery("people").key == gallery.key
    assert enroll(postgres, gallery, "a").revision == 1


@contextmanager
def answers_lost_at_commit(store: Store) -> Iterator[None]:
    """Let the next COMMIT be done, but cut the connection before the answer arrives."""
    cut = threading.Event()

    def commit_and_cut(connection: Connection) -> None:
        if cut.is_set():
            return
        cut.set()
        driver: Any = connection.connection.dbapi_connection
        driver.commit()
        driver.close()

    event.listen(store._engines.writing, "commit", commit_and_cut)
    yield
    assert cut.is_set()


def test_a_commit_whose_answer_was_lost_is_found_out(postgres: Store) -> None:
    gallery = create_gallery(postgres)
    followed: list[int] = []
    with answers_lost_at_commit(postgres):
        future = postgres.submit(
            lambda t: enrolled_within(t, gallery, new_faces(["a"])), lambda enrolled: followed.append(enrolled.revision)
        )
        assert future.result(60).face_ids.tolist() == stored_ids(postgres, gallery)
    assert followed == [1]
    assert enroll(postgres, gallery, "a").revision == 2


def test_a_commit_that_cannot_be_found_out_at_once_is_followed_later_and_in_order(postgres: Store) -> None:
    gallery = create_gallery(postgres)
    followed: list[int] = []

    def follow(enrolled: Any) -> None:
        followed.append(enrolled.revision)

    def refuse(*_: object) -> None:
        raise psycopg.OperationalError("the network is down")

    with answers_lost_at_commit(postgres):
        event.listen(postgres._engines.writing, "do_connect", refuse)
        lost = postgres.submit(lambda t: enroll_within(t, gallery, new_faces(["a"])), follow)
        with pytest.raises(StoreUnavailable):
            lost.result(60)
    with pytest.raises(StoreUnavailable):
        enroll(postgres, gallery, "never")
    assert followed == []
    event.remove(postgres._engines.writing, "do_connect", refuse)
    write(postgres, lambda _: None)
    assert followed == [1], "what follows the lost commit happens before anything newer"
    postgres.submit(lambda t: enroll_within(t, gallery, new_faces(["b"])), follow).result(60)
    assert followed == [1, 2]
    assert set(postgres.subject_ids(gallery.key).values()) == {"a", "b"}


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Store.open(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")


def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear database, " * 2000)
    with pytest.raises(StoreError):
        Store.open(f"sqlite:///{path}")
    assert path.read_text() == "Dear database, " * 2000


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "nonsense", "", "sqlite+x:///f", "sqlite:///f?uri=1"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(UrlUnsupported):
        Store.open(url)


def test_errors_and_logs_show_no_embedding_and_no_photograph(
    store: Store, gallery: GalleryRecord, caplog: pytest.LogCaptureFixture
) -> None:
    (face,) = new_faces(["a"], image=b"secret photograph", metadata={"k": "secret metadata"})
    write(store, lambda t: enroll_within(t, gallery, [face]))

    def collide(t: WriteTransaction) -> None:
        row = dict(t.connection.execute(select(FACES)).one()._mapping)
        t.connection.execute(insert(FACES).values({**row, "user_metadata": face.metadata}))

    with pytest.raises(Exception, match="hidden") as caught, caplog.at_level(logging.DEBUG):
        write(store, collide)
    told = str(caught.value) + caplog.text
    assert "secret" not in told
    assert repr(face.embedding.tobytes())[2:30] not in told
    assert "photograph" not in repr(face)
