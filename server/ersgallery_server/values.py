"""The service's own values: what a gallery, a subject and a face are between the handlers and the store."""

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

import numpy as np
from ersgallery_index import IndexKind, Policy, Profile, Weighting
from numpy.typing import NDArray

Metadata = Mapping[str, str]
T = TypeVar("T")


class SeveralFaces(enum.Enum):
    """Which face of a photograph counts when it has several."""

    LARGEST = "LARGEST"
    REJECT = "REJECT"


class LowErs(enum.Enum):
    """What becomes of a face below gamma_gallery at enrolment."""

    STORE = "STORE"
    REJECT = "REJECT"


class DuplicateCheck(enum.Enum):
    """What happens at the enrolment of a recognizable face that is similar to another subject."""

    OFF = "OFF"
    WARN = "WARN"
    REFUSE = "REFUSE"


class SubjectSearch(enum.Enum):
    """By what a subject is found: the best of its faces, or the template of them all."""

    BEST_FACE = "BEST_FACE"
    TEMPLATE = "TEMPLATE"


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """One immutable version of a recognizability profile; `profile_id@version` names it."""

    key: int
    profile_id: str
    version: int
    profile: Profile
    description: str
    sha256: str
    create_time: dt.datetime

    @property
    def reference(self) -> str:
        """Return `profile_id@version`."""
        return f"{self.profile_id}@{self.version}"


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """What the caller chose for a gallery. None stands for a default: gamma the profile's, gamma_gallery as gamma.

    tau_subjects: the number of subjects that tau was chosen for; None: unknown. index_kind: APPROXIMATE alone can
    change an answer. duplicate_threshold: None for tau.
    """

    tau: float
    display_name: str = ""
    gamma: float | None = None
    gamma_gallery: float | None = None
    margin: float | None = None
    enhance_features: bool = False
    several_faces: SeveralFaces = SeveralFaces.LARGEST
    low_ers: LowErs = LowErs.STORE
    store_images: bool = False
    subject_search: SubjectSearch = SubjectSearch.BEST_FACE
    template_weighting: Weighting = Weighting.SQUARE
    template_media_pooling: bool = False
    tau_subjects: int | None = None
    index_kind: IndexKind = IndexKind.AUTO
    duplicate_check: DuplicateCheck = DuplicateCheck.OFF
    duplicate_threshold: float | None = None

    def policy(self, profile: Profile) -> Policy:
        """Return the gates and thresholds in force under a profile."""
        gamma = profile.gamma if self.gamma is None else self.gamma
        gamma_gallery = gamma if self.gamma_gallery is None else self.gamma_gallery
        return Policy(gamma=gamma, gamma_gallery=gamma_gallery, tau=self.tau, margin=self.margin)


@dataclass(frozen=True, slots=True)
class AcquisitionCounts:
    """What ISO/IEC 19795 calls failures to acquire and to enrol, with the attempts that they are shares of."""

    acquisition_attempts: int = 0
    failures_to_acquire: int = 0
    enrollment_attempts: int = 0
    failures_to_enroll: int = 0

    def __add__(self, other: "AcquisitionCounts") -> "AcquisitionCounts":
        return AcquisitionCounts(
            self.acquisition_attempts + other.acquisition_attempts,
            self.failures_to_acquire + other.failures_to_acquire,
            self.enrollment_attempts + other.enrollment_attempts,
            self.failures_to_enroll + other.failures_to_enroll,
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many galleries there may be, and faces in each; 0 for no limit."""

    galleries: int = 0
    faces_per_gallery: int = 0


UNLIMITED = Capacity()


@dataclass(frozen=True, slots=True)
class GalleryRecord:
    """A gallery as the store holds it. `version` counts changes of its settings, `revision` all changes."""

    key: int
    gallery_id: str
    settings: GallerySettings
    profile: ProfileVersion
    revision: int
    version: int
    counts: AcquisitionCounts
    create_time: dt.datetime
    update_time: dt.datetime


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """An enrolled person. `face_count` is filled in where it was asked for; template_ers is its faces' mean ERS."""

    key: int
    subject_id: str
    display_name: str
    metadata: Metadata
    version: int
    create_time: dt.datetime
    update_time: dt.datetime
    face_count: int = 0
    searchable_face_count: int = 0
    template_ers: float = 0.0


@dataclass(frozen=True, slots=True)
class FaceBox:
    """Where a face stands in its photograph, in pixels after EXIF orientation."""

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    detector_score: float
    face_count: int


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """An enrolled face without its embedding."""

    face_id: int
    subject_key: int
    subject_id: str
    ers: float
    raw_ers: float
    embedding_norm: float
    media_id: str
    metadata: Metadata
    has_image: bool
    version: int
    create_time: dt.datetime
    box: FaceBox | None = None


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face to be stored: the un-centred unit embedding (d,) float32 with what was measured on it."""

    subject_id: str
    embedding: NDArray[np.float32] = field(repr=False)
    embedding_norm: float
    ers: float
    raw_ers: float
    media_id: str = ""
    metadata: Metadata = field(default_factory=dict)
    subject_display_name: str = ""
    box: FaceBox | None = None
    image: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class NewFaces:
    """Faces to be stored, in columns: un-centred unit embeddings (n, d) float32 with what was measured on each.

    display_names: for the subjects that are made. A batch is kept in columns because an object per face would cost more
    than the database.
    """

    subject_ids: Sequence[str]
    embeddings: NDArray[np.float32] = field(repr=False)
    embedding_norms: NDArray[np.float64]
    ers: NDArray[np.float64]
    raw_ers: NDArray[np.float64]
    media_ids: Sequence[str]
    metadata: Sequence[Metadata]
    display_names: Sequence[str]
    boxes: Sequence[FaceBox | None]
    images: Sequence[bytes | None] = field(repr=False)

    @classmethod
    def of(cls, faces: Sequence[NewFace]) -> Self:
        """Return single faces as columns; raises ValueError where their embeddings have several dimensions."""
        return cls(
            subject_ids=[face.subject_id for face in faces],
            embeddings=np.stack([face.embedding for face in faces]) if faces else np.empty((0, 0), np.float32),
            embedding_norms=np.array([face.embedding_norm for face in faces], np.float64),
            ers=np.array([face.ers for face in faces], np.float64),
            raw_ers=np.array([face.raw_ers for face in faces], np.float64),
            media_ids=[face.media_id for face in faces],
            metadata=[face.metadata for face in faces],
            display_names=[face.subject_display_name for face in faces],
            boxes=[face.box for face in faces],
            images=[face.image for face in faces],
        )

    def __len__(self) -> int:
        return len(self.subject_ids)


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """Rows of the store as arrays, ordered by face id: what an index or a new scoring is built from."""

    face_ids: NDArray[np.int64]
    subject_keys: NDArray[np.int64]
    ers: NDArray[np.float64]
    embeddings: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SubjectFaces:
    """Stored faces of one subject by face id: unit embeddings (n, d) float32 and their media; n may be 0.

    last_face_id: of the last of them; 0 where there is none.
    """

    subject_key: int
    embeddings: NDArray[np.float32] = field(repr=False)
    media: tuple[str, ...]
    last_face_id: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_key` is None at the end."""

    items: tuple[T, ...]
    next_key: str | None


class Identifications(enum.Enum):
    """How much is written down of calls that bring probes. SUMMARY: counts by caller, gallery and outcome."""

    OFF = "off"
    SUMMARY = "summary"
    EACH = "each"
