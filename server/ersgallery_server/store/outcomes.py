"""What the store answers beyond the records of `values`."""

import datetime as dt
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from ersgallery_index import IndexRows, Weighting
from ersgallery_index.template_sums import TemplateSums
from numpy.typing import NDArray

from ersgallery_server.values import GalleryRecord, GallerySettings, StoredFaces, SubjectFaces


@dataclass(frozen=True, slots=True)
class SubjectChange:
    """What an enrolment did to one subject; the searchable count is under the gate that was given."""

    subject_key: int
    created: bool
    face_count: int
    searchable_face_count: int
    mean_ers_before: float | None
    mean_ers_after: float


@dataclass(frozen=True, slots=True, eq=False)
class SubjectChanges(Mapping[str, SubjectChange]):
    """What an enrolment did to its m subjects, in columns (m,); read as a mapping, it gives one by its id.

    positions: where each subject stands in the columns. owners (n,): where the subject of each face does.
    mean_ers_before is NaN for a subject that had no face.
    """

    positions: Mapping[str, int]
    owners: NDArray[np.int64]
    subject_keys: NDArray[np.int64]
    created: NDArray[np.bool_]
    face_counts: NDArray[np.int64]
    searchable_face_counts: NDArray[np.int64]
    mean_ers_before: NDArray[np.float64]
    mean_ers_after: NDArray[np.float64]

    def __getitem__(self, subject_id: str) -> SubjectChange:
        i = self.positions[subject_id]
        before = float(self.mean_ers_before[i])
        return SubjectChange(
            subject_key=int(self.subject_keys[i]),
            created=bool(self.created[i]),
            face_count=int(self.face_counts[i]),
            searchable_face_count=int(self.searchable_face_counts[i]),
            mean_ers_before=None if np.isnan(before) else before,
            mean_ers_after=float(self.mean_ers_after[i]),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True)
class TemplateRecipe:
    """What decides the template of a subject's faces: templates of one recipe can share an index."""

    profile_key: int
    enhance_features: bool
    weighting: Weighting
    media_pooling: bool

    @classmethod
    def of(cls, profile_key: int, settings: GallerySettings) -> Self:
        """Return the recipe of a gallery."""
        return cls(profile_key, settings.enhance_features, settings.template_weighting, settings.template_media_pooling)


@dataclass(frozen=True, slots=True, eq=False)
class MemberSums:
    """The sums of all faces of a subject up to one of them."""

    subject_key: int
    last_face_id: int
    sums: TemplateSums = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class PooledSubjects:
    """The templates of subjects that a write touched.

    subject_keys (n,): all of them. rows: of those whose template has a direction. sums: of those to be remembered.
    """

    recipe: TemplateRecipe
    subject_keys: NDArray[np.int64]
    rows: IndexRows
    sums: tuple[MemberSums, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """An enrolment as it was stored: face_ids and subject_keys (n,) in the order of the faces, subjects by their id.

    Face ids rise. Without faces the revision is the present one, for nothing changed. pooled: these subjects as they
    are now, where the gallery is searched by template and they were to be pooled, else None.
    """

    revision: int
    face_ids: NDArray[np.int64]
    subject_keys: NDArray[np.int64]
    subjects: SubjectChanges
    pooled: PooledSubjects | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer to an enrolment that was done before under the same request id."""

    response: bytes = field(repr=False)
    revision: int


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """An enrolment remembered by its request id."""

    request_id: str
    fingerprint: bytes
    response: bytes = field(repr=False)
    revision: int
    create_time: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class DeletedFace:
    """A face that is gone, with whose it was. pooled: what is left of its subject, as of an enrolment."""

    revision: int
    subject_key: int
    had_image: bool
    pooled: PooledSubjects | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DeletedSubject:
    """A subject that is gone, with the ids of its faces (n,) in rising order."""

    revision: int
    subject_key: int
    face_ids: NDArray[np.int64]
    images: int


@dataclass(frozen=True, slots=True)
class DeletedGallery:
    """A gallery that is gone, with what it held."""

    subjects: int
    faces: int
    images: int


@dataclass(frozen=True, slots=True)
class Rescored:
    """A gallery under another profile, and how many faces were scored again."""

    revision: int
    face_count: int


@dataclass(frozen=True, slots=True)
class GalleryTotals:
    """What a gallery holds; the searchable count is under the gate that was given."""

    subjects: int
    faces: int
    searchable_faces: int


class Erased(enum.Enum):
    """Whether deleted rows are gone from the database's files.

    PENDING: a reader needs SQLite's log, which will be emptied later. LEFT_TO_VACUUM: PostgreSQL overwrites
    them when it sees fit.
    """

    YES = "YES"
    PENDING = "PENDING"
    LEFT_TO_VACUUM = "LEFT_TO_VACUUM"


class ChangeKind(enum.Enum):
    """What a revision of a gallery did."""

    ENROLL = "ENROLL"
    DELETE_FACE = "DELETE_FACE"
    DELETE_SUBJECT = "DELETE_SUBJECT"
    RESCORE = "RESCORE"
    SETTINGS = "SETTINGS"


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One revision of a gallery, with what is needed to replay it onto an index.

    added_face_ids: of ENROLL, a run without gaps, some of which may be deleted since. removed_face_ids (n,) int64: of
    the two deletions, as the key of the subject that they took them from, which is None in the log of an older version.
    After RESCORE all faces must be loaded again.
    """

    revision: int
    kind: ChangeKind
    added_face_ids: range
    removed_face_ids: NDArray[np.int64]
    subject_key: int | None
    create_time: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class GallerySnapshot:
    """A gallery and its faces at one revision, face by face or subject by subject; read while the snapshot is open."""

    gallery: GalleryRecord
    chunks: Iterator[StoredFaces]
    subjects: Iterator[tuple[SubjectFaces, ...]]
