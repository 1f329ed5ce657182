"""Translates the core's answers into messages."""

from collections.abc import Iterable, Mapping

from ersgallery.v1 import face_input_pb2 as face_pb
from ersgallery.v1 import gallery_pb2 as gallery_pb
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_index import DECISIONS, Hits, IndexKind, Policy, Recognizability, UnsureReason, reasons_of

from ersgallery_server.gallery.search import Applied, SearchAnswer
from ersgallery_server.handlers.names import face_of, subject_name
from ersgallery_server.values import FaceBox

DECISION_VALUES = tuple(pb.Decision.Value(f"DECISION_{decision.value}") for decision in DECISIONS)
"""By the decision's code."""


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
    gallery_id: str, answer: SearchAnswer, row: int, norm: float = 0.0, box: FaceBox | None = None
) -> pb.Identification:
    """Return the message of one probe's answer; norm and box are those of a probe that is not a template."""
    found = answer.together
    at = answer.start + row
    message = pb.Identification(
        decision=DECISION_VALUES[found.decisions[at]],
        candidates=_candidates(gallery_id, answer.subject_ids, found.hits, at),
        probe=face_pb.Recognizability(
            ers=found.ers[at],
            raw_ers=found.raw_ers[at],
            embedding_norm=norm,
            box=None if box is None else face_box(box),
        ),
    )
    if bits := found.reasons[at]:
        message.reasons.extend(reasons(reasons_of(int(bits))))
    if found.filtered is not None:
        message.filtered.extend(_candidates(gallery_id, answer.subject_ids, found.filtered, at))
    return message


def is_template(face_id: int, subject_key: int) -> bool:
    """Tell whether a row of an index is a subject's template: it then has the subject's own key."""
    return face_id == subject_key


def _candidates(gallery_id: str, subject_ids: Mapping[int, str], hits: Hits, row: int) -> list[pb.Candidate]:
    rows = slice(hits.offsets[row], hits.offsets[row + 1])
    return [
        pb.Candidate(
            subject=(subject := subject_name(gallery_id, subject_ids[key])),
            face="" if is_template(face_id, key) else face_of(subject, face_id),
            similarity=score,
            ers=ers,
        )
        for key, face_id, score, ers in zip(
            hits.subject_ids[rows].tolist(),
            hits.face_ids[rows].tolist(),
            hits.scores[rows].tolist(),
            hits.ers[rows].tolist(),
            strict=True,
        )
    ]
