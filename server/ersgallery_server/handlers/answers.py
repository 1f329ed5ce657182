"""Translates the core's answers into messages."""

from collections.abc import Iterable

from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import gallery_pb2 as gallery_pb
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import Candidate, Identification, IndexKind, Policy, Recognizability, UnsureReason

from ersgallery_server.gallery.inputs import AcquiredEmbedding
from ersgallery_server.gallery.search import Applied, SearchAnswer
from ersgallery_server.handlers.names import face_name, subject_name
from ersgallery_server.values import FaceBox


def recognizability(
    score: Recognizability | None, norm: float = 0.0, box: FaceBox | None = None
) -> face_pb.Recognizability | None:
    """Return the message of a score, None for none."""
    if score is None:
        return None
    return face_pb.Recognizability(
        ers=score.ers, raw_ers=score.raw_ers, embedding_norm=norm, box=None if box is None else face_box(box)
    )


def face_box(box: FaceBox) -> face_pb.FaceBox:
    """Return the message of a box."""
    return face_pb.FaceBox(
        x_px=box.x_px,
        y_px=box.y_px,
        width_px=box.width_px,
        height_px=box.height_px,
        detector_score=box.detector_score,
        face_count=box.face_count,
    )


def effective_policy(policy: Policy) -> gallery_pb.EffectivePolicy:
    """Return the message of gates and thresholds."""
    return gallery_pb.EffectivePolicy(
        gamma=policy.gamma, gamma_gallery=policy.gamma_gallery, tau=policy.tau, margin=policy.margin
    )


def index_description(
    kind: IndexKind, device: str, precision: str, capacity: int | None = None
) -> gallery_pb.IndexDescription:
    """Return the message of an index."""
    return gallery_pb.IndexDescription(
        kind=kind.value.lower(), device=device, precision=precision, capacity_faces=capacity
    )


def applied(what: Applied) -> pb.Applied:
    """Return the message of what produced an answer."""
    return pb.Applied(
        revision=what.revision,
        profile=f"profiles/{what.profile}",
        policy=effective_policy(what.policy),
        index=index_description(what.kind, what.device, what.precision),
    )


def reasons(found: Iterable[UnsureReason]) -> list[pb.UnsureReason.ValueType]:
    """Return the messages' enum values of reasons."""
    return [pb.UnsureReason.Value(f"UNSURE_REASON_{reason.value}") for reason in found]


def identification(
    gallery_id: str, answer: SearchAnswer, row: int, acquired: AcquiredEmbedding | None
) -> pb.Identification:
    """Return the message of one probe's answer; `acquired` is the face of a probe that is not a template."""
    found: Identification = answer.identifications.row(row)
    return pb.Identification(
        decision=pb.Decision.Value(f"DECISION_{found.decision.value}"),
        reasons=reasons(found.reasons),
        candidates=_candidates(gallery_id, answer, found.candidates),
        filtered=_candidates(gallery_id, answer, found.filtered),
        probe=recognizability(
            found.recognizability,
            acquired.norm if acquired else 0.0,
            acquired.box if acquired else None,
        ),
    )


def is_template(face_id: int, subject_key: int) -> bool:
    """Tell whether a row of an index is a subject's template: it then has the subject's own key."""
    return face_id == subject_key


def _candidates(gallery_id: str, answer: SearchAnswer, found: Iterable[Candidate]) -> list[pb.Candidate]:
    messages = []
    for candidate in found:
        subject_id = answer.subject_ids[candidate.subject_id]
        by_template = is_template(candidate.face_id, candidate.subject_id)
        messages.append(
            pb.Candidate(
                subject=subject_name(gallery_id, subject_id),
                face="" if by_template else face_name(gallery_id, subject_id, candidate.face_id),
                similarity=candidate.similarity,
                ers=candidate.ers,
            )
        )
    return messages
