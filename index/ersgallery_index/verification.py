"""Verification: is this probe that person (1:1)? Both sides must be recognizable (eq. 2)."""

import numpy as np

from ersgallery_index.embeddings import WRONG_DIMENSION
from ersgallery_index.errors import InvalidEmbedding
from ersgallery_index.interface import FloatRows, Snapshot, VectorIndex
from ersgallery_index.policy import Policy
from ersgallery_index.representation import Representation
from ersgallery_index.results import Decision, Recognizability, UnsureReason, Verification
from ersgallery_index.sums import Float64, row_dots


def verify(probe: Representation, reference: Representation, policy: Policy) -> Verification:
    """Compare two representations of one row each; gamma gates both.

    UNSURE, with a reason for each side that fails, gives no similarity.
    Raises InvalidEmbedding when the sides differ in dimension.
    """
    if probe.vectors.shape[1] != reference.vectors.shape[1]:
        raise InvalidEmbedding(WRONG_DIMENSION)
    sides = {
        UnsureReason.PROBE_UNRECOGNIZABLE: bool(probe.passes(policy.gamma)[0]),
        UnsureReason.REFERENCE_UNRECOGNIZABLE: bool(reference.passes(policy.gamma)[0]),
    }
    reasons = tuple(reason for reason, passes in sides.items() if not passes)
    similarity = None if reasons else float(_similarities(probe, reference.vectors)[0])
    return Verification(
        decision=_decide(similarity, policy),
        reasons=reasons,
        similarity=similarity,
        probe=probe.recognizability(0),
        reference=reference.recognizability(0),
    )


def verify_subject(index: VectorIndex, probe: Representation, subject_id: int, policy: Policy) -> Verification:
    """Compare a probe of one row with an enrolled subject's best face whose ERS is at least gamma_gallery.

    A subject without such a face is UNSURE, REFERENCE_UNRECOGNIZABLE. Where no similarity is taken, `reference` is
    that of the subject's most recognizable face (None when it has no face at all). Of an enrolled face the index
    knows the capped ERS only, so raw_ers repeats it. Raises InvalidEmbedding for another dimension than the index's.
    """
    if probe.vectors.shape[1] != index.dimension:
        raise InvalidEmbedding(WRONG_DIMENSION)
    faces = index.subject_faces(subject_id)
    gate = np.flatnonzero(faces.ers >= policy.gamma_gallery)
    sides = {
        UnsureReason.PROBE_UNRECOGNIZABLE: bool(probe.passes(policy.gamma)[0]),
        UnsureReason.REFERENCE_UNRECOGNIZABLE: len(gate) > 0,
    }
    reasons = tuple(reason for reason, passes in sides.items() if not passes)
    if reasons:
        return Verification(
            decision=Decision.UNSURE,
            reasons=reasons,
            similarity=None,
            probe=probe.recognizability(0),
            reference=_recognizability(faces, int(np.argmax(faces.ers))) if len(faces.ers) else None,
        )
    scores = _similarities(probe, faces.vectors[gate])
    # Rows come by face id, and argmax takes the first: the lower id among equals.
    best = int(np.argmax(scores))
    return Verification(
        decision=_decide(float(scores[best]), policy),
        reasons=(),
        similarity=float(scores[best]),
        probe=probe.recognizability(0),
        reference=_recognizability(faces, int(gate[best])),
        reference_face_id=int(faces.face_ids[gate[best]]),
    )


def _similarities(probe: Representation, vectors: FloatRows) -> Float64:
    return row_dots(vectors.astype(np.float64), probe.vectors[0].astype(np.float64))


def _decide(similarity: float | None, policy: Policy) -> Decision:
    if similarity is None:
        return Decision.UNSURE
    return Decision.MATCH if similarity >= policy.tau else Decision.NO_MATCH


def _recognizability(faces: Snapshot, row: int) -> Recognizability:
    ers = float(faces.ers[row])
    return Recognizability(ers=ers, raw_ers=ers)
