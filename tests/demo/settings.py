"""Everything the demo chooses, chosen before any result was seen. Nothing here depends on what comes out."""

from dataclasses import dataclass
from typing import Final

from ersgallery_server.faces.degrade import Degradation

GALLERY: Final = "faces"

# What happens to photographs in life: out of focus, in motion, far away, covered, in the dark.
KINDS: Final = (
    Degradation.GAUSSIAN_BLUR,
    Degradation.MOTION_BLUR,
    Degradation.LOW_RESOLUTION,
    Degradation.OCCLUSION,
    Degradation.LOW_LIGHT,
)

# A severity means the same for every photograph only at one size of the face: that of the profile's faces.
FACE_PX: Final = 112
# A portrait shows this many times the side of the face.
PORTRAIT_SIDES: Final = 2.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How people and photographs are shared out, and how photographs are spoilt.

    tau_strangers: people who set tau and do nothing else. fpir: share of clear strangers that tau lets match.
        99 people and 1 % are the fewest with which this can be promised (see `tau.py`).
    probe_strangers: people who are probes and not enrolled. Everybody left over is enrolled.
    degraded_enrolments: share of the subjects that are enrolled from a degraded photograph. They are drawn from people
        with one photograph, so every mated probe has a clear face in the gallery to be compared with.
    grades: severities that are asked for, in turn; a photograph is spoilt less, in steps of `step` down to `mildest`,
        while the detector finds no face: what it does not find never reaches a gallery.
    references: from how many photographs people with several are enrolled; the others are probes.
    mated_per_person: most mated probe photographs of a person; None takes all.
    people, photographs_per_person: how many people with one photograph, and how many photographs of each of the others
        are looked at; None takes all.
    twin_similarity: two photographs of one person this similar are taken for copies, and the second is left out.
    """

    seed: int = 0
    tau_strangers: int = 99
    fpir: float = 0.01
    probe_strangers: int = 80
    degraded_enrolments: float = 0.1
    grades: tuple[float, ...] = (0.6, 0.8, 1.0)
    step: float = 0.1
    mildest: float = 0.2
    references: int = 1
    mated_per_person: int | None = None
    people: int | None = None
    photographs_per_person: int | None = None
    twin_similarity: float = 0.9


def quick(seed: int = 0) -> Settings:
    """Return settings of a demo that takes seconds; its figures are too few to say anything."""
    return Settings(
        seed=seed,
        tau_strangers=19,
        fpir=0.05,
        probe_strangers=6,
        people=60,
        photographs_per_person=3,
        mated_per_person=1,
    )
