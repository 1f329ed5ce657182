"""A draft of a profile from labelled faces of a request."""

from dataclasses import dataclass

import numpy as np
from ersgallery_index.calibration import BuildPlan, BuiltProfile, FaceSet, build_profile, build_profile_from_ui_set

from ersgallery_server.calibrations.one_thread import one_thread
from ersgallery_server.operations import Progress


@dataclass(frozen=True, slots=True, eq=False)
class ProfileTask:
    """What is to be built.

    ui_set: unrecognizable faces, None: found by clustering. centre: None: by measurement.
    """

    model: str
    faces: FaceSet
    ui_set: FaceSet | None
    centre: bool | None
    seed: int

    def run(self, progress: Progress) -> BuiltProfile:
        """Split the faces by person and build; raises CalibrationFailed."""
        plan = BuildPlan(centring=self.centre, seed=self.seed)
        making, testing = halves(self.faces, self.seed)
        progress(0, 0)
        with one_thread():
            if self.ui_set is not None:
                return build_profile_from_ui_set(self.model, self.ui_set, making, testing, plan, progress)
            return build_profile(self.model, making, testing, plan, progress)


def halves(faces: FaceSet, seed: int) -> tuple[FaceSet, FaceSet]:
    """Split faces by person into those that make a profile and those that test it."""
    people = np.random.default_rng(seed).permutation(np.unique(faces.identities))
    first = np.isin(faces.identities, people[: (len(people) + 1) // 2])
    return faces.take(first), faces.take(~first)
