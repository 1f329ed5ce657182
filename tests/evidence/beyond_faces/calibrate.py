"""Make a profile of the character network with the library that makes it for faces."""

from collections.abc import Callable

import numpy as np
from ersgallery_index.calibration import BuildPlan, BuiltProfile, FaceSet, UiRules, build_profile
from numpy.typing import NDArray

from tests.evidence.beyond_faces.network import MODEL
from tests.evidence.beyond_faces.protocol import Part, Plan, Samples
from tests.evidence.beyond_faces.spoiling import KINDS


def calibrate(
    samples: Samples, rows: NDArray[np.float32], plan: Plan, progress: Callable[[int, int], None] | None = None
) -> BuiltProfile:
    """Return the profile made of MAKING and VALIDATION images, given as unit rows (n, d); nothing else is read.

    Raises CalibrationFailed where there is no UI cluster.
    """
    rules = UiRules(max_distance=plan.max_distance, grid=plan.grid)
    return build_profile(
        MODEL,
        face_set(samples, rows, Part.MAKING),
        face_set(samples, rows, Part.VALIDATION),
        BuildPlan(rules=rules, seed=plan.seed),
        progress,
    )


def face_set(samples: Samples, rows: NDArray[np.float32], part: Part) -> FaceSet:
    """Return the images of one part as the library takes them: a character is an identity."""
    chosen = samples.of(part)
    return FaceSet(
        rows=rows[chosen],
        identities=samples.characters[chosen],
        kinds=samples.kinds[chosen],
        severities=samples.severities[chosen],
        kind_names=KINDS,
    )
