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
from ersgallery_index.calibration.estimates import Estimate, ThresholdWarning
from ersgallery_index.calibration.faces import CLEAN, NOBODY, UNKNOWN, FaceSet, Progress
from ersgallery_index.calibration.gamma import GammaPick, GammaTrade, SetPlan, TradeCell, TradeRow, gamma_trade
from ersgallery_index.calibration.gamma_of_sets import draw_sets, gamma_trade_of_sets
from ersgallery_index.calibration.linkage import single_linkage, single_linkage_grid
from ersgallery_index.calibration.non_mated import (
    STRANGER,
    NonMatedScores,
    closest_pairs,
    leave_one_subject_out,
    non_mated_scores,
    non_mated_scores_of_index,
    some_of_each,
)
from ersgallery_index.calibration.reuse import (
    SeedFigures,
    SourceFigures,
    UiSource,
    compare_sources,
    stability_over_seeds,
)
from ersgallery_index.calibration.separation import Histogram, auc, histogram, largest_gamma
from ersgallery_index.calibration.split import lost_identity, split_ui
from ersgallery_index.calibration.tau import TauChoice, choose_tau, fpir_at, outgrown
from ersgallery_index.calibration.tau_experiment import TauCheck, TauPlan, summarize, tau_experiment
from ersgallery_index.calibration.ui import AtDistance, UiClusters, UiRules, find_ui
from ersgallery_index.errors import CalibrationFailed

__all__ = [
    "CLEAN",
    "NOBODY",
    "STRANGER",
    "UNKNOWN",
    "AtDistance",
    "BuildPlan",
    "BuiltProfile",
    "CalibrationFailed",
    "CentroidDistances",
    "Check",
    "Choice",
    "Estimate",
    "FaceSet",
    "GammaPick",
    "GammaTrade",
    "Histogram",
    "NonMatedScores",
    "Progress",
    "SeedFigures",
    "SetPlan",
    "SourceFigures",
    "TauCheck",
    "TauChoice",
    "TauPlan",
    "ThresholdWarning",
    "TradeCell",
    "TradeRow",
    "UiClusters",
    "UiRules",
    "UiSource",
    "Variant",
    "auc",
    "build_profile",
    "build_profile_from_ui_set",
    "choose_tau",
    "closest_pairs",
    "compare_centroids",
    "compare_sources",
    "draw_sets",
    "find_ui",
    "fpir_at",
    "gamma_trade",
    "gamma_trade_of_sets",
    "histogram",
    "largest_gamma",
    "leave_one_subject_out",
    "lost_identity",
    "non_mated_scores",
    "non_mated_scores_of_index",
    "outgrown",
    "single_linkage",
    "single_linkage_grid",
    "some_of_each",
    "split_ui",
    "stability_over_seeds",
    "summarize",
    "tau_experiment",
]
