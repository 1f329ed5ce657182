"""What the faces of a calibration must be before anything is computed from them."""

import numpy as np

from ersgallery_index.calibration.faces import UNKNOWN, FaceSet
from ersgallery_index.calibration.ui import groups_of
from ersgallery_index.errors import CalibrationFailed


def require_usable(
    making: FaceSet, testing: FaceSet, min_identities: int, min_held_out: int, given: FaceSet | None = None
) -> None:
    """Raise CalibrationFailed unless a profile can be made of the faces; given: unrecognizable ones, where there are some.

    Reasons: ONE_IMAGE, MIXED_DIMENSIONS, NOT_FINITE, NOT_DISJOINT, ALL_DEGRADED, ALL_CLEAN, TOO_FEW_FACES,
    TOO_FEW_IDENTITIES.
    """
    _require_one_model([making, testing, *([] if given is None else [given])])
    if len(making) <= 1 and given is None:
        raise CalibrationFailed("ONE_IMAGE", f"{len(making)} face was given; a cluster needs many")
    _require_kinds(making, clustered=given is None)
    _require_people(making, testing, min_identities)
    clean = int(testing.clean.sum())
    if len(testing) and testing.degraded.all():
        raise CalibrationFailed("ALL_DEGRADED", "all held-out faces are degraded; gamma is set by clean ones")
    if clean < min_held_out:
        raise CalibrationFailed(
            "TOO_FEW_FACES", f"{clean} clean faces were held out to set gamma by; {min_held_out} are needed at least"
        )


def _require_one_model(sets: list[FaceSet]) -> None:
    dimensions = sorted({each.dimension for each in sets})
    if len(dimensions) > 1:
        found = " and ".join(str(dimension) for dimension in dimensions)
        raise CalibrationFailed(
            "MIXED_DIMENSIONS", f"embeddings of {found} numbers were given; they must be of one model"
        )
    if not all(np.isfinite(each.rows).all() for each in sets):
        raise CalibrationFailed("NOT_FINITE", "an embedding holds NaN or infinity")


def _require_kinds(making: FaceSet, *, clustered: bool) -> None:
    if making.degraded.all():
        raise CalibrationFailed(
            "ALL_DEGRADED",
            "all faces are degraded; clean ones are needed to tell the unrecognizable from ordinary people",
        )
    if clustered and making.clean.all():
        raise CalibrationFailed("ALL_CLEAN", "all faces are clean; there are no unrecognizable ones to find among them")


def _require_people(making: FaceSet, testing: FaceSet, least: int) -> None:
    known = making.identities[making.identities >= 0]
    shared = np.intersect1d(known, testing.identities)
    if len(shared):
        raise CalibrationFailed(
            "NOT_DISJOINT", f"{len(shared)} people are in the making and in the held-out faces; no one may be in both"
        )
    people = len(np.unique(groups_of(making))) + len(np.unique(groups_of(testing)))
    if people < least:
        unknown = bool((making.kinds == UNKNOWN).any())
        raise CalibrationFailed(
            "TOO_FEW_IDENTITIES",
            f"{people} {'faces or people' if unknown else 'people'} were given; {least} are needed at least",
        )
