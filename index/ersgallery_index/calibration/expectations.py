"""What the faces of a calibration must be, and what a profile must do to faces that had no part in it."""

import numpy as np

from ersgallery_index.calibration.centres import mean_cosine_distance
from ersgallery_index.calibration.checks import Check, at_least, at_most
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.separation import auc
from ersgallery_index.calibration.ui import UiRules, groups_of, halves_agree
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.sums import Float64

_RECOGNIZABLE_COSINE = 0.9


def require_making(making: FaceSet, min_identities: int) -> None:
    """Raise CalibrationFailed unless unrecognizable faces can be found among others.

    ONE_IMAGE, ALL_CLEAN, ALL_DEGRADED, TOO_FEW_IDENTITIES.
    """
    if len(making) <= 1:
        raise CalibrationFailed(
            "ONE_IMAGE", f"{len(making)} faces were given; those of {min_identities} people are needed"
        )
    if making.clean.all():
        raise CalibrationFailed(
            "ALL_CLEAN", "all faces are clean: nothing shows where unrecognizable ones gather; degrade a share of them"
        )
    if making.degraded.all():
        raise CalibrationFailed("ALL_DEGRADED", "all faces are degraded: clean ones are needed to set them apart from")
    _require_people("make the profile", making, min_identities)


def require_held_out(making: FaceSet, testing: FaceSet, min_identities: int) -> None:
    """Raise CalibrationFailed unless testing faces can set and judge gamma.

    MIXED_DIMENSIONS, NOT_FINITE, ALL_DEGRADED (or unknown), LABELS_MISMATCH (people in both sets), TOO_FEW_IDENTITIES.
    """
    if making.dimension != testing.dimension:
        raise CalibrationFailed(
            "MIXED_DIMENSIONS",
            f"the faces that make the profile have {making.dimension} numbers, those that test it {testing.dimension}",
        )
    if not (np.isfinite(making.rows).all() and np.isfinite(testing.rows).all()):
        raise CalibrationFailed("NOT_FINITE", "an embedding holds NaN or infinity")
    if not testing.clean.any():
        raise CalibrationFailed("ALL_DEGRADED", "no clean face is among those that test the profile; gamma needs them")
    shared = np.intersect1d(making.identities[making.identities >= 0], testing.identities)
    if len(shared):
        raise CalibrationFailed("LABELS_MISMATCH", f"{len(shared)} people both make and test the profile")
    _require_people("test it", testing, min_identities)


def check_ui_set(vectors: Float64, ordinary: Float64, rules: UiRules) -> tuple[Check, ...]:
    """Return the checks on (centred) unit vectors (n, d) of given unrecognizable faces, beside ordinary ones (m, d)."""
    return (
        at_least("faces", float(len(vectors)), float(rules.min_identities), "unrecognizable faces were given"),
        at_most(
            "cosine_distance_inside",
            mean_cosine_distance(vectors),
            mean_cosine_distance(ordinary) if len(ordinary) > 1 else None,
            "mean cosine distance inside; the limit is that of clean faces",
            "there are no clean faces",
        ),
        at_least(
            "stability_over_halves",
            halves_agree(np.arange(len(vectors)), vectors),
            rules.min_stability,
            "cosine between the centroids of two halves of them",
        ),
    )


def check_held_out(
    deciding_clean: int, max_clean_below: float, faces: FaceSet, raw_ers: Float64, min_auc: float
) -> tuple[Check, ...]:
    """Return the checks on raw ERS (n,) of faces that no choice saw, and on how many clean faces gamma stands on."""
    clean, degraded = raw_ers[faces.clean], raw_ers[faces.degraded]
    return (
        at_least(
            "separates",
            auc(clean, degraded) if len(clean) and len(degraded) else None,
            min_auc,
            "AUC of clean against degraded faces that no choice saw",
            "no degraded faces were held out",
        ),
        at_least(
            "gamma_support",
            deciding_clean * max_clean_below,
            1.0,
            "clean faces may lie below gamma; where it is less than one, gamma is the least ERS there happened to be",
        ),
    )


def check_away_from_mean(cosine: float | None) -> Check:
    """Return the check that the mean of unrecognizable faces is another direction than that of clean ones."""
    return at_most(
        "away_from_recognizable",
        cosine,
        _RECOGNIZABLE_COSINE,
        "cosine between the mean of unrecognizable and of clean faces",
        "no faces are known to be clean",
    )


def _require_people(what: str, faces: FaceSet, least: int) -> None:
    people = len(np.unique(groups_of(faces)))
    if people < least:
        raise CalibrationFailed("TOO_FEW_IDENTITIES", f"{people} people {what}; at least {least} are needed")
