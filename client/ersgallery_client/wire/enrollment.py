"""Outcomes of enrolments, read from messages."""

from ersgallery.v1 import enrollment_service_pb2 as pb

from ersgallery_client.errors import GalleryError
from ersgallery_client.statuses import error_from_status
from ersgallery_client.values.enrollment import (
    Disposition,
    DuplicateOf,
    EnrollmentBatch,
    EnrollmentOutcome,
    FaceOutcome,
)
from ersgallery_client.wire.enums import DISPOSITION, ENROLLMENT_REASON, ENROLLMENT_WARNING
from ersgallery_client.wire.names import last_part
from ersgallery_client.wire.recognizability import read_recognizability


def read_batch(message: pb.EnrollFacesResponse) -> EnrollmentBatch:
    """Return what became of a batch."""
    return EnrollmentBatch(tuple(_read_outcome(outcome) for outcome in message.outcomes), message.revision)


def read_streamed_batch(message: pb.StreamEnrollFacesResponse) -> EnrollmentBatch | GalleryError:
    """Return what became of a batch of a stream, or why it was refused as a whole."""
    if message.HasField("error"):
        return error_from_status(message.error)
    return read_batch(message.response)


def _read_outcome(message: pb.EnrollmentOutcome) -> EnrollmentOutcome:
    if message.HasField("error"):
        return EnrollmentOutcome(Disposition.REJECTED, "", (), (), error_from_status(message.error))
    result = message.result
    other = result.duplicate_of
    return EnrollmentOutcome(
        disposition=DISPOSITION.read(result.disposition),
        subject_id=last_part(result.subject),
        faces=tuple(_read_face(face) for face in result.faces),
        warnings=tuple(ENROLLMENT_WARNING.read(warning) for warning in result.warnings),
        error=None,
        duplicate_of=DuplicateOf(last_part(other.subject), other.similarity)
        if result.HasField("duplicate_of")
        else None,
    )


def _read_face(message: pb.FaceOutcome) -> FaceOutcome:
    has_ers = message.HasField("recognizability")
    return FaceOutcome(
        disposition=DISPOSITION.read(message.disposition),
        reasons=tuple(ENROLLMENT_REASON.read(reason) for reason in message.reasons),
        detail=message.detail,
        face_id=int(last_part(message.face)) if message.face else None,
        recognizability=read_recognizability(message.recognizability) if has_ers else None,
    )
