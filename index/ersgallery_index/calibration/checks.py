"""The checks that an expert makes on a cluster of unrecognizable faces, and which of them forbid its use."""

from collections.abc import Sequence
from dataclasses import dataclass

from ersgallery_index.errors import CalibrationFailed


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an expert looks at. passed: None where the labels do not allow to tell."""

    name: str
    passed: bool | None
    value: float | None
    limit: float | None
    text: str


_REASONS = {
    "dominance": "NO_UI_CLUSTER",
    "degraded_share": "CHAINED",
    "joins_ordinary_faces": "CHAINED",
    "cosine_distance_inside": "CHAINED",
    "kinds": "TOO_NARROW",
    "identities": "TOO_NARROW",
    "faces": "TOO_FEW_FACES",
    "stability_over_halves": "UNSTABLE",
    "stability_over_distances": "UNSTABLE",
    "away_from_recognizable": "CHAINED",
    "separates": "NO_SEPARATION",
}


_UNLABELLED = "labels are missing"


def at_least(name: str, value: float | None, limit: float, what: str, why_not: str = _UNLABELLED) -> Check:
    """Return the check that a value reaches a limit; it is not made without a value, and why_not says the cause."""
    if value is None:
        return Check(name, None, None, limit, f"not checked because {why_not}; wanted: at least {limit:g} {what}")
    return Check(name, value >= limit, value, limit, f"{value:.3g} (at least {limit:g} wanted): {what}")


def at_most(name: str, value: float | None, limit: float | None, what: str, why_not: str = _UNLABELLED) -> Check:
    """Return the check that a value does not pass a limit; it is not made where either is missing."""
    if limit is None:
        return Check(name, None, value, limit, f"not checked because {why_not}: {what}")
    if value is None:
        return Check(name, None, value, limit, f"not checked because {why_not}; wanted: at most {limit:.3g} {what}")
    return Check(name, value <= limit, value, limit, f"{value:.3g} (at most {limit:.3g} wanted): {what}")


def enforce(checks: Sequence[Check]) -> None:
    """Raise CalibrationFailed for the first failed check that forbids a profile.

    Many images of a person, for instance, are told and do no harm in themselves; they are named as the likely cause.
    """
    chained = any(check.name == "images_per_identity" and check.passed is False for check in checks)
    hint = "; take about one clean image of each person" if chained else ""
    for check in checks:
        if check.passed is False and check.name in _REASONS:
            reason = _REASONS[check.name]
            raise CalibrationFailed(reason, f"the unrecognizable faces are not to be trusted: {check.text}{hint}")
