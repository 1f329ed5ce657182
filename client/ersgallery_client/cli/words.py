"""Answers in plain words."""

from ersgallery_client.values.enrollment import EnrollmentOutcome
from ersgallery_client.values.erasure import ErasedDatabase, Erasure
from ersgallery_client.values.identification import Candidate, Decision, Identification, UnsureReason, Verification
from ersgallery_client.values.recognizability import Recognizability

ENROLLMENT = {
    "NO_FACE": "no face was found",
    "SEVERAL_FACES": "several faces, one is wanted",
    "IMAGE_CORRUPT": "the file is corrupt or cut short",
    "IMAGE_TOO_LARGE": "the file exceeds the server's limit",
    "IMAGE_FORMAT_UNSUPPORTED": "neither JPEG, PNG nor WebP",
    "LOW_ERS": "hardly recognizable: below gamma_gallery",
    "FILE_UNREADABLE": "the file cannot be read",
}


ERASED = {
    ErasedDatabase.ERASED: "overwritten in the database",
    ErasedDatabase.PENDING: "still in the database's log, which a reader needs; it will be emptied after that",
    ErasedDatabase.LEFT_TO_VACUUM: "dead in the database, overwritten after its VACUUM",
}


def erased(name: str, receipt: Erasure) -> str:
    """Say what a deletion erased."""
    gone = f"{name} is deleted: {receipt.deleted_faces} faces, {receipt.deleted_images} photographs"
    return f"{gone}; {ERASED[receipt.database]}" if receipt.database in ERASED else gone


def explain(answer: Identification) -> str:
    """Say why a search ended as it did."""
    policy = answer.applied.policy
    best = answer.candidates[0] if answer.candidates else None
    match answer.decision:
        case Decision.MATCH if best is not None:
            return f"similarity {best.similarity:.3f} >= tau {policy.tau:g}"
        case Decision.NO_MATCH if best is not None:
            return (
                f"nobody in the gallery: the nearest is {best.subject_id}, {best.similarity:.3f} < tau {policy.tau:g}"
            )
        case Decision.NO_MATCH:
            return "nobody in the gallery: it has no searchable face"
    return "; ".join(_unsure(reason, answer) for reason in answer.reasons)


def explain_verification(answer: Verification) -> str:
    """Say why a comparison ended as it did."""
    tau = answer.applied.policy.tau
    if answer.similarity is not None and answer.decision is Decision.MATCH:
        return f"the same person: similarity {answer.similarity:.3f} >= tau {tau:g}"
    if answer.similarity is not None and answer.decision is Decision.NO_MATCH:
        return f"different people: similarity {answer.similarity:.3f} < tau {tau:g}"
    words = {
        UnsureReason.PROBE_UNRECOGNIZABLE: _too_poor("the first face", answer.probe, answer.applied.policy.gamma),
        UnsureReason.REFERENCE_UNRECOGNIZABLE: _reference(answer),
        UnsureReason.NO_FACE: "a photograph has no face",
        UnsureReason.SEVERAL_FACES: "a photograph has several faces, one is wanted",
    }
    return "; ".join(words.get(reason, reason.value) for reason in answer.reasons)


def explain_enrollment(outcome: EnrollmentOutcome) -> tuple[str, str]:
    """Return the reason of an outcome that is not ACCEPTED, and what it means, if possible in the server's words."""
    if outcome.error is not None:
        return outcome.error.reason, outcome.error.message
    reasons = dict.fromkeys(reason.value for face in outcome.faces for reason in face.reasons)
    details = dict.fromkeys(face.detail for face in outcome.faces if face.detail)
    return ", ".join(reasons), "; ".join(details or [ENROLLMENT.get(reason, reason) for reason in reasons])


def _unsure(reason: UnsureReason, answer: Identification) -> str:
    policy = answer.applied.policy
    match reason:
        case UnsureReason.PROBE_UNRECOGNIZABLE:
            return _too_poor("the face", answer.probe, policy.gamma)
        case UnsureReason.AMBIGUOUS:
            return f"two subjects are nearly as similar: {_pair(answer.candidates)}, margin {policy.margin or 0.0:g}"
        case UnsureReason.NO_FACE:
            return "no face in the photograph"
        case UnsureReason.SEVERAL_FACES:
            box = answer.probe.box if answer.probe else None
            return f"{box.face_count if box else 'several'} faces in the photograph, one is wanted"
    return reason.value


def _too_poor(what: str, face: Recognizability | None, gamma: float) -> str:
    return f"{what} is too poor to tell" + (f": ERS {face.ers:.3f} < gamma {gamma:g}" if face else "")


def _reference(answer: Verification) -> str:
    if answer.reference is None:
        return "the subject has no recognizable face"
    return f"the reference is too poor to tell: ERS {answer.reference.ers:.3f}"


def _pair(candidates: tuple[Candidate, ...]) -> str:
    return " and ".join(f"{candidate.subject_id} {candidate.similarity:.3f}" for candidate in candidates[:2])
