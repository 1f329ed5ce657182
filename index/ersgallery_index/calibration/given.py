"""What can be said of a set of unrecognizable faces that was given and not found."""

import numpy as np

from ersgallery_index.calibration.centres import mean_cosine_distance
from ersgallery_index.calibration.checks import Check, at_least, at_most, enforce
from ersgallery_index.calibration.ui import UiRules, halves_agree
from ersgallery_index.sums import Float64


def check_ui_set(vectors: Float64, ordinary: Float64, rules: UiRules) -> tuple[Check, ...]:
    """Return the checks on (centred) unit vectors (n, d) of given faces, beside ordinary ones (m, d).

    Raises CalibrationFailed: TOO_FEW_FACES, CHAINED (they are spread like ordinary faces), UNSTABLE.
    """
    groups = np.arange(len(vectors))
    checks = (
        at_least("faces", float(len(vectors)), float(rules.min_identities), "unrecognizable faces were given"),
        at_most(
            "cosine_distance_inside",
            mean_cosine_distance(vectors),
            mean_cosine_distance(ordinary) if len(ordinary) > 1 else None,
            "mean cosine distance inside, ordinary outside",
        ),
        at_least(
            "stability_over_halves",
            halves_agree(groups, vectors),
            rules.min_stability,
            "cosine between the centroids of two halves of them",
        ),
    )
    enforce(checks)
    return checks
