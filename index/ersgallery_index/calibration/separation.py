"""How well ERS tells clean faces from degraded ones, and the gamma that clean ones pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.sums import Float64

_GAMMA_STEPS = 10_000
_BINS = 80
_RAW_ERS_RANGE = (0.0, 1.6)
_LEVELS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of raw ERS values: edges (b + 1,), counts of clean and of degraded faces (b,)."""

    edges: Float64
    clean: NDArray[np.int64]
    degraded: NDArray[np.int64]


def auc(higher: Float64, lower: Float64) -> float:
    """Return the probability that a value of `higher` exceeds one of `lower`; ties count half; NaN for empty ones."""
    if not len(higher) or not len(lower):
        return math.nan
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / (2 * len(lower)))


def largest_gamma(clean_ers: Float64, max_share_below: float) -> float:
    """Return the largest gamma, to 4 decimals, with at most this share of the (n,) clean ERS values below it."""
    may_fall = math.floor(max_share_below * len(clean_ers))
    bound = float(np.sort(np.clip(clean_ers, 0.0, 1.0))[min(may_fall, len(clean_ers) - 1)])
    return math.floor(bound * _GAMMA_STEPS) / _GAMMA_STEPS


def histogram(faces: FaceSet, raw_ers: Float64) -> Histogram:
    """Count raw ERS values of clean and degraded faces in equal bins; the end bins take what lies outside."""
    edges = np.linspace(*_RAW_ERS_RANGE, _BINS + 1)
    inside = np.clip(raw_ers, *_RAW_ERS_RANGE)
    return Histogram(
        edges=edges,
        clean=np.histogram(inside[faces.clean], edges)[0].astype(np.int64),
        degraded=np.histogram(inside[faces.degraded], edges)[0].astype(np.int64),
    )


def figures(faces: FaceSet, raw_ers: Float64, gamma: float) -> Mapping[str, object]:
    """Return what gamma does to labelled faces, as JSON values: shares below it, quantiles, AUC, kinds and levels."""
    clean, degraded = raw_ers[faces.clean], raw_ers[faces.degraded]
    level = np.ceil(np.nan_to_num(faces.severities) * _LEVELS - 1e-9) / _LEVELS
    return {
        "clean": len(clean),
        "degraded": len(degraded),
        "clean_below_gamma": _share(clean < gamma),
        "degraded_below_gamma": _share(degraded < gamma),
        "auc_clean_against_degraded": _rounded(auc(clean, degraded)),
        "clean_ers_quantiles": {
            str(q): _rounded(float(np.quantile(clean, q))) for q in (0.005, 0.05, 0.5, 0.95) if len(clean)
        },
        "auc_by_severity": {
            f"{one:g}": _rounded(auc(clean, raw_ers[faces.degraded & (level == one)]))
            for one in np.unique(level[faces.degraded]).tolist()
        },
        "degraded_below_gamma_by_kind_and_severity": {
            name: {
                f"{one:g}": _share(raw_ers[(faces.kinds == kind) & (level == one)] < gamma)
                for one in np.unique(level[faces.kinds == kind]).tolist()
            }
            for kind, name in enumerate(faces.kind_names)
            if (faces.kinds == kind).any()
        },
    }


def _share(holds: NDArray[np.bool_]) -> float | None:
    return _rounded(float(holds.mean())) if len(holds) else None


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 5)
