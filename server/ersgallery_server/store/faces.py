"""Faces: lists, photographs, metadata and deletion. Embeddings are read by `loading` alone."""

import dataclasses
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, Select, delete, select, update

from ersgallery_server.store.allocation import MAX_KEY
from ersgallery_server.store.changes import lock_gallery, record_change
from ersgallery_server.store.errors import FaceNotFound, SubjectNotFound, VersionMismatch
from ersgallery_server.store.members import Pool, TouchedSubjects
from ersgallery_server.store.outcomes import ChangeKind, DeletedFace
from ersgallery_server.store.reading import Reads, integer_page_key, read_page
from ersgallery_server.store.sealing import IMAGE, open_faces
from ersgallery_server.store.subjects import subject_keys
from ersgallery_server.store.tables import FACE_IMAGES, FACES, SUBJECTS
from ersgallery_server.store.writing import Writes
from ersgallery_server.values import FaceBox, FaceRecord, Metadata, Page

_F = FACES.c
_FACE = select(
    *(column for column in _F if column is not _F.embedding),
    SUBJECTS.c.subject_id,
    FACE_IMAGES.c.face_id.is_not(None).label("has_image"),
).select_from(FACES.join(SUBJECTS, SUBJECTS.c.key == _F.subject_key).outerjoin(FACE_IMAGES))


class FaceReads(Reads):
    """Reads faces."""

    def face(self, gallery_key: int, subject_id: str, face_id: int) -> FaceRecord:
        """Return a face of a subject; raises FaceNotFound."""
        with self._read() as connection:
            return _face_of(_row(connection, gallery_key, subject_id, face_id))

    def list_faces(
        self, gallery_key: int, subject_id: str | None, page_size: int, after: str | None = None
    ) -> Page[FaceRecord]:
        """Return the faces of a subject, or of the whole gallery for None, in the order of enrolment.

        `after` is the last face id of the page before. Raises SubjectNotFound and PageKeyInvalid.
        """
        statement = _FACE.order_by(_F.face_id)
        if after is not None:
            statement = statement.where(_F.face_id > integer_page_key(after))
        with self._read() as connection:
            if subject_id is None:
                statement = statement.where(_F.gallery_key == gallery_key)
            else:
                statement = statement.where(_F.subject_key == _subject_key(connection, gallery_key, subject_id))
            return read_page(connection, statement, page_size, _face_of, lambda face: str(face.face_id))

    def face_image(self, gallery_key: int, subject_id: str, face_id: int) -> bytes | None:
        """Return the photograph of a face as it was sent; None where none is kept. Raises FaceNotFound."""
        with self._read() as connection:
            row = _row(connection, gallery_key, subject_id, face_id)
            statement = select(FACE_IMAGES.c.content).where(FACE_IMAGES.c.face_id == face_id)
            content: bytes | None = connection.execute(statement).scalar_one_or_none()
            if content is None:
                return None
            return open_faces(connection, IMAGE, [gallery_key], [row.subject_key], [face_id], [content])[0]


class FaceWrites(Writes):
    """Changes and deletes faces."""

    def update_face(
        self,
        gallery_key: int,
        subject_id: str,
        face_id: int,
        *,
        metadata: Metadata | None = None,
        expected_version: int | None = None,
    ) -> FaceRecord:
        """Change the metadata unless None; no revision, for no answer depends on it.

        Raises GalleryNotFound, FaceNotFound and VersionMismatch.
        """
        lock_gallery(self.connection, gallery_key)
        row = _row(self.connection, gallery_key, subject_id, face_id)
        if expected_version is not None and row.version != expected_version:
            raise VersionMismatch(row.version)
        changed: dict[str, Any] = {"version": row.version + 1}
        if metadata is not None:
            changed["user_metadata"] = dict(metadata)
        self.connection.execute(update(FACES).where(_F.face_id == face_id).values(changed))
        return _face_of(_row(self.connection, gallery_key, subject_id, face_id))

    def delete_face(self, gallery_key: int, subject_id: str, face_id: int, *, pool: Pool | None = None) -> DeletedFace:
        """Delete a face with its photograph; the revision is the one from which it is gone.

        pool: makes the template of what is left of its subject, where subjects are searched by template. Raises
        GalleryNotFound and FaceNotFound.
        """
        gallery = lock_gallery(self.connection, gallery_key)
        face = _row(self.connection, gallery_key, subject_id, face_id)
        self.connection.execute(delete(FACES).where(_F.face_id == face_id))
        self.erased = True
        removed = np.array([face_id], dtype=np.int64)
        revision = record_change(
            self.connection,
            gallery,
            ChangeKind.DELETE_FACE,
            self.now,
            removed=removed,
            subject_key=face.subject_key,
        )
        touched = TouchedSubjects.of(self.connection, gallery, [face.subject_key], {})
        pooled = pool(touched) if pool and touched else None
        return DeletedFace(revision, face.subject_key, bool(face.has_image), pooled)


def box_values(box: FaceBox | None) -> dict[str, Any] | None:
    """Return what is stored of a box."""
    return None if box is None else dataclasses.asdict(box)


def _one(gallery_key: int, subject_id: str, face_id: int) -> Select[Any]:
    return _FACE.where(_F.face_id == face_id, _F.gallery_key == gallery_key, SUBJECTS.c.subject_id == subject_id)


def _row(connection: Connection, gallery_key: int, subject_id: str, face_id: int) -> Row[Any]:
    if face_id > MAX_KEY:
        raise FaceNotFound(face_id)
    row = connection.execute(_one(gallery_key, subject_id, face_id)).one_or_none()
    if row is None:
        raise FaceNotFound(face_id)
    return row


def _subject_key(connection: Connection, gallery_key: int, subject_id: str) -> int:
    keys = subject_keys(connection, gallery_key, [subject_id])
    if subject_id not in keys:
        raise SubjectNotFound(subject_id)
    return keys[subject_id]


def _face_of(row: Row[Any]) -> FaceRecord:
    return FaceRecord(
        face_id=row.face_id,
        subject_key=row.subject_key,
        subject_id=row.subject_id,
        ers=row.ers,
        raw_ers=row.raw_ers,
        embedding_norm=row.embedding_norm,
        media_id=row.media_id,
        metadata=row.user_metadata,
        has_image=bool(row.has_image),
        version=row.version,
        create_time=row.create_time,
        box=None if row.box is None else FaceBox(**row.box),
    )
