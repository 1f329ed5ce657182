"""What is decided how: the policies of galleries and of requests."""

import enum
from dataclasses import dataclass


class SeveralFacesPolicy(enum.StrEnum):
    """Which face of a photograph counts when there are several; UNSPECIFIED is the gallery's, in a gallery LARGEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LARGEST = "LARGEST"
    REJECT = "REJECT"


class SubjectSearch(enum.StrEnum):
    """By what a subject is found: the best of its faces (the default), or the ERS-weighted template of them all."""

    UNSPECIFIED = "UNSPECIFIED"
    BEST_FACE = "BEST_FACE"
    TEMPLATE = "TEMPLATE"


class IndexKind(enum.StrEnum):
    """How faces are searched. UNSPECIFIED is AUTO: EXACT for few faces, FAST for many.

    FAST searches int8 codes first, several times faster and with a quarter more memory; its answers are EXACT's.
    APPROXIMATE answers single probes faster still, and can miss a face.
    """

    UNSPECIFIED = "UNSPECIFIED"
    AUTO = "AUTO"
    EXACT = "EXACT"
    FAST = "FAST"
    APPROXIMATE = "APPROXIMATE"


class DuplicateCheck(enum.StrEnum):
    """What happens at the enrolment of a recognizable face that is similar to another subject; UNSPECIFIED means OFF.

    WARN: it is stored, and the outcome names the other subject. REFUSE: the item is refused (DuplicateSubject).
    """

    UNSPECIFIED = "UNSPECIFIED"
    OFF = "OFF"
    WARN = "WARN"
    REFUSE = "REFUSE"


class GalleryWarning(enum.StrEnum):
    """What should be looked at. OUTGREW_TAU: the gallery has more subjects than tau was chosen for."""

    UNSPECIFIED = "UNSPECIFIED"
    OUTGREW_TAU = "OUTGREW_TAU"


class LowErsPolicy(enum.StrEnum):
    """What becomes of a face below gamma_gallery at enrolment; UNSPECIFIED is STORE."""

    UNSPECIFIED = "UNSPECIFIED"
    STORE = "STORE"
    REJECT = "REJECT"


class Weighting(enum.StrEnum):
    """How the members of a template are weighted by their ERS e (eq. 5); UNSPECIFIED is SQUARE, w = e * e."""

    UNSPECIFIED = "UNSPECIFIED"
    UNIFORM = "UNIFORM"
    IDENTITY = "IDENTITY"
    SQUARE = "SQUARE"
    SOFTMAX = "SOFTMAX"
    TOP_1 = "TOP_1"
    TOP_10_PERCENT = "TOP_10_PERCENT"


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """What one request decides differently from its gallery; None is the gallery's.

    gamma, gamma_gallery: the gates, 0..1, 0 turns one off. tau: -1..1. margin: 0..2.
    max_candidates: 1..1,024 (0: 10). include_filtered: also return subjects that only the gallery gate kept out.
    """

    gamma: float | None = None
    gamma_gallery: float | None = None
    tau: float | None = None
    margin: float | None = None
    max_candidates: int = 0
    include_filtered: bool = False
    several_faces: SeveralFacesPolicy = SeveralFacesPolicy.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """The gates and thresholds that decided, with all defaults filled in; margin is None when that rule is off."""

    gamma: float
    gamma_gallery: float
    tau: float
    margin: float | None


class Unset(enum.Enum):
    """Says that an update leaves a field alone, where None means: back to its default."""

    UNSET = "UNSET"


UNSET = Unset.UNSET
