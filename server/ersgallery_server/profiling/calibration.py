"""Turn material into a profile, and a profile into what its file says of how it was made."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np
from ersgallery_index.calibration.build import BuildPlan, BuiltProfile, build_profile, build_profile_from_ui_set
from ersgallery_index.calibration.faces import FaceSet, Progress
from ersgallery_index.errors import CalibrationFailed

from ersgallery_server.models.profile_file import ProfileFile, rounded
from ersgallery_server.profiling.amount import advised, advised_of_wild
from ersgallery_server.profiling.material import Material

_LIBRARIES = (
    "ersgallery",
    "numpy",
    "faiss-cpu",
    "faiss-gpu",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
)


def calibrate(model: str, material: Material, plan: BuildPlan, progress: Progress | None = None) -> BuiltProfile:
    """Build the profile of a model; progress counts pairs, then variants.

    Raises ersgallery_index.errors.CalibrationFailed, with what number of faces would do where they may be too few.
    """
    if material.ui_set is None:
        try:
            return build_profile(model, material.making.faces, material.testing.faces, plan, progress)
        except CalibrationFailed as error:
            raise _advised(error, material) from error
    making = material.making.faces
    return build_profile_from_ui_set(
        model, material.ui_set.faces, making.take(making.clean), material.testing.faces, plan, progress
    )


def _advised(error: CalibrationFailed, material: Material) -> CalibrationFailed:
    if material.wild is not None:
        return advised_of_wild(error, len(material.wild.faces))
    making = material.making.faces
    return advised(error, int(making.degraded.sum()), _people(making))


def profile_file(
    name: str, built: BuiltProfile, material: Material, plan: BuildPlan, provenance: Mapping[str, Any]
) -> ProfileFile:
    """Return what is written to the profile's file. provenance: what the caller knows (command, recognizer_sha256)."""
    profile = built.profile
    return ProfileFile(
        name=name,
        model=profile.model,
        centroids=rounded(profile.centroids),
        gamma=profile.gamma,
        mean=None if profile.mean is None else rounded(profile.mean),
        provenance={
            **provenance,
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "data": list(material.data),
            "versions": _versions(),
            "seed": plan.seed,
            "max_clean_below_gamma": plan.max_clean_below,
            "counts": _counts(material, built),
            "clusters": _clusters(built),
            "figures": plain(built.figures),
            "notes": list(material.notes),
        },
        checks=plain([asdict(check) for check in built.checks]),
        decisions=plain([asdict(choice) for choice in built.choices]),
        histogram=plain(
            {
                "raw_ers_edges": np.round(built.histogram.edges, 4),
                "clean": built.histogram.clean,
                "degraded": built.histogram.degraded,
            }
        ),
    )


def plain(value: Any) -> Any:
    """Return a value in JSON's own types: arrays as lists, tuples as lists, NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _counts(material: Material, built: BuiltProfile) -> dict[str, int]:
    making, testing = material.making.faces, material.testing.faces
    return {
        "making_clean": int(making.clean.sum()),
        "making_degraded": int(making.degraded.sum()),
        "making_unknown": int((~making.clean & ~making.degraded).sum()),
        "identities_making": _people(making),
        "testing_clean": int(testing.clean.sum()),
        "testing_degraded": int(testing.degraded.sum()),
        "identities_testing": _people(testing),
        "ui_set": int(built.ui_members.sum()),
    }


def _people(faces: FaceSet) -> int:
    known = faces.identities[faces.identities >= 0]
    return len(np.unique(known)) or len(faces)


def _clusters(built: BuiltProfile) -> dict[str, Any] | None:
    if built.ui is None:
        return None
    return {
        "largest": list(built.ui.sizes[:20]),
        "mean_cosine_distance_inside": plain(built.ui.inside),
        "by_kind": plain(built.ui.by_kind),
        "by_distance": plain([asdict(each) for each in built.ui.by_distance]),
        "mean_of_clean_to_ui_cosine": plain(built.mean_to_ui),
    }
