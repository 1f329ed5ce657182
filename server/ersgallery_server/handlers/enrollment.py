"""EnrollmentService."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial

from ersgallery.v1 import enrollment_service_pb2 as pb

from ersgallery_server.call import Call
from ersgallery_server.errors import BatchTooLarge, InvalidRequest
from ersgallery_server.gallery.enrollment import (
    EnrollmentItem,
    EnrollmentReport,
    FaceOutcome,
    ItemOutcome,
    ItemResult,
)
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.inputs import Member
from ersgallery_server.handlers import checks, names
from ersgallery_server.handlers.answers import recognizability
from ersgallery_server.handlers.streams import answer_each
from ersgallery_server.status import to_status
from ersgallery_server.store import Replay

MAX_ITEMS = 1000
MAX_FACES = 1000
MAX_REQUEST_ID_CHARACTERS = 128


class EnrollmentHandlers:
    """Adds faces to galleries."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    def enroll_faces(self, request: pb.EnrollFacesRequest, call: Call) -> pb.EnrollFacesResponse:
        """Enrol a batch."""
        gallery_id = names.parse_gallery("parent", request.parent)
        gallery = self._galleries.get(gallery_id)
        checks.check_count("enrollments", len(request.enrollments), MAX_ITEMS)
        # A template of none is one item that is wrong.
        faces = sum(max(1, len(enrollment.template.members)) for enrollment in request.enrollments)
        if faces > MAX_FACES:
            raise BatchTooLarge("faces", faces, MAX_FACES)
        identity = _request_identity(request)
        items = [
            checks.or_refusal(partial(_item, f"enrollments[{i}]", enrollment))
            for i, enrollment in enumerate(request.enrollments)
        ]
        report = gallery.enroll(items, identity, lambda made: _response(gallery_id, made).SerializeToString(), call)
        if isinstance(report, Replay):
            return pb.EnrollFacesResponse.FromString(report.response)
        return _response(gallery_id, report)

    def stream_enroll_faces(
        self, requests: Iterable[pb.StreamEnrollFacesRequest], call: Call
    ) -> Iterator[pb.StreamEnrollFacesResponse]:
        """Enrol batch after batch; a batch that is refused does not end the stream."""
        return answer_each(requests, lambda batch: self.enroll_faces(batch, call), pb.StreamEnrollFacesResponse)


def _request_identity(request: pb.EnrollFacesRequest) -> tuple[str, bytes] | None:
    """Return the request_id with a fingerprint of the body, None without a request_id."""
    if not request.request_id:
        return None
    checks.check_text("request_id", request.request_id, MAX_REQUEST_ID_CHARACTERS)
    return request.request_id, hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _item(field: str, message: pb.Enrollment) -> EnrollmentItem:
    return EnrollmentItem(
        subject_id=names.subject_id(f"{field}.subject_id", message.subject_id),
        members=_members(field, message),
        metadata=checks.check_metadata(f"{field}.metadata", message.metadata),
        subject_display_name=checks.check_text(
            f"{field}.subject_display_name", message.subject_display_name, checks.MAX_LABEL_CHARACTERS
        ),
    )


def _members(field: str, message: pb.Enrollment) -> tuple[Member, ...]:
    media_id = checks.check_text(f"{field}.media_id", message.media_id, checks.MAX_MEDIA_CHARACTERS)
    match message.WhichOneof("source"):
        case "embedding":
            return (Member(checks.embedding(f"{field}.embedding", message.embedding), media_id),)
        case "image":
            return (Member(checks.image(f"{field}.image", message.image), media_id),)
        case "template":
            return checks.members(f"{field}.template", message.template)
        case _:
            raise InvalidRequest.field(field, "must have an embedding, an image or a template")


def _response(gallery_id: str, report: EnrollmentReport) -> pb.EnrollFacesResponse:
    return pb.EnrollFacesResponse(
        outcomes=[_outcome(gallery_id, outcome) for outcome in report.outcomes], revision=report.revision
    )


def _outcome(gallery_id: str, outcome: ItemOutcome) -> pb.EnrollmentOutcome:
    if not isinstance(outcome, ItemResult):
        return pb.EnrollmentOutcome(error=to_status(outcome))
    return pb.EnrollmentOutcome(
        result=pb.EnrollmentResult(
            disposition=pb.Disposition.Value(f"DISPOSITION_{outcome.disposition.value}"),
            subject=names.subject_name(gallery_id, outcome.subject_id),
            faces=[_face(gallery_id, outcome.subject_id, face) for face in outcome.faces],
            warnings=[
                pb.EnrollmentWarning.Value(f"ENROLLMENT_WARNING_{warning.value}") for warning in outcome.warnings
            ],
        )
    )


def _face(gallery_id: str, subject_id: str, face: FaceOutcome) -> pb.FaceOutcome:
    return pb.FaceOutcome(
        disposition=pb.Disposition.Value(f"DISPOSITION_{face.disposition.value}"),
        reasons=[pb.EnrollmentReason.Value(f"ENROLLMENT_REASON_{face.reason}")] if face.reason else [],
        detail=face.detail,
        face="" if face.face_id is None else names.face_name(gallery_id, subject_id, face.face_id),
        recognizability=recognizability(face.recognizability, face.embedding_norm, face.box),
    )
