"""What a store should hold, in plain Python: dictionaries and nothing clever."""

from dataclasses import dataclass, field, replace

import numpy as np
from ersgallery_server.store import ChangeKind
from ersgallery_server.values import AcquisitionCounts, GallerySettings, NewFace


@dataclass
class ModelSubject:
    """A subject as it should be."""

    display_name: str
    metadata: dict[str, str] = field(default_factory=dict)
    version: int = 1


@dataclass
class ModelFace:
    """A face as it should be."""

    subject_id: str
    face: NewFace
    ers: float
    metadata: dict[str, str]
    version: int = 1


@dataclass
class ModelGallery:
    """A gallery as it should be."""

    settings: GallerySettings
    profile_key: int
    revision: int = 0
    version: int = 1
    counts: AcquisitionCounts = field(default_factory=AcquisitionCounts)
    subjects: dict[str, ModelSubject] = field(default_factory=dict)
    faces: dict[int, ModelFace] = field(default_factory=dict)
    requests: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    changes: list[tuple[int, ChangeKind, list[int], list[int]]] = field(default_factory=list)

    def log(self, kind: ChangeKind, added: list[int] | None = None, removed: list[int] | None = None) -> None:
        """Go to the next revision."""
        self.revision += 1
        self.changes.append((self.revision, kind, added or [], removed or []))

    def enroll(self, faces: list[NewFace], face_ids: list[int], counts: AcquisitionCounts) -> None:
        """Add faces under the ids that the store gave them."""
        self.counts += counts
        if not faces:
            return
        for face in faces:
            self.subjects.setdefault(face.subject_id, ModelSubject(face.subject_display_name))
        for face, face_id in zip(faces, face_ids, strict=True):
            self.faces[face_id] = ModelFace(face.subject_id, face, face.ers, dict(face.metadata))
        self.log(ChangeKind.ENROLL, added=face_ids)

    def delete_subject(self, subject_id: str) -> list[int]:
        """Take a subject out and return the ids of its faces."""
        gone = self.face_ids(subject_id)
        del self.subjects[subject_id]
        for face_id in gone:
            del self.faces[face_id]
        self.log(ChangeKind.DELETE_SUBJECT, removed=gone)
        return gone

    def delete_face(self, face_id: int) -> None:
        """Take a face out."""
        del self.faces[face_id]
        self.log(ChangeKind.DELETE_FACE, removed=[face_id])

    def update(self, settings: GallerySettings) -> None:
        """Take other settings."""
        self.settings, self.version = settings, self.version + 1
        self.log(ChangeKind.SETTINGS)

    def rescore(self, profile_key: int, factor: float) -> None:
        """Score every face again."""
        for face in self.faces.values():
            face.ers = score(face.face.embedding, factor)
        self.profile_key, self.version = profile_key, self.version + 1
        self.log(ChangeKind.RESCORE)

    def face_ids(self, subject_id: str) -> list[int]:
        """Return the ids of a subject's faces."""
        return sorted(face_id for face_id, face in self.faces.items() if face.subject_id == subject_id)

    def searchable(self, gate: float, subject_id: str | None = None) -> int:
        """Count faces at or above a gate."""
        of_interest = [face for face in self.faces.values() if subject_id in {None, face.subject_id}]
        return sum(face.ers >= gate for face in of_interest)

    def add_counts(self, counts: AcquisitionCounts) -> None:
        """Count."""
        self.counts += counts

    def change_margin(self, margin: float | None) -> GallerySettings:
        """Return the settings with another margin."""
        return replace(self.settings, margin=margin)


def score(embedding: np.ndarray[tuple[int, ...], np.dtype[np.float32]], factor: float) -> float:
    """Return a made-up ERS that depends on the embedding and on a profile."""
    return float(abs(embedding[0].astype(np.float64)) * factor)
