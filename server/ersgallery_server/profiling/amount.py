"""How many faces are degraded to make a profile, and what to say where they were too few."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.errors import CalibrationFailed

ENOUGH = 1000
"""Degraded faces that gave every model measured a cluster of its own (docs/benchmarks.md)."""

_PAPERS_SHARE = 0.1
_MOST_SHARE = 0.5
_MOST_VIEWS = 8
_MORE_WOULD_DO = ("NO_UI_CLUSTER", "EQUAL_CLUSTERS", "TOO_NARROW", "UNSTABLE")


@dataclass(frozen=True, slots=True)
class Degraded:
    """How many people of those who make a profile give degraded faces, and how many each."""

    people: int
    views: int = 1


def degraded_of(people: int, share: float | None) -> Degraded:
    """Return how many of the people give degraded faces: a share of them one each, None: as many as are enough.

    That is the paper's tenth with one face each; where it gives fewer than ENOUGH, up to half of the people, then up to
    eight faces of each. The other half stays clean: ordinary faces have to be there for a cluster to stand out from.
    """
    if share is not None:
        return Degraded(round(share * people))
    some = round(people * min(max(ENOUGH / max(people, 1), _PAPERS_SHARE), _MOST_SHARE))
    return Degraded(some, min(-(-ENOUGH // max(some, 1)), _MOST_VIEWS))


def notes_of(making: FaceSet, share: float | None) -> tuple[str, ...]:
    """Return a note for the user where more faces are degraded than the paper's tenth, and no share was named."""
    spoilt = making.identities[making.degraded]
    people, degraded = len(np.unique(making.identities)), len(np.unique(spoilt))
    tenth = round(_PAPERS_SHARE * people)
    if share is not None or len(spoilt) <= tenth:
        return ()
    text = (
        f"{len(spoilt)} degraded faces of {degraded} of the {people} people who make the profile are clustered: one of "
        f"every tenth person would be {tenth}, too few to make a cluster"
    )
    return (text,)


def enough_people() -> int:
    """Return how many people, half of whom test, give ENOUGH degraded faces where no share is named."""
    return round(2 * ENOUGH / (_MOST_SHARE * _MOST_VIEWS))


def advised(error: CalibrationFailed, degraded: int, people: int) -> CalibrationFailed:
    """Return a refusal with what would do, where more faces could: so many people make the profile."""
    if error.reason not in _MORE_WOULD_DO:
        return error
    known = f"{people} people make the profile, with {degraded} degraded faces"
    if degraded < ENOUGH:
        text = (
            f"about {ENOUGH} are wanted, which {enough_people()} people or more give, half of whom test, where "
            "--degraded-share is left out; or give crops as a camera makes them by --wild"
        )
    else:
        text = (
            f"more than the {ENOUGH} that are usually enough: look at the --severity, take another --distance, or give "
            "crops as a camera makes them by --wild"
        )
    return CalibrationFailed(error.reason, f"{error.message}. {known}; {text}")


def advised_of_wild(error: CalibrationFailed, crops: int) -> CalibrationFailed:
    """Return a refusal with what would do, where so many crops from the wild were clustered."""
    if error.reason not in _MORE_WOULD_DO:
        return error
    text = f"{crops} crops from the wild were clustered: give more, among them poor ones, or leave --wild out"
    return CalibrationFailed(error.reason, f"{error.message}. {text}")
