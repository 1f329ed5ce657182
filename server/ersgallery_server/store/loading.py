"""All faces of a gallery as arrays, in the order of their ids: what an index is built from."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from ersgallery_server.store.arrays import unpack_float32_rows
from ersgallery_server.store.galleries import gallery_by_key
from ersgallery_server.store.members import stream_subjects
from ersgallery_server.store.outcomes import GallerySnapshot
from ersgallery_server.store.reading import Reads, unavailable_if_database_fails
from ersgallery_server.store.sealing import EMBEDDING, open_faces
from ersgallery_server.store.tables import FACES
from ersgallery_server.values import StoredFaces

DEFAULT_CHUNK_ROWS = 8192
FETCHED_ROWS = 512
"""Rows taken from the database at a time: they are still in the processor's cache when they become arrays."""

_NO_IDS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float64)


class FaceLoading(Reads):
    """Streams the faces of galleries."""

    @contextmanager
    def snapshot(
        self, gallery_key: int, chunk_rows: int = DEFAULT_CHUNK_ROWS, *, after_face_id: int = 0
    ) -> Iterator[GallerySnapshot]:
        """Open a gallery with its faces as both are at one revision; raises GalleryNotFound.

        after_face_id: leave out the faces up to this one, which an older snapshot has. On SQLite the log of the
        database grows while a snapshot is open.
        """
        with self._read(consistent=True) as connection:
            gallery = gallery_by_key(connection, gallery_key)
            dimension = gallery.profile.profile.dimension
            chunks = stream_faces(connection, gallery_key, dimension, chunk_rows, after_face_id)
            yield GallerySnapshot(gallery, chunks, stream_subjects(connection, gallery_key, dimension))

    def load_faces(
        self, gallery_key: int, chunk_rows: int = DEFAULT_CHUNK_ROWS, *, after_face_id: int = 0
    ) -> Iterator[StoredFaces]:
        """Yield the faces of a gallery in chunks of at most chunk_rows, as they are at one revision.

        Raises GalleryNotFound at the first chunk.
        """
        with self.snapshot(gallery_key, chunk_rows, after_face_id=after_face_id) as snapshot:
            yield from snapshot.chunks


def stream_faces(
    connection: Connection, gallery_key: int, dimension: int, chunk_rows: int, after_face_id: int = 0
) -> Iterator[StoredFaces]:
    """Yield faces in chunks; the transaction must stay open."""
    statement = (
        select(FACES.c.face_id, FACES.c.subject_key, FACES.c.ers, FACES.c.embedding)
        .where(FACES.c.gallery_key == gallery_key, FACES.c.face_id > after_face_id)
        .order_by(FACES.c.face_id)
        .execution_options(stream_results=True, max_row_buffer=chunk_rows)
    )
    with unavailable_if_database_fails(), connection.execute(statement) as rows:
        fetch = partial(_fetch, connection, gallery_key, rows.fetchmany, dimension, chunk_rows)
        while len((chunk := fetch()).face_ids):
            yield chunk


def _fetch(
    connection: Connection, gallery_key: int, fetch: Callable[[int], Sequence[Any]], dimension: int, most: int
) -> StoredFaces:
    """Return the next faces, at most so many; none at the end."""
    parts: list[StoredFaces] = []
    while most and (some := fetch(min(most, FETCHED_ROWS))):
        parts.append(_faces_of(connection, gallery_key, some, dimension))
        most -= len(some)
    return StoredFaces(
        np.concatenate([_NO_IDS, *(part.face_ids for part in parts)]),
        np.concatenate([_NO_IDS, *(part.subject_keys for part in parts)]),
        np.concatenate([_NO_SCORES, *(part.ers for part in parts)]),
        np.concatenate([np.empty((0, dimension), np.float32), *(part.embeddings for part in parts)]),
    )


def _faces_of(connection: Connection, gallery_key: int, rows: Sequence[Any], dimension: int) -> StoredFaces:
    face_ids, subject_keys, ers, stored = zip(*rows, strict=True)
    embeddings = open_faces(connection, EMBEDDING, repeat(gallery_key), subject_keys, face_ids, stored)
    return StoredFaces(
        face_ids=np.array(face_ids, dtype=np.int64),
        subject_keys=np.array(subject_keys, dtype=np.int64),
        ers=np.array(ers, dtype=np.float64),
        embeddings=unpack_float32_rows(embeddings, dimension),
    )
