"""What a profile does to faces that had no part in making it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.profiling.samples import Sample

_QUANTILES = (0.005, 0.05, 0.5, 0.95)


def held_out_figures(
    clean_ers: NDArray[np.float64], degraded_ers: NDArray[np.float64], degraded: Sequence[Sample], gamma: float
) -> dict[str, Any]:
    """Return shares below gamma, quantiles and AUC of raw ERS values; `degraded_ers[i]` belongs to `degraded[i]`."""
    levels = np.array([sample.severity for sample in degraded])
    kinds = np.array([sample.kind.value if sample.kind else "" for sample in degraded])
    below = degraded_ers < gamma
    return {
        "clean_below_gamma": round(float((clean_ers < gamma).mean()), 5),
        "clean_ers_quantiles": {str(q): round(float(np.quantile(clean_ers, q)), 4) for q in _QUANTILES},
        "degraded_below_gamma": round(float(below.mean()), 4),
        "degraded_below_gamma_by_kind_and_severity": {
            str(kind): {
                f"{level:g}": round(float(below[(kinds == kind) & (levels == level)].mean()), 4)
                for level in np.unique(levels)
            }
            for kind in dict.fromkeys(kinds.tolist())
        },
        "auc_clean_against_degraded": round(auc(clean_ers, degraded_ers), 4),
        "auc_by_severity": {
            f"{level:g}": round(auc(clean_ers, degraded_ers[levels == level]), 4) for level in np.unique(levels)
        },
    }


def auc(higher: NDArray[np.float64], lower: NDArray[np.float64]) -> float:
    """Return the probability that a value of `higher` exceeds one of `lower`; ties count half."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / (2 * len(lower)))
