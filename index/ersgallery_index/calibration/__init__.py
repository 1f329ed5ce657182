"""Calibrate: UI centroids, gamma and tau from faces; arrays in, results out."""

from ersgallery_index.calibration.build import BuildPlan, BuiltProfile, build_profile, build_profile_from_ui_set
from ersgallery_index.calibration.centres import CentroidDistances, compare_centroids
from ersgallery_index.calibration.checks import Check
from ersgallery_index.calibration.faces import CLEAN, NOBODY, UNKNOWN, FaceSet, Progress
from ersgallery_index.calibration.linkage import single_linkage, single_linkage_grid
from ersgallery_index.calibration.separation import Histogram, auc, histogram, largest_gamma
from ersgallery_index.calibration.ui import AtDistance, UiClusters, UiRules, find_ui
from ersgallery_index.calibration.variants import Decision, Margins, Variant

__all__ = [
    "CLEAN",
    "NOBODY",
    "UNKNOWN",
    "AtDistance",
    "BuildPlan",
    "BuiltProfile",
    "CentroidDistances",
    "Check",
    "Decision",
    "FaceSet",
    "Histogram",
    "Margins",
    "Progress",
    "UiClusters",
    "UiRules",
    "Variant",
    "auc",
    "build_profile",
    "build_profile_from_ui_set",
    "compare_centroids",
    "find_ui",
    "histogram",
    "largest_gamma",
    "single_linkage",
    "single_linkage_grid",
]
