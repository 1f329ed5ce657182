"""What an index that was saved at an earlier revision needs to catch up with its gallery."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, select

from ersgallery_server.store.arrays import unpack_ids
from ersgallery_server.store.galleries import gallery_by_key
from ersgallery_server.store.loading import DEFAULT_CHUNK_ROWS, stream_faces
from ersgallery_server.store.members import SUBJECTS_AT_ONCE, members_of
from ersgallery_server.store.outcomes import ChangeKind
from ersgallery_server.store.reading import Reads
from ersgallery_server.store.tables import CHANGES, FACES, LAST_KEY
from ersgallery_server.values import GalleryRecord, StoredFaces, SubjectFaces

Ids = NDArray[np.int64]

_C = CHANGES.c
_DELETIONS = {ChangeKind.DELETE_FACE.value, ChangeKind.DELETE_SUBJECT.value}


@dataclass(frozen=True, slots=True, eq=False)
class GallerySince:
    """A gallery as it is, and what happened to it after a revision; read while the transaction is open.

    mark: of that revision, None where the log does not have it. is_complete: the log has every later revision.
    removed_ids (n,): the faces that were deleted. first_added_id: of the faces that came, which all have higher ids
    than those before; None where none came. lost_keys (n,): whoever lost a face.
    """

    gallery: GalleryRecord
    mark: str | None
    is_complete: bool
    removed_ids: Ids
    first_added_id: int | None
    lost_keys: Ids
    connection: Connection

    def added_faces(self, chunk_rows: int = DEFAULT_CHUNK_ROWS) -> Iterator[StoredFaces]:
        """Yield the faces that came and are still there, in chunks."""
        if self.first_added_id is not None:
            dimension = self.gallery.profile.profile.dimension
            after = self.first_added_id - 1
            yield from stream_faces(self.connection, self.gallery.key, dimension, chunk_rows, after)

    def touched_keys(self) -> Ids:
        """Return whoever gained or lost a face (n,), by key."""
        return _concatenated([self.lost_keys, _subjects_from(self.connection, self.gallery.key, self.first_added_id)])

    def subjects(self, keys: Ids) -> Iterator[tuple[SubjectFaces, ...]]:
        """Yield those of some subjects that have faces, a few hundred at a time, with all of them."""
        dimension = self.gallery.profile.profile.dimension
        for start in range(0, len(keys), SUBJECTS_AT_ONCE):
            members = members_of(self.connection, keys[start : start + SUBJECTS_AT_ONCE].tolist(), dimension)
            yield tuple(each for each in members if each.media)


class CatchingUp(Reads):
    """Reads what changed."""

    def mark(self, gallery_key: int, revision: int) -> str | None:
        """Return what tells a revision from the same revision of another history; None where the log has none.

        Histories part when a database is restored from a backup, or copied and used twice.
        """
        with self._read() as connection:
            return _mark_of(_change(connection, gallery_key, revision))

    def last_key(self) -> int:
        """Return the highest key that any face or subject has, or had."""
        with self._read() as connection:
            return int(connection.execute(select(LAST_KEY.c.key)).scalar_one())

    @contextmanager
    def since(self, gallery_key: int, revision: int) -> Iterator[GallerySince]:
        """Open a gallery with what happened after a revision, both as of one moment; raises GalleryNotFound."""
        with self._read(consistent=True) as connection:
            gallery = gallery_by_key(connection, gallery_key)
            later = select(CHANGES).where(_C.gallery_key == gallery_key, _C.revision > revision).order_by(_C.revision)
            changes = connection.execute(later).all()
            added = (row.first_added_face_id for row in changes if row.added_face_count)
            lost = [row for row in changes if row.kind in _DELETIONS]
            yield GallerySince(
                gallery=gallery,
                mark=_mark_of(_change(connection, gallery_key, revision)),
                is_complete=len(changes) == gallery.revision - revision and all(row.subject_key for row in lost),
                removed_ids=_concatenated([unpack_ids(row.removed_face_ids) for row in lost]),
                first_added_id=min(added, default=None),
                lost_keys=np.unique(np.array([row.subject_key or 0 for row in lost], np.int64)),
                connection=connection,
            )


def _change(connection: Connection, gallery_key: int, revision: int) -> Row[Any] | None:
    found = select(CHANGES).where(_C.gallery_key == gallery_key, _C.revision == revision)
    return connection.execute(found).one_or_none()


def _mark_of(change: Row[Any] | None) -> str | None:
    if change is None:
        return None
    told = (
        f"{change.revision} {change.kind} {change.first_added_face_id} {change.added_face_count} {change.create_time}"
    )
    return hashlib.sha256(told.encode() + change.removed_face_ids).hexdigest()


def _subjects_from(connection: Connection, gallery_key: int, first_face_id: int | None) -> Ids:
    """Return who has a face with this id or a higher one."""
    if first_face_id is None:
        return np.empty(0, np.int64)
    found = (
        select(FACES.c.subject_key)
        .distinct()
        .where(FACES.c.gallery_key == gallery_key, FACES.c.face_id >= first_face_id)
    )
    return np.array(connection.execute(found).scalars().all(), np.int64)


def _concatenated(ids: Sequence[Ids]) -> Ids:
    return np.unique(np.concatenate([np.empty(0, np.int64), *ids]))
