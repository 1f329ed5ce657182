"""What became of an enrolment."""

import enum
from dataclasses import dataclass

from ersgallery_client.errors import GalleryError
from ersgallery_client.values.recognizability import Recognizability


class Disposition(enum.StrEnum):
    """What became of a face: searchable, stored but below gamma_gallery, or not stored."""

    UNSPECIFIED = "UNSPECIFIED"
    ACCEPTED = "ACCEPTED"
    LOW_ERS = "LOW_ERS"
    REJECTED = "REJECTED"


class EnrollmentReason(enum.StrEnum):
    """Why a face was not stored, or only as LOW_ERS; UNSPECIFIED is one this client is too old to know."""

    UNSPECIFIED = "UNSPECIFIED"
    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"
    IMAGE_CORRUPT = "IMAGE_CORRUPT"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_FORMAT_UNSUPPORTED = "IMAGE_FORMAT_UNSUPPORTED"
    LOW_ERS = "LOW_ERS"


class EnrollmentWarning(enum.StrEnum):
    """What was noticed at an enrolment that succeeded; UNSPECIFIED is one this client is too old to know.

    SUBJECT_NOT_SEARCHABLE: the subject has no searchable face. LOWERS_SUBJECT_ERS: the face takes the mean ERS of its
    subject below gamma_gallery. DUPLICATE_SUBJECT: a recognizable face is similar to another subject.
    """

    UNSPECIFIED = "UNSPECIFIED"
    SUBJECT_NOT_SEARCHABLE = "SUBJECT_NOT_SEARCHABLE"
    LOWERS_SUBJECT_ERS = "LOWERS_SUBJECT_ERS"
    DUPLICATE_SUBJECT = "DUPLICATE_SUBJECT"


@dataclass(frozen=True, slots=True)
class FaceOutcome:
    """What became of one face; face_id is None when REJECTED, detail is for people."""

    disposition: Disposition
    reasons: tuple[EnrollmentReason, ...]
    detail: str
    face_id: int | None
    recognizability: Recognizability | None


@dataclass(frozen=True, slots=True)
class DuplicateOf:
    """Another subject, and the largest similarity of an item's recognizable faces with it."""

    subject_id: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentOutcome:
    """What became of one item: the best disposition of its faces, and each face.

    error: where the item itself was wrong (InvalidRequest, InvalidEmbedding, ModelMismatch) or refused as a
    DuplicateSubject; then it is REJECTED and has no faces. duplicate_of: with the warning DUPLICATE_SUBJECT.
    """

    disposition: Disposition
    subject_id: str
    faces: tuple[FaceOutcome, ...]
    warnings: tuple[EnrollmentWarning, ...]
    error: GalleryError | None
    duplicate_of: DuplicateOf | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentBatch:
    """What became of a batch: one outcome per item, in order, and the revision from which they are searchable."""

    outcomes: tuple[EnrollmentOutcome, ...]
    revision: int
