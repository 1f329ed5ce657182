"""IdentificationService, verification."""

from collections.abc import Sequence

from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import Verification

from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest
from ersgallery_server.gallery.galleries import Galleries
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.inputs import AcquiredEmbedding
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.probes import PreparedProbe, arrange, prepare
from ersgallery_server.gallery.search import Applied, applied_to
from ersgallery_server.handlers import answers, checks, names
from ersgallery_server.store import FaceNotFound, Store


class VerificationHandlers:
    """Compares a probe with another probe or with a subject."""

    def __init__(self, store: Store, galleries: Galleries) -> None:
        self._store = store
        self._galleries = galleries

    def verify(self, request: pb.VerifyRequest, call: Call) -> pb.VerifyResponse:
        """Compare a probe with another probe or with a subject."""
        gallery_id = names.parse_gallery("gallery", request.gallery)
        gallery = self._galleries.get(gallery_id)
        overrides = checks.overrides(request.policy)
        several = checks.several_faces("policy.several_faces", request.policy.several_faces)
        probes = [checks.probe("probe", request.probe)]
        match request.WhichOneof("reference"):
            case "reference_probe":
                probes.append(checks.probe("reference_probe", request.reference_probe))
                sides = prepare(gallery, probes, several, call)
                return self._verify_pair(gallery, sides, overrides, call)
            case "subject":
                owner, subject_id = names.parse_subject("subject", request.subject)
                if owner != gallery_id:
                    raise InvalidRequest.field("subject", "belongs to another gallery")
                subject = self._store.subject(gallery.record.key, subject_id, 0.0)
                (probe,) = prepare(gallery, probes, several, call)
                return self._verify_subject(gallery, probe, subject_id, subject.key, overrides, call)
            case _:
                raise InvalidRequest.field("reference", "must be a reference_probe or a subject")

    def _verify_pair(
        self, gallery: Gallery, sides: Sequence[PreparedProbe], overrides: PolicyOverrides, call: Call
    ) -> pb.VerifyResponse:
        unsure = _unsure_before_search(gallery, sides, overrides)
        if unsure is not None:
            return unsure
        sets = [arrange([side], gallery.state.index.dimension)[0] for side in sides]
        verification, applied = gallery.verify(sets[0], sets[1], overrides, call)
        return _verification(verification, applied, sides)

    def _verify_subject(
        self,
        gallery: Gallery,
        probe: PreparedProbe,
        subject_id: str,
        subject_key: int,
        overrides: PolicyOverrides,
        call: Call,
    ) -> pb.VerifyResponse:
        unsure = _unsure_before_search(gallery, [probe], overrides)
        if unsure is not None:
            return unsure
        probe_set, _ = arrange([probe], gallery.state.index.dimension)
        verification, applied = gallery.verify_subject(probe_set, subject_key, overrides, call)
        message = _verification(verification, applied, [probe])
        face_id = verification.reference_face_id
        if face_id is not None and not answers.is_template(face_id, subject_key):
            self._describe_face(message, gallery, subject_id, face_id)
        return message

    def _describe_face(self, message: pb.VerifyResponse, gallery: Gallery, subject_id: str, face_id: int) -> None:
        """Say what the store knows of the face that was best; the index holds no more than its ERS."""
        message.reference_face = names.face_name(gallery.record.gallery_id, subject_id, face_id)
        try:
            record = self._store.face(gallery.record.key, subject_id, face_id)
        except FaceNotFound:  # deleted since the index answered
            return
        message.reference.raw_ers = record.raw_ers
        message.reference.embedding_norm = record.embedding_norm
        if record.box is not None:
            message.reference.box.CopyFrom(answers.face_box(record.box))


def _unsure_before_search(
    gallery: Gallery, sides: Sequence[PreparedProbe], overrides: PolicyOverrides
) -> pb.VerifyResponse | None:
    """Return UNSURE where a side has no face, None where both can be compared; raises a side's error."""
    for side in sides:
        if side.error:
            raise side.error
    reasons = [reason for side in sides for reason in side.reasons]
    if not reasons:
        return None
    gallery.figures.unverified(reasons[0])
    state = gallery.state
    applied = applied_to(state, overrides.over(state.policy))
    return pb.VerifyResponse(
        decision=pb.DECISION_UNSURE,
        reasons=answers.reasons(dict.fromkeys(reasons)),
        applied=answers.applied(applied),
    )


def _verification(found: Verification, applied: Applied, sides: Sequence[PreparedProbe]) -> pb.VerifyResponse:
    contents = [side.content if isinstance(side.content, AcquiredEmbedding) else None for side in sides]
    scores = (found.probe, found.reference)
    messages = [
        answers.recognizability(score, content.norm if content else 0.0, content.box if content else None)
        for score, content in zip(scores, [*contents, None][:2], strict=True)
    ]
    return pb.VerifyResponse(
        decision=pb.Decision.Value(f"DECISION_{found.decision.value}"),
        reasons=answers.reasons(found.reasons),
        similarity=found.similarity,
        probe=messages[0],
        reference=messages[1],
        applied=answers.applied(applied),
    )
