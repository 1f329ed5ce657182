"""What is stored: galleries, subjects and faces."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ersgallery_client.values.policies import (
    DuplicateCheck,
    EffectivePolicy,
    GalleryWarning,
    IndexKind,
    LowErsPolicy,
    SeveralFacesPolicy,
    SubjectSearch,
    Weighting,
)
from ersgallery_client.values.recognizability import Recognizability


@dataclass(frozen=True, slots=True)
class GalleryCounts:
    """What a gallery holds, and how often photographs failed.

    searchable_faces: at or above the present gamma_gallery. failures_to_acquire: of acquisition_attempts, photographs
    without a usable face. failures_to_enroll: of enrollment_attempts, faces that were not stored.
    """

    subjects: int
    faces: int
    searchable_faces: int
    acquisition_attempts: int
    failures_to_acquire: int
    enrollment_attempts: int
    failures_to_enroll: int


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """The index that answers: its kind, where it runs (`cpu`, `cuda:N`) and what a score is worth.

    kind: `exact`, `fast` or `approximate`. capacity_faces: with a gallery, how many faces fit into the server's memory,
    those that are there included; None where unknown.
    """

    kind: str
    device: str
    precision: str
    capacity_faces: int | None = None


@dataclass(frozen=True, slots=True)
class Gallery:
    """A set of enrolled subjects that is searched as one, with its profile and thresholds.

    profile: with version, such as `sface@1`. gamma, gamma_gallery, margin: as set, None for the default; `effective`
    has what is in force. subject_search: by what subjects are found; template_weighting and template_media_pooling say
    how templates are made. tau_subjects: the number of subjects that tau was chosen for, None where unknown.
    index_kind: as set; `index` has what answers. duplicate_threshold: None for tau. revision: grows with every change.
    etag: for updates that must not overwrite another's.
    """

    id: str
    display_name: str
    profile: str
    model: str
    dimension: int
    gamma: float | None
    gamma_gallery: float | None
    tau: float
    margin: float | None
    enhance_features: bool
    several_faces: SeveralFacesPolicy
    low_ers: LowErsPolicy
    store_images: bool
    subject_search: SubjectSearch
    template_weighting: Weighting
    template_media_pooling: bool
    tau_subjects: int | None
    index_kind: IndexKind
    warnings: tuple[GalleryWarning, ...]
    effective: EffectivePolicy
    counts: GalleryCounts
    revision: int
    index: IndexDescription
    etag: str
    create_time: datetime
    update_time: datetime
    duplicate_check: DuplicateCheck = DuplicateCheck.OFF
    duplicate_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """An enrolled person. At searchable_face_count 0 no probe can find the subject by its best face.

    template_ers: the ERS of its template, which counts where subjects are searched by template; 0 without faces.
    """

    gallery_id: str
    id: str
    display_name: str
    metadata: Mapping[str, str]
    face_count: int
    searchable_face_count: int
    template_ers: float
    etag: str
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Face:
    """One enrolled face; searchable: at or above the gallery's present gamma_gallery."""

    gallery_id: str
    subject_id: str
    id: int
    recognizability: Recognizability
    searchable: bool
    media_id: str
    metadata: Mapping[str, str]
    has_image: bool
    etag: str
    create_time: datetime
