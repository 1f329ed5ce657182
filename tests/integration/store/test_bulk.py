"""Large batches take other ways into the database than small ones, and come to the same."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery_server.store import Store, StoreUnavailable, WriteTransaction
from ersgallery_server.store.bulk import COPY_ROWS, SQLITE_ROWS, insert_columns
from ersgallery_server.store.tables import FACES
from ersgallery_server.values import FaceBox, GalleryRecord, NewFace
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from tests.support.stores import (
    DIMENSION,
    create_gallery,
    empty_tables,
    enroll,
    enroll_within,
    new_faces,
    stored_ids,
    unit_rows,
    write,
)

SIZES = sorted({1, COPY_ROWS - 1, COPY_ROWS, SQLITE_ROWS[-1], SQLITE_ROWS[0] + SQLITE_ROWS[-1] + 1, 2 * SQLITE_ROWS[0]})


def varied(count: int) -> list[NewFace]:
    """Return faces that differ in every column, in pairs of the same subject."""
    scores = np.random.default_rng(3).random((count, 3)).tolist()
    return [
        NewFace(
            subject_id=f'Zoë "{i // 2}"\\N 人',
            embedding=row,
            embedding_norm=norm * 30,
            ers=ers,
            raw_ers=raw_ers * 2 - 1,
            media_id="" if i % 3 else f"video\t{i}",
            metadata={"note": f'a "quoted"\nline {i}'} if i % 5 == 0 else {},
            subject_display_name="" if i % 4 else f"Name {i}",
            box=FaceBox(i, 0.1, 3.5, 4.5, 0.9, 2) if i % 7 == 0 else None,
            image=b"\0jpeg%d" % i if i % 6 == 0 else None,
        )
        for i, (row, (norm, ers, raw_ers)) in enumerate(zip(unit_rows(count, 9), scores, strict=True))
    ]


@pytest.mark.parametrize("count", SIZES)
def test_every_column_of_every_face_comes_back_as_it_was_given(
    store: Store, gallery: GalleryRecord, count: int
) -> None:
    faces = varied(count)
    write(store, lambda t: enroll_within(t, gallery, faces))
    page = store.list_faces(gallery.key, None, count + 1)
    assert len(page.items) == count
    for face, found in zip(faces, page.items, strict=True):
        assert (found.subject_id, found.ers, found.raw_ers) == (face.subject_id, face.ers, face.raw_ers)
        assert (found.embedding_norm, found.media_id, found.box) == (face.embedding_norm, face.media_id, face.box)
        assert (dict(found.metadata), found.has_image) == (dict(face.metadata), face.image is not None)
        if face.image is not None:
            assert store.face_image(gallery.key, face.subject_id, found.face_id) == face.image
    stored = np.concatenate([chunk.embeddings for chunk in store.load_faces(gallery.key)])
    assert np.array_equal(stored, np.stack([face.embedding for face in faces]))
    first = store.subject(gallery.key, faces[0].subject_id, 0.0)
    assert (first.display_name, first.face_count) == ("Name 0", min(count, 2))


def test_a_sqlite_that_takes_few_parameters_takes_few_rows_at_once(tmp_path: Path) -> None:
    def limit(dbapi_connection: Any, *_: object) -> None:
        dbapi_connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    with Store.open(f"sqlite:///{tmp_path}/gallery.db") as store:
        gallery = create_gallery(store)
        event.listen(store._engines.writing, "connect", limit)
        store._engines.writing.dispose()
        write(store, lambda t: enroll_within(t, gallery, varied(2 * SQLITE_ROWS[0] + 1)))
        assert len(stored_ids(store, gallery)) == 2 * SQLITE_ROWS[0] + 1


@pytest.fixture
def postgres(migrated_postgres: str) -> Iterator[Store]:
    """Give a store on PostgreSQL alone."""
    empty_tables(migrated_postgres)
    with Store.open(migrated_postgres) as store:
        yield store


def faces_like(transaction: WriteTransaction, embeddings: Sequence[bytes], first_id: int) -> None:
    """Copy the first face again and again, under new ids and with other embeddings."""
    row: dict[str, Any] = dict(transaction.connection.execute(select(FACES).limit(1)).one()._mapping)
    shared = {name: value for name, value in row.items() if name not in {"face_id", "embedding"}}
    columns = {"face_id": range(first_id, first_id + len(embeddings)), "embedding": embeddings}
    insert_columns(transaction.connection, FACES, shared=shared, columns=columns)


def terminate(store: Store, pid: int) -> None:
    with store._engines.reading.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


class Interrupted(list[bytes]):
    """A column of which something happens in the middle."""

    def __init__(self, rows: Sequence[bytes], happen: Callable[[], None]) -> None:
        super().__init__(rows)
        self._happen = happen

    def __iter__(self) -> Iterator[bytes]:
        for i, row in enumerate(super().__iter__()):
            if i == len(self) // 2:
                self._happen()
            yield row


ROWS = [b"\0" * 4 * DIMENSION] * (4 * COPY_ROWS)


@pytest.mark.parametrize("within", [True, False], ids=["within", "before"])
def test_a_server_that_drops_the_writer_at_a_copy_is_survived(postgres: Store, *, within: bool) -> None:
    gallery = create_gallery(postgres)
    kept = enroll(postgres, gallery, "a").face_ids.tolist()

    def drop(t: WriteTransaction) -> None:
        pid = t.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        begun: list[dict[str, Any]] = []

        def happen() -> None:
            terminate(postgres, pid)
            begun.append({})

        if not within:
            happen()
        faces_like(t, Interrupted(ROWS, happen) if within else ROWS, 10**6)

    with pytest.raises(StoreUnavailable, match="nothing was half-written"):
        write(postgres, drop)
    assert stored_ids(postgres, gallery) == kept
    assert enroll(postgres, gallery, *(f"s{i}" for i in range(COPY_ROWS))).revision == 2


def test_a_disk_that_is_full_at_a_copy_fails_the_group_and_is_survived(postgres: Store) -> None:
    gallery = create_gallery(postgres)
    kept = enroll(postgres, gallery, "a").face_ids.tolist()

    def fill(t: WriteTransaction) -> None:
        # As the server says it when it cannot extend a file; both are gone with the transaction.
        t.connection.execute(
            text(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
            )
        )
        t.connection.execute(
            text("CREATE TRIGGER no_room BEFORE INSERT ON faces FOR EACH ROW EXECUTE FUNCTION no_room()")
        )
        enroll_within(t, gallery, new_faces([f"s{i}" for i in range(COPY_ROWS)]))

    with pytest.raises(StoreUnavailable):
        write(postgres, fill)
    assert stored_ids(postgres, gallery) == kept
    assert enroll(postgres, gallery, *(f"s{i}" for i in range(COPY_ROWS))).revision == 2


def test_rows_that_a_copy_cannot_take_are_refused_alone_and_not_shown(postgres: Store) -> None:
    gallery = create_gallery(postgres)
    (first,) = enroll(postgres, gallery, "a").face_ids.tolist()
    secret = [b"secret%d" % i for i in range(COPY_ROWS)]
    with pytest.raises(IntegrityError) as caught:
        write(postgres, lambda t: faces_like(t, secret, first))
    assert "secret" not in str(caught.value)
    assert secret[0].hex() not in str(caught.value)
    assert stored_ids(postgres, gallery) == [first]
    assert enroll(postgres, gallery, "b").revision == 2
