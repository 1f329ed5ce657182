"""The revision of a gallery and its log: every change is one row, written with the change itself."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from ersgallery_server.store.arrays import pack_ids, unpack_ids
from ersgallery_server.store.errors import GalleryMoved, GalleryNotFound
from ersgallery_server.store.outcomes import Change, ChangeKind
from ersgallery_server.store.reading import Reads
from ersgallery_server.store.tables import CHANGES, GALLERIES, PROFILES
from ersgallery_server.values import SubjectSearch

_C = CHANGES.c
_NONE_ADDED = range(0)
_NONE_REMOVED = np.empty(0, dtype=np.int64)

# Built once: most of the time of a small write would be spent building statements.
_LOCK = (
    select(GALLERIES, PROFILES.c.dimension)
    .join(PROFILES, PROFILES.c.key == GALLERIES.c.profile_key)
    .where(GALLERIES.c.key == bindparam("gallery_key"))
    .with_for_update(of=GALLERIES)
)
_UPDATE = update(GALLERIES).where(GALLERIES.c.key == bindparam("gallery_key"))
_INSERT = insert(CHANGES)


class ChangeReads(Reads):
    """Reads the log, so that an older snapshot of an index can be caught up."""

    def changes(self, gallery_key: int, after_revision: int, limit: int = 1000) -> tuple[Change, ...]:
        """Return the changes after a revision in their order, at most `limit`."""
        statement = (
            select(CHANGES)
            .where(_C.gallery_key == gallery_key, _C.revision > after_revision)
            .order_by(_C.revision)
            .limit(limit)
        )
        with self._read() as connection:
            return tuple(_change_of(row) for row in connection.execute(statement))


def lock_gallery(connection: Connection, gallery_key: int) -> Row[Any]:
    """Return the gallery's row, with the dimension of its embeddings, as it is until this transaction changes it.

    Every change begins with it: other processes that write wait until the transaction ends. Raises GalleryNotFound.
    """
    row = connection.execute(_LOCK, {"gallery_key": gallery_key}).one_or_none()
    if row is None:
        raise GalleryNotFound
    return row


def record_change(
    connection: Connection,
    gallery: Row[Any],
    kind: ChangeKind,
    now: dt.datetime,
    *,
    added: range = _NONE_ADDED,
    removed: NDArray[np.int64] = _NONE_REMOVED,
    subject_key: int | None = None,
    columns: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Take a gallery that was locked for this one change to its next revision, log what happened, return the revision.

    subject_key: whom the removed faces were taken from. columns: what changes in the gallery's row besides.
    """
    revision = int(gallery.revision) + 1
    face_count = int(gallery.face_count) + len(added) - len(removed)
    changed = {"gallery_key": gallery.key, "revision": revision, "face_count": face_count, **columns}
    connection.execute(_UPDATE, changed)
    connection.execute(
        _INSERT,
        {
            "gallery_key": gallery.key,
            "revision": revision,
            "kind": kind.value,
            "first_added_face_id": added.start,
            "added_face_count": len(added),
            "removed_face_ids": pack_ids(removed),
            "subject_key": subject_key,
            "create_time": now,
        },
    )
    return revision


def require_only_deletions(connection: Connection, gallery: Row[Any], since: int | None) -> None:
    """Require that nothing came into a locked gallery after a revision, by which something could resemble more.

    A subject's template changes with a face that is deleted, too. Raises GalleryMoved, also where the log is too short.
    """
    if since is None:
        raise GalleryMoved
    if since == gallery.revision:
        return
    harmless = [ChangeKind.DELETE_SUBJECT.value]
    if SubjectSearch(gallery.subject_search) is SubjectSearch.BEST_FACE:
        harmless.append(ChangeKind.DELETE_FACE.value)
    deletions = select(func.count()).where(_C.gallery_key == gallery.key, _C.revision > since, _C.kind.in_(harmless))
    if connection.execute(deletions).scalar_one() != gallery.revision - since:
        raise GalleryMoved


def _change_of(row: Row[Any]) -> Change:
    return Change(
        revision=row.revision,
        kind=ChangeKind(row.kind),
        added_face_ids=range(row.first_added_face_id, row.first_added_face_id + row.added_face_count),
        removed_face_ids=unpack_ids(row.removed_face_ids),
        subject_key=row.subject_key,
        create_time=row.create_time,
    )
