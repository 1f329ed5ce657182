"""What the mathematics answers: decisions, candidates and the quality of a probe."""

import enum
from dataclasses import dataclass


class Decision(enum.Enum):
    """The three answers of an open-set gallery."""

    MATCH = "MATCH"
    NO_MATCH = "NO_MATCH"
    UNSURE = "UNSURE"


class UnsureReason(enum.Enum):
    """Why an answer is UNSURE."""

    PROBE_UNRECOGNIZABLE = "PROBE_UNRECOGNIZABLE"
    REFERENCE_UNRECOGNIZABLE = "REFERENCE_UNRECOGNIZABLE"
    AMBIGUOUS = "AMBIGUOUS"
    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"


@dataclass(frozen=True, slots=True)
class Recognizability:
    """How recognizable an embedding or template is: eq. 1 capped to [0, 1], and the raw 1 - max <f_UI, f>."""

    ers: float
    raw_ers: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject with the best of its faces that passed the gate; `ers` is that face's.

    similarity: the float64 dot product of two float32 unit rows, so up to about 1e-7 beyond -1..1.
    """

    subject_id: int
    face_id: int
    similarity: float
    ers: float


@dataclass(frozen=True, slots=True)
class Identification:
    """The answer to one probe: candidates by (similarity falling, face id rising)."""

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    recognizability: Recognizability | None
    candidates: tuple[Candidate, ...] = ()
    filtered: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer to one 1:1 comparison; `similarity` is None when a side is missing or UNSURE forbids one."""

    decision: Decision
    reasons: tuple[UnsureReason, ...]
    similarity: float | None
    probe: Recognizability | None
    reference: Recognizability | None
    reference_face_id: int | None = None
