"""Calibrate: UI centroids, gamma and tau from faces; arrays in, results out."""

from ersgallery_index.calibration.build import (
    BuildPlan,
    BuiltProfile,
    Choice,
    Variant,
    build_profile,
    build_profile_from_ui_set,
)
from ersgallery_index.calibration.centres import CentroidDistances, compare_centroids
from ersgallery_index.calibration.checks import Check
from ersgallery_index.calibration.faces import CLEAN, NOBODY, UNKNOWN, FaceSet, Progress
from ersgallery_index.calibration.linkage import single_linkage, single_linkage_grid
from ersgallery_index.calibration.reuse import (
    SeedFigures,
    SourceFigures,
    UiSource,
    compare_sources,
    stability_over_seeds,
)
from ersgallery_index.calibration.separation import Histogram, auc, histogram, largest_gamma
from ersgallery_index.calibration.split import lost_identity, split_ui
from ersgallery_index.calibration.ui import AtDistance, UiClusters, UiRules, find_ui
from ersgallery_index.errors import CalibrationFailed

__all__ = [
    "CLEAN",
    "NOBODY",
    "UNKNOWN",
    "AtDistance",
    "BuildPlan",
    "BuiltProfile",
    "CalibrationFailed",
    "CentroidDistances",
    "Check",
    "Choice",
    "FaceSet",
    "Histogram",
    "Progress",
    "SeedFigures",
    "SourceFigures",
    "UiClusters",
    "UiRules",
    "UiSource",
    "Variant",
    "auc",
    "build_profile",
    "build_profile_from_ui_set",
    "compare_centroids",
    "compare_sources",
    "find_ui",
    "histogram",
    "largest_gamma",
    "lost_identity",
    "single_linkage",
    "single_linkage_grid",
    "split_ui",
    "stability_over_seeds",
]
