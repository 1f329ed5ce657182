"""Enrolment: faces, new subjects, counters, log and request in one piece of work."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ersgallery_index.sums import sum_of_parts, sum_parts
from sqlalchemy import Connection, Row, bindparam, case, func, select

from ersgallery_server.store.allocation import allocate
from ersgallery_server.store.arrays import pack_float32_rows
from ersgallery_server.store.bulk import insert_columns
from ersgallery_server.store.changes import lock_gallery, record_change, require_only_deletions
from ersgallery_server.store.errors import GalleryFull, ProfileChanged
from ersgallery_server.store.faces import box_values
from ersgallery_server.store.galleries import GalleryWrites, counted
from ersgallery_server.store.means import ers_sum_parts
from ersgallery_server.store.members import Pool, TouchedSubjects
from ersgallery_server.store.outcomes import ChangeKind, Enrolled, Replay, SubjectChanges
from ersgallery_server.store.requests import remember, replay
from ersgallery_server.store.sealing import EMBEDDING, IMAGE, seal_faces
from ersgallery_server.store.subjects import insert_subjects, subject_keys
from ersgallery_server.store.tables import FACE_IMAGES, FACES
from ersgallery_server.values import AcquisitionCounts, DuplicateCheck, NewFaces

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
_NEVER_STOOD = (0.0,) * 5
_NO_IDS = np.empty(0, dtype=np.int64)
_NO_SCORES = np.empty(0)
_NO_CHANGES = SubjectChanges(
    {}, _NO_IDS, _NO_IDS, np.empty(0, dtype=np.bool_), _NO_IDS, _NO_IDS, _NO_SCORES, _NO_SCORES
)


class EnrollmentWrites(GalleryWrites):
    """Enrols faces."""

    def enroll(
        self,
        gallery_key: int,
        expected_profile_key: int,
        faces: NewFaces,
        *,
        counts: AcquisitionCounts,
        gate: float,
        request: tuple[str, bytes] | None = None,
        respond: Callable[[Enrolled], bytes] | None = None,
        pool: Pool | None = None,
        compared_at: int | None = None,
        max_faces: int = 0,
    ) -> Enrolled | Replay:
        """Store faces, make the subjects that are missing, and add to the counts.

        gate: the gallery gate that the searchable counts are taken under. request: its id and the fingerprint of its
        body; `respond` then makes the answer that is kept for repetitions, and a Replay is returned for one. pool:
        makes the templates of the subjects, where they are searched by template. compared_at: the revision at which the
        faces were compared with the other subjects; None: they were not. max_faces: how many the gallery may have with
        them, 0 for no limit. Raises GalleryNotFound, ProfileChanged, RequestIdReused, GalleryFull, GalleryMoved where
        the comparison is missing or outdated, and ValueError for an embedding of another dimension.
        """
        gallery = lock_gallery(self.connection, gallery_key)
        if request is not None and (done := replay(self.connection, gallery_key, *request)) is not None:
            return done
        if gallery.profile_key != expected_profile_key:
            raise ProfileChanged(gallery.profile_key)
        if DuplicateCheck(gallery.duplicate_check) is not DuplicateCheck.OFF:
            require_only_deletions(self.connection, gallery, compared_at)
        if max_faces and len(faces) and gallery.face_count + len(faces) > max_faces:
            raise GalleryFull(gallery.gallery_id, gallery.face_count, len(faces), max_faces)
        if len(faces):
            enrolled = self._store(gallery, faces, counts, gate, pool)
        else:
            self.add_counts(gallery_key, counts)
            enrolled = Enrolled(gallery.revision, _NO_IDS, _NO_IDS, _NO_CHANGES)
        if request is not None:
            response = b"" if respond is None else respond(enrolled)
            remember(self, gallery_key, request, response=response, revision=enrolled.revision)
        return enrolled

    def _store(
        self, gallery: Row[Any], faces: NewFaces, counts: AcquisitionCounts, gate: float, pool: Pool | None
    ) -> Enrolled:
        names = _display_names(faces)
        known = subject_keys(self.connection, gallery.key, list(names))
        missing = [subject_id for subject_id in names if subject_id not in known]
        new_keys = allocate(self.connection, len(missing) + len(faces))
        made, face_ids = new_keys[: len(missing)], new_keys[len(missing) :]
        before = _standings(self.connection, list(known.values()), gate)
        if missing:
            insert_subjects(self, gallery.key, made, missing, [names[subject_id] for subject_id in missing])
        changes = _subject_changes(faces, known | dict(zip(missing, made, strict=True)), made, before, gate)
        subject_of = changes.subject_keys[changes.owners]
        self._insert(gallery, faces, face_ids, subject_of.tolist())
        face_counts = dict(zip(changes.subject_keys.tolist(), changes.face_counts.tolist(), strict=True))
        touched = TouchedSubjects.of(self.connection, gallery, list(face_counts), face_counts)
        columns = counted(gallery, counts)
        return Enrolled(
            revision=record_change(
                self.connection, gallery, ChangeKind.ENROLL, self.now, added=face_ids, columns=columns
            ),
            face_ids=np.array(face_ids, dtype=np.int64),
            subject_keys=subject_of,
            subjects=changes,
            pooled=pool(touched) if pool and touched else None,
        )

    def _insert(self, gallery: Row[Any], faces: NewFaces, face_ids: range, subject_of: list[int]) -> None:
        packed = pack_float32_rows(faces.embeddings, gallery.dimension)
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
                "ers": faces.ers.tolist(),
                "raw_ers": faces.raw_ers.tolist(),
                "embedding_norm": faces.embedding_norms.tolist(),
                "media_id": faces.media_ids,
                "user_metadata": [dict(metadata) if metadata else {} for metadata in faces.metadata],
                "box": [None if box is None else box_values(box) for box in faces.boxes],
                "embedding": seal_faces(self.connection, EMBEDDING, gallery.key, subject_of, face_ids, packed),
            },
        )
        kept = [each for each in zip(face_ids, subject_of, faces.images, strict=True) if each[2] is not None]
        if kept:
            ids, owners, images = zip(*kept, strict=True)
            sealed = seal_faces(self.connection, IMAGE, gallery.key, owners, ids, images)
            insert_columns(self.connection, FACE_IMAGES, shared={}, columns={"face_id": ids, "content": sealed})


def _display_names(faces: NewFaces) -> dict[str, str]:
    """Return the subjects of faces; where one is new, its first face with a display name gives it."""
    names: dict[str, str] = {}
    for subject_id, display_name in zip(faces.subject_ids, faces.display_names, strict=True):
        names[subject_id] = names.get(subject_id) or display_name
    return names


def _standings(connection: Connection, keys: list[int], gate: float) -> dict[int, tuple[float, ...]]:
    """Return how subjects stand, for those that have faces: all, those that are searchable, the parts of their ERS."""
    found: dict[int, tuple[float, ...]] = {}
    for start in range(0, len(keys), 500):
        wanted = {"gate": gate, "subject_keys": keys[start : start + 500]}
        found.update((key, tuple(stands)) for key, *stands in connection.execute(_STANDINGS, wanted))
    return found


def _subject_changes(
    faces: NewFaces, keys: dict[str, int], created: range, before: dict[int, tuple[float, ...]], gate: float
) -> SubjectChanges:
    positions = {subject_id: position for position, subject_id in enumerate(keys)}
    owners = np.array([positions[subject_id] for subject_id in faces.subject_ids], dtype=np.int64)
    subject_keys = np.array(list(keys.values()), dtype=np.int64)
    stood = np.array([before.get(key, _NEVER_STOOD) for key in keys.values()], np.float64)
    face_counts, searchable_counts, sums = stood[:, 0], stood[:, 1], stood[:, 2:].T
    searchable_counts_after = searchable_counts + np.bincount(owners[faces.ers >= gate], minlength=len(keys))
    face_counts_after = face_counts + np.bincount(owners, minlength=len(keys))
    added = np.array([np.bincount(owners, part, len(keys)) for part in sum_parts(faces.ers[:, None])], np.float64)
    with np.errstate(invalid="ignore"):  # nobody's mean, where there was no face
        mean_ers_before = sum_of_parts(sums) / face_counts
    return SubjectChanges(
        positions=positions,
        owners=owners,
        subject_keys=subject_keys,
        created=(subject_keys >= created.start) & (subject_keys < created.stop),
        face_counts=face_counts_after.astype(np.int64),
        searchable_face_counts=searchable_counts_after.astype(np.int64),
        mean_ers_before=mean_ers_before,
        mean_ers_after=sum_of_parts(sums + added) / face_counts_after,
    )
