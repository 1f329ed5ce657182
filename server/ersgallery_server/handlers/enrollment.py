"""EnrollmentService."""

import hashlib
from collections.abc import Iterable, Iterator

from ersgallery.v1 import enrollment_service_pb2 as pb

from ersgallery_server.call import Call
from ersgallery_server.errors import BatchTooLarge, InvalidRequest
from ersgallery_server.gallery.enrollment import DISPOSITIONS, EnrollmentItem, EnrollmentReport, FaceOutcomes
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.inputs import Member
from ersgallery_server.handlers import checks, names
from ersgallery_server.handlers.answers import face_box
from ersgallery_server.handlers.streams import Begun, answer_ahead
from ersgallery_server.status import to_status
from ersgallery_server.store import Replay
from ersgallery_server.values import Metadata

MAX_ITEMS = 1000
MAX_FACES = 1000
MAX_REQUEST_ID_CHARACTERS = 128

_AHEAD = 1
"""Batches of a stream that wait while one is stored: more would not be faster, and a batch may have many megabytes."""

_NO_METADATA: Metadata = {}
_DISPOSITIONS = [pb.Disposition.Value(f"DISPOSITION_{disposition.value}") for disposition in DISPOSITIONS]


class EnrollmentHandlers:
    """Adds faces to galleries."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    def enroll_faces(self, request: pb.EnrollFacesRequest, call: Call) -> pb.EnrollFacesResponse:
        """Enrol a batch."""
        return self._begin(request, call).finish()

    def stream_enroll_faces(
        self, requests: Iterable[pb.StreamEnrollFacesRequest], call: Call
    ) -> Iterator[pb.StreamEnrollFacesResponse]:
        """Enrol batch after batch; a batch that is refused does not end the stream.

        The next is checked and scored while the one before is stored, up to the first with a photograph: acquiring
        these waits for a model, and what comes later must not be stored before.
        """
        photographs = False

        def begin(batch: pb.EnrollFacesRequest) -> Begun[pb.EnrollFacesResponse]:
            nonlocal photographs
            photographs = photographs or any(map(_has_photograph, batch.enrollments))
            if photographs:
                return Begun(lambda: self.enroll_faces(batch, call))
            return self._begin(batch, call)

        return answer_ahead(requests, begin, pb.StreamEnrollFacesResponse, ahead=_AHEAD)

    def _begin(self, request: pb.EnrollFacesRequest, call: Call) -> Begun[pb.EnrollFacesResponse]:
        gallery_id = names.parse_gallery("parent", request.parent)
        gallery = self._galleries.get(gallery_id)
        checks.check_count("enrollments", len(request.enrollments), MAX_ITEMS)
        enrollments = list(request.enrollments)  # kept, for protobuf makes such objects anew at each reading
        faces = sum(map(_face_count, enrollments))
        if faces > MAX_FACES:
            raise BatchTooLarge("faces", faces, MAX_FACES)
        identity = _request_identity(request)
        items = [_item_or_refusal(i, enrollment) for i, enrollment in enumerate(enrollments)]
        answers: list[pb.EnrollFacesResponse] = []

        def encode(made: EnrollmentReport) -> bytes:
            answers.append(_response(gallery_id, made))
            return answers[-1].SerializeToString()

        begun = gallery.begin_enroll(items, identity, encode, call)

        def finish() -> pb.EnrollFacesResponse:
            report = begun.finish()
            if isinstance(report, Replay):
                return pb.EnrollFacesResponse.FromString(report.response)
            return answers[-1] if answers else _response(gallery_id, report)

        return Begun(finish, begun.stored)


def _has_photograph(message: pb.Enrollment) -> bool:
    if message.HasField("template"):
        return any(member.HasField("image") for member in message.template.members)
    return message.HasField("image")


def _face_count(message: pb.Enrollment) -> int:
    """Return how many faces an item has; a template of none is one item that is wrong."""
    return max(1, len(message.template.members)) if message.HasField("template") else 1


def _request_identity(request: pb.EnrollFacesRequest) -> tuple[str, bytes] | None:
    """Return the request_id with a fingerprint of the body, None without a request_id."""
    if not request.request_id:
        return None
    checks.check_text("request_id", request.request_id, MAX_REQUEST_ID_CHARACTERS)
    return request.request_id, hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _item_or_refusal(i: int, message: pb.Enrollment) -> EnrollmentItem | InvalidRequest | BatchTooLarge:
    """Return an item, or why it is refused, which in a batch is its own outcome."""
    try:
        return _item(f"enrollments[{i}]", message)
    except (InvalidRequest, BatchTooLarge) as refusal:
        return refusal


def _item(field: str, message: pb.Enrollment) -> EnrollmentItem:
    metadata, display_name = message.metadata, message.subject_display_name
    if display_name:
        checks.check_text(f"{field}.subject_display_name", display_name, checks.MAX_LABEL_CHARACTERS)
    return EnrollmentItem(
        subject_id=names.subject_id(f"{field}.subject_id", message.subject_id),
        members=_members(field, message),
        metadata=checks.check_metadata(f"{field}.metadata", metadata) if metadata else _NO_METADATA,
        subject_display_name=display_name,
    )


def _members(field: str, message: pb.Enrollment) -> tuple[Member, ...]:
    if media_id := message.media_id:
        checks.check_text(f"{field}.media_id", media_id, checks.MAX_MEDIA_CHARACTERS)
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
    response = pb.EnrollFacesResponse(revision=report.revision)
    # Filled in place: building each message by itself and copying it into the next costs three times as much.
    for i, item in enumerate(report.items):
        outcome = response.outcomes.add()
        if error := report.errors.get(i):
            outcome.error.CopyFrom(to_status(error))
        elif isinstance(item, EnrollmentItem):
            _fill_result(outcome.result, gallery_id, item, report, i)
    return response


def _fill_result(
    result: pb.EnrollmentResult, gallery_id: str, item: EnrollmentItem, report: EnrollmentReport, i: int
) -> None:
    places = range(report.starts[i], report.starts[i + 1])
    subject = names.subject_name(gallery_id, item.subject_id)
    result.disposition = _DISPOSITIONS[min(report.faces.dispositions[place] for place in places)]
    result.subject = subject
    for place in places:
        _fill_face(result.faces.add(), subject, report.faces, place)
    for warning in report.warnings.get(i, ()):
        result.warnings.append(pb.EnrollmentWarning.Value(f"ENROLLMENT_WARNING_{warning.value}"))
    if duplicate := report.duplicates.get(i):
        result.duplicate_of.subject = names.subject_name(gallery_id, duplicate.subject_id)
        result.duplicate_of.similarity = duplicate.similarity


def _fill_face(face: pb.FaceOutcome, subject: str, faces: FaceOutcomes, place: int) -> None:
    face.disposition = _DISPOSITIONS[faces.dispositions[place]]
    if place in faces.reasons:
        reason, face.detail = faces.reasons[place]
        face.reasons.append(pb.EnrollmentReason.Value(f"ENROLLMENT_REASON_{reason}"))
    if (face_id := faces.face_ids[place]) is not None:
        face.face = f"{subject}/faces/{face_id}"
    ers, raw_ers, norm = faces.ers[place], faces.raw_ers[place], faces.norms[place]
    if ers is not None and raw_ers is not None and norm is not None:
        score = face.recognizability
        score.ers, score.raw_ers, score.embedding_norm = ers, raw_ers, norm
        if place in faces.boxes:
            score.box.CopyFrom(face_box(faces.boxes[place]))
