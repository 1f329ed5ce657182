"""Subjects: the enrolled people of a gallery."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, case, delete, func, select, text, update

from ersgallery_server.store.allocation import allocate
from ersgallery_server.store.bulk import insert_columns
from ersgallery_server.store.changes import lock_gallery, record_change
from ersgallery_server.store.errors import SubjectExists, SubjectNotFound, VersionMismatch
from ersgallery_server.store.means import mean_ers
from ersgallery_server.store.outcomes import ChangeKind, DeletedSubject
from ersgallery_server.store.reading import Reads, read_page, text_page_key
from ersgallery_server.store.tables import FACE_IMAGES, FACES, SUBJECTS
from ersgallery_server.store.writing import Writes
from ersgallery_server.values import Metadata, Page, SubjectRecord

_S = SUBJECTS.c
_KEYS = {
    # A parameter for each id would have to be named, and the statement made, anew for each number of them.
    "sqlite": text(
        "SELECT subjects.subject_id, subjects.key FROM json_each(:subject_ids) AS wanted CROSS JOIN subjects"
        " ON subjects.gallery_key = :gallery_key AND subjects.subject_id = wanted.value"
    ),
    "postgresql": text(
        "SELECT subjects.subject_id, subjects.key FROM json_array_elements_text(CAST(:subject_ids AS json)) AS wanted"
        " JOIN subjects ON subjects.gallery_key = :gallery_key AND subjects.subject_id = wanted.value"
    ),
}


@dataclass(frozen=True, slots=True)
class _FaceCounts:
    """How many faces a subject has, how many of them pass the gate, and the mean of their ERS."""

    faces: int
    searchable: int
    mean_ers: float


_NO_FACES = _FaceCounts(0, 0, 0.0)


class SubjectReads(Reads):
    """Reads subjects."""

    def subject(self, gallery_key: int, subject_id: str, gate: float) -> SubjectRecord:
        """Return a subject with how many faces it has, and how many with ERS >= gate; raises SubjectNotFound."""
        with self._read(consistent=True) as connection:
            return _record(connection, _row(connection, gallery_key, subject_id), gate)

    def list_subjects(
        self, gallery_key: int, gate: float, page_size: int, after: str | None = None
    ) -> Page[SubjectRecord]:
        """Return subjects by id with their counts of faces; `after` is the last id of the page before."""
        statement = select(SUBJECTS).where(_S.gallery_key == gallery_key).order_by(_S.subject_id)
        if after is not None:
            statement = statement.where(_S.subject_id > text_page_key(after))
        with self._read(consistent=True) as connection:
            rows = read_page(connection, statement, page_size, lambda row: row, lambda row: str(row.subject_id))
            counts = _face_counts(connection, [row.key for row in rows.items], gate)
            return Page(tuple(_subject_of(row, counts.get(row.key, _NO_FACES)) for row in rows.items), rows.next_key)

    def subject_ids(self, gallery_key: int) -> dict[int, str]:
        """Return the ids of all subjects of a gallery by their keys: what names the hits of an index."""
        statement = select(_S.key, _S.subject_id).where(_S.gallery_key == gallery_key)
        with self._read() as connection:
            return {key: subject_id for key, subject_id in connection.execute(statement)}  # noqa: C416 - rows are no pairs to mypy


class SubjectWrites(Writes):
    """Makes, changes and deletes subjects."""

    def create_subject(
        self,
        gallery_key: int,
        subject_id: str | None = None,
        *,
        display_name: str = "",
        metadata: Metadata | None = None,
    ) -> SubjectRecord:
        """Make a subject without faces, with an id of its own where none is given.

        No revision, for no answer depends on it. Raises GalleryNotFound and SubjectExists.
        """
        lock_gallery(self.connection, gallery_key)
        chosen = subject_id or uuid.uuid4().hex
        if subject_keys(self.connection, gallery_key, [chosen]):
            raise SubjectExists(chosen)
        insert_subjects(self, gallery_key, allocate(self.connection), [chosen], [display_name], metadata or {})
        return _subject_of(_row(self.connection, gallery_key, chosen), _NO_FACES)

    def update_subject(
        self,
        gallery_key: int,
        subject_id: str,
        *,
        gate: float,
        display_name: str | None = None,
        metadata: Metadata | None = None,
        expected_version: int | None = None,
    ) -> SubjectRecord:
        """Change what is not None and return the subject with its counts under the gate.

        No revision, for no answer depends on it. Raises SubjectNotFound and VersionMismatch.
        """
        row = _row(self.connection, gallery_key, subject_id, lock=True)
        if expected_version is not None and row.version != expected_version:
            raise VersionMismatch(row.version)
        changed: dict[str, Any] = {"version": row.version + 1, "update_time": self.now}
        if display_name is not None:
            changed["display_name"] = display_name
        if metadata is not None:
            changed["user_metadata"] = dict(metadata)
        self.connection.execute(update(SUBJECTS).where(_S.key == row.key).values(changed))
        return _record(self.connection, _row(self.connection, gallery_key, subject_id), gate)

    def delete_subject(self, gallery_key: int, subject_id: str) -> DeletedSubject:
        """Delete a subject with its faces and photographs; raises GalleryNotFound and SubjectNotFound."""
        gallery = lock_gallery(self.connection, gallery_key)
        row = _row(self.connection, gallery_key, subject_id)
        found = select(FACES.c.face_id).where(FACES.c.subject_key == row.key).order_by(FACES.c.face_id)
        face_ids = np.array(self.connection.execute(found).scalars().all(), dtype=np.int64)
        images = select(func.count()).select_from(FACE_IMAGES.join(FACES)).where(FACES.c.subject_key == row.key)
        image_count = self.connection.execute(images).scalar_one()
        self.connection.execute(delete(SUBJECTS).where(_S.key == row.key))
        self.erased = True
        revision = record_change(
            self.connection, gallery, ChangeKind.DELETE_SUBJECT, self.now, removed=face_ids, subject_key=row.key
        )
        return DeletedSubject(revision, row.key, face_ids, image_count)


def subject_keys(connection: Connection, gallery_key: int, subject_ids: list[str]) -> dict[str, int]:
    """Return the keys of those subjects that exist."""
    wanted = {"gallery_key": gallery_key, "subject_ids": json.dumps(subject_ids)}
    found = connection.execute(_KEYS[connection.dialect.name], wanted)
    return {subject_id: key for subject_id, key in found}  # noqa: C416 - rows are no pairs to mypy


def insert_subjects(
    writes: Writes,
    gallery_key: int,
    keys: range,
    subject_ids: Sequence[str],
    display_names: Sequence[str],
    metadata: Metadata = MappingProxyType({}),
) -> None:
    """Make subjects that do not exist yet, under new keys; they begin with the same metadata."""
    insert_columns(
        writes.connection,
        SUBJECTS,
        shared={
            "gallery_key": gallery_key,
            "user_metadata": dict(metadata),
            "version": 1,
            "create_time": writes.now,
            "update_time": writes.now,
        },
        columns={"key": keys, "subject_id": subject_ids, "display_name": display_names},
    )


def _row(connection: Connection, gallery_key: int, subject_id: str, *, lock: bool = False) -> Row[Any]:
    statement = select(SUBJECTS).where(_S.gallery_key == gallery_key, _S.subject_id == subject_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise SubjectNotFound(subject_id)
    return row


def _record(connection: Connection, row: Row[Any], gate: float) -> SubjectRecord:
    return _subject_of(row, _face_counts(connection, [row.key], gate).get(row.key, _NO_FACES))


def _face_counts(connection: Connection, keys: list[int], gate: float) -> dict[int, _FaceCounts]:
    """Return how many faces subjects have, how many with ERS >= gate, and their mean ERS, for those that have any."""
    statement = (
        select(FACES.c.subject_key, func.count(), func.count(case((FACES.c.ers >= gate, 1))), mean_ers())
        .where(FACES.c.subject_key.in_(keys))
        .group_by(FACES.c.subject_key)
    )
    return {key: _FaceCounts(faces, searchable, mean) for key, faces, searchable, mean in connection.execute(statement)}


def _subject_of(row: Row[Any], counts: _FaceCounts) -> SubjectRecord:
    return SubjectRecord(
        key=row.key,
        subject_id=row.subject_id,
        display_name=row.display_name,
        metadata=row.user_metadata,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        face_count=counts.faces,
        searchable_face_count=counts.searchable,
        template_ers=counts.mean_ers,
    )
