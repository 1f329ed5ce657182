"""Directions of sets of faces: UI centroids and means, how far a set spreads, how far two sets lie apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.recognizability import normalize_residuals
from ersgallery_index.sums import Float64, block_rows

_NEVER_ZERO = 1e-12


@dataclass(frozen=True, slots=True)
class CentroidDistances:
    """Cosine distances (0..2) between two sets of unit centroids.

    greatest: from a centroid of either set to the nearest one of the other, the worst case. nearest: the least.
    """

    greatest: float
    nearest: float


def centred(rows: NDArray[np.float32] | Float64, mean: Float64 | None) -> Float64:
    """Return unit rows (n, d) as float64, less the mean where there is one; what has no direction then is zero."""
    exact = rows.astype(np.float64)
    if mean is not None:
        step = block_rows(exact.shape[1])
        for start in range(0, len(exact), step):
            exact[start : start + step] = normalize_residuals(exact[start : start + step] - mean)[0]
    return exact


def direction(vectors: Float64) -> Float64:
    """Return the normalised mean (d,) of (n, d) vectors."""
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), _NEVER_ZERO), np.float64)


def mean_cosine_distance(unit: Float64) -> float:
    """Return the mean of 1 - <a, b> over all pairs of different rows: from the length of their sum, in O(n d)."""
    count = len(unit)
    total = unit.sum(axis=0)
    return float(1.0 - (total @ total - count) / (count * (count - 1))) if count > 1 else 0.0


def compare_centroids(first: Float64, second: Float64) -> CentroidDistances:
    """Return how far two sets of unit centroids (K, d) and (L, d) of one embedding space lie apart."""
    cosines = np.atleast_2d(first) @ np.atleast_2d(second).T
    worst = min(float(cosines.max(axis=0).min()), float(cosines.max(axis=1).min()))
    return CentroidDistances(greatest=max(0.0, 1.0 - worst), nearest=max(0.0, 1.0 - float(cosines.max())))
