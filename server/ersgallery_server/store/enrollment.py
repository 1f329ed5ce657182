"""Enrolment: faces, new subjects, counters, log and request in one piece of work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, bindparam, case, func, insert, select

from ersgallery_server.store.allocation import allocate
from ersgallery_server.store.arrays import pack_float32
from ersgallery_server.store.bulk import insert_columns
from ersgallery_server.store.changes import lock_gallery, record_change
from ersgallery_server.store.errors import ProfileChanged
from ersgallery_server.store.faces import box_values
from ersgallery_server.store.galleries import GalleryWrites, counted
from ersgallery_server.store.means import ers_sum_parts, mean_with
from ersgallery_server.store.members import Pool, TouchedSubjects
from ersgallery_server.store.outcomes import ChangeKind, Enrolled, Replay, SubjectChange
from ersgallery_server.store.requests import remember, replay
from ersgallery_server.store.subjects import insert_subjects, subject_keys
from ersgallery_server.store.tables import FACE_IMAGES, FACES
from ersgallery_server.values import AcquisitionCounts, NewFace

_STANDINGS = (
    select(
        FACES.c.subject_key,
        func.count(),
        func.count(case((FACES.c.ers >= bindparam("gate"), 1))),
        *ers_sum_parts(),
    )
    .where(FACES.c.subject_key.in_(bindparam("subject_keys", expanding=True)))
    .group_by(FACES.c.subject_key)
)


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a subject stands before an enrolment."""

    face_count: int = 0
    searchable_face_count: int = 0
    ers_sum: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def mean_ers(self, more: Sequence[float] = ()) -> float:
        """Return the mean of its faces' ERS and of more."""
        return mean_with(np.array(self.ers_sum), self.face_count, more)


class EnrollmentWrites(GalleryWrites):
    """Enrols faces."""

    def enroll(
        self,
        gallery_key: int,
        expected_profile_key: int,
        faces: Sequence[NewFace],
        *,
        counts: AcquisitionCounts,
        gate: float,
        request: tuple[str, bytes] | None = None,
        respond: Callable[[Enrolled], bytes] | None = None,
        pool: Pool | None = None,
    ) -> Enrolled | Replay:
        """Store faces, make the subjects that are missing, and add to the counts.

        gate: the gallery gate that the searchable counts are taken under. request: its id and the fingerprint of its
        body; `respond` then makes the answer that is kept for repetitions, and a Replay is returned for one. pool:
        makes the templates of the subjects, where they are searched by template. Raises GalleryNotFound,
        ProfileChanged, RequestIdReused, and ValueError for an embedding of another dimension.
        """
        gallery = lock_gallery(self.connection, gallery_key)
        if request is not None and (done := replay(self.connection, gallery_key, *request)) is not None:
            return done
        if gallery.profile_key != expected_profile_key:
            raise ProfileChanged(gallery.profile_key)
        if faces:
            enrolled = self._store(gallery, faces, counts, gate, pool)
        else:
            self.add_counts(gallery_key, counts)
            enrolled = _nothing(gallery)
        if request is not None:
            response = b"" if respond is None else respond(enrolled)
            remember(self, gallery_key, request, response=response, revision=enrolled.revision)
        return enrolled

    def _store(
        self,
        gallery: Row[Any],
        faces: Sequence[NewFace],
        counts: AcquisitionCounts,
        gate: float,
        pool: Pool | None,
    ) -> Enrolled:
        names = _display_names(faces)
        known = subject_keys(self.connection, gallery.key, list(names))
        missing = [subject_id for subject_id in names if subject_id not in known]
        new_keys = allocate(self.connection, len(missing) + len(faces))
        made, face_ids = new_keys[: len(missing)], new_keys[len(missing) :]
        before = _standings(self.connection, list(known.values()), gate)
        if missing:
            insert_subjects(self, gallery.key, made, [(subject_id, names[subject_id], {}) for subject_id in missing])
        keys = known | dict(zip(missing, made, strict=True))
        subject_of = [keys[face.subject_id] for face in faces]
        self._insert(gallery, faces, face_ids, subject_of)
        columns = counted(gallery, counts)
        changes = _subject_changes(faces, keys, made, before, gate)
        face_counts = {change.subject_key: change.face_count for change in changes.values()}
        touched = TouchedSubjects.of(self.connection, gallery, subject_of, face_counts)
        return Enrolled(
            revision=record_change(
                self.connection, gallery, ChangeKind.ENROLL, self.now, added=face_ids, columns=columns
            ),
            face_ids=np.array(face_ids, dtype=np.int64),
            subject_keys=np.array(subject_of, dtype=np.int64),
            subjects=changes,
            pooled=pool(touched) if pool and touched else None,
        )

    def _insert(self, gallery: Row[Any], faces: Sequence[NewFace], face_ids: range, subject_of: list[int]) -> None:
        insert_columns(
            self.connection,
            FACES,
            shared={
                "gallery_key": gallery.key,
                "profile_key": gallery.profile_key,
                "version": 1,
                "create_time": self.now,
            },
            columns={
                "face_id": face_ids,
                "subject_key": subject_of,
                "ers": [face.ers for face in faces],
                "raw_ers": [face.raw_ers for face in faces],
                "embedding_norm": [face.embedding_norm for face in faces],
                "media_id": [face.media_id for face in faces],
                "user_metadata": [dict(face.metadata) for face in faces],
                "box": [box_values(face.box) for face in faces],
                "embedding": [pack_float32(face.embedding, gallery.dimension) for face in faces],
            },
        )
        images = [
            {"face_id": face_id, "content": face.image}
            for face, face_id in zip(faces, face_ids, strict=True)
            if face.image is not None
        ]
        if images:
            self.connection.execute(insert(FACE_IMAGES), images)


def _nothing(gallery: Row[Any]) -> Enrolled:
    none = np.empty(0, dtype=np.int64)
    return Enrolled(gallery.revision, none, none, {})


def _display_names(faces: Sequence[NewFace]) -> dict[str, str]:
    """Return the subjects of faces; where one is new, its first face with a display name gives it."""
    names: dict[str, str] = {}
    for face in faces:
        names[face.subject_id] = names.get(face.subject_id) or face.subject_display_name
    return names


def _standings(connection: Connection, keys: list[int], gate: float) -> dict[int, _Standing]:
    """Return how subjects stand, for those that have faces."""
    found: dict[int, _Standing] = {}
    for start in range(0, len(keys), 500):
        wanted = {"gate": gate, "subject_keys": keys[start : start + 500]}
        found.update(
            (key, _Standing(count, searchable, (coarse, fine, rest)))
            for key, count, searchable, coarse, fine, rest in connection.execute(_STANDINGS, wanted)
        )
    return found


def _subject_changes(
    faces: Sequence[NewFace], keys: dict[str, int], created: range, before: dict[int, _Standing], gate: float
) -> dict[str, SubjectChange]:
    added: dict[str, list[float]] = {subject_id: [] for subject_id in keys}
    for face in faces:
        added[face.subject_id].append(face.ers)
    changes = {}
    for subject_id, key in keys.items():
        scores, stood = added[subject_id], before.get(key, _Standing())
        face_count = stood.face_count + len(scores)
        changes[subject_id] = SubjectChange(
            subject_key=key,
            created=key in created,
            face_count=face_count,
            searchable_face_count=stood.searchable_face_count + sum(score >= gate for score in scores),
            mean_ers_before=stood.mean_ers() if stood.face_count else None,
            mean_ers_after=stood.mean_ers(scores),
        )
    return changes
