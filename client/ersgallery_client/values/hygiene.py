"""What spoils a gallery: magnets, subjects that cannot be found, people who are enrolled twice."""

import enum
from dataclasses import dataclass


class MagnetAdvice(enum.StrEnum):
    """What to do about a magnet; UNSPECIFIED is something this client is too old to know.

    RAISE_GAMMA_GALLERY: it is below gamma and can be found. HIDDEN: it is below the gallery's gamma_gallery already.
    REVIEW: it is recognizable; it may show somebody else, or a person with two ids.
    """

    UNSPECIFIED = "UNSPECIFIED"
    RAISE_GAMMA_GALLERY = "RAISE_GAMMA_GALLERY"
    HIDDEN = "HIDDEN"
    REVIEW = "REVIEW"


class LowErsSubjects(enum.StrEnum):
    """Which subjects find_low_ers_subjects lists: not findable, findable by one face alone, UNSPECIFIED for both."""

    UNSPECIFIED = "UNSPECIFIED"
    UNFINDABLE = "UNFINDABLE"
    ONE_FACE = "ONE_FACE"


@dataclass(frozen=True, slots=True)
class Magnet:
    """A face that wins probes of people it does not show.

    face_id: None for a subject's template. subjects: different people whose probes it won. wins: probes of others to
    which it was the nearest, from the threshold on; low_ers_wins: those below gamma. neighbor_probes: probes of others
    that had it among their nearest subjects. mean_similarity: of the wins, None without any. ui_wins: UI centroids to
    which it is the nearest.
    """

    subject_id: str
    face_id: int | None
    ers: float
    subjects: int
    wins: int
    low_ers_wins: int
    neighbor_probes: int
    mean_similarity: float | None
    ui_wins: int
    advice: MagnetAdvice


@dataclass(frozen=True, slots=True)
class MagnetReport:
    """The worst magnets first, and what was searched under which gates.

    winners: faces that won a probe, listed or not. low_ers_probes, low_ers_won_probes: of probes and won_probes, those
    below gamma, which an ordinary search answers UNSURE.
    """

    magnets: tuple[Magnet, ...]
    winners: int
    probes: int
    low_ers_probes: int
    won_probes: int
    low_ers_won_probes: int
    threshold: float
    gamma: float
    gamma_gallery: float
    neighbors: int
    revision: int


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two subjects that look like one person, the one that was made first at first.

    similarity: of the most similar two of their recognizable faces, whose ids follow; None for templates.
    similar_face_pairs: of face_pairs, those from the threshold on: nearly all where one person has two ids, few where
    one face was misfiled.
    """

    first: str
    second: str
    similarity: float
    first_face_id: int | None
    second_face_id: int | None
    face_pairs: int
    similar_face_pairs: int


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Subjects that pairs connect, how many pairs, and the similarity of the most similar one."""

    subjects: tuple[str, ...]
    pairs: int
    similarity: float


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """The most similar pairs first, and whom they connect.

    cut: there are more pairs, all less similar. gate: the ERS from which faces were compared. faces: how many were.
    """

    pairs: tuple[DuplicatePair, ...]
    groups: tuple[DuplicateGroup, ...]
    cut: bool
    threshold: float
    gate: float
    faces: int
    revision: int


@dataclass(frozen=True, slots=True)
class LowErsSubject:
    """A subject that cannot be found, or by one face alone; template_ers: the mean of its faces'."""

    id: str
    best_ers: float
    template_ers: float
    faces: int
    recognizable_faces: int
    findable: bool


@dataclass(frozen=True, slots=True)
class LowErsReport:
    """A page of such subjects, by id, and how many there are in the gallery; next_page_token: empty at the end."""

    subjects: tuple[LowErsSubject, ...]
    next_page_token: str
    unfindable_subjects: int
    one_face_subjects: int
    gamma_gallery: float
