"""Directions of sets of faces: UI centroids, means, how far they spread, and how a set is split into K places."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.recognizability import normalize_residuals
from ersgallery_index.sums import Float64

_ITERATIONS = 100
_RESTARTS = 5
_IMPOSTOR_FACES = 4000
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
    return exact if mean is None else normalize_residuals(exact - mean)[0]


def unit_rows(vectors: Float64) -> Float64:
    """Return (n, d) vectors at unit length; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, _NEVER_ZERO), np.float64)


def direction(vectors: Float64) -> Float64:
    """Return the normalised mean (d,) of (n, d) vectors."""
    return np.asarray(unit_rows(vectors.mean(axis=0)[None, :])[0], np.float64)


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


def lost_identity(faces: FaceSet, vectors: Float64, far: float = 1e-3) -> NDArray[np.bool_]:
    """Return which degraded faces are no longer similar to a clean face of the same person.

    The least similarity is the one that a share `far` of the pairs of clean faces of different people exceeds.
    """
    clean = np.flatnonzero(faces.clean & (faces.identities >= 0))
    own: dict[int, int] = dict(zip(faces.identities[clean].tolist(), clean.tolist(), strict=True))
    candidates = [row for row in np.flatnonzero(faces.degraded).tolist() if int(faces.identities[row]) in own]
    lost = np.zeros(len(faces), np.bool_)
    if candidates and len(own) > 1:
        references = [own[int(faces.identities[row])] for row in candidates]
        similar = np.einsum("ij,ij->i", vectors[candidates], vectors[references])
        lost[candidates] = similar < _impostor_quantile(vectors[list(own.values())], far)
    return lost


def split_ui(vectors: Float64, count: int, rng: np.random.Generator) -> Float64:
    """Return the (count, d) unit centroids of spherical k-means (Dhillon and Modha 2001), the best of a few starts."""
    best, best_fit = np.empty(0), -np.inf
    for start in range(_RESTARTS if count > 1 else 1):
        centroids = _refine(vectors, _start(vectors, count, rng, at_mean=start == 0))
        fit = float((vectors @ centroids.T).max(axis=1).mean())
        if fit > best_fit:
            best, best_fit = centroids, fit
    return best


def _impostor_quantile(vectors: Float64, far: float) -> float:
    some = vectors[:_IMPOSTOR_FACES]
    products = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.quantile(products, 1.0 - far))


def _start(vectors: Float64, count: int, rng: np.random.Generator, *, at_mean: bool) -> Float64:
    """Choose starts far from each other (k-means++), the first one at the mean where that is wanted."""
    centroids = [direction(vectors) if at_mean else vectors[rng.integers(len(vectors))]]
    while len(centroids) < count:
        away = np.maximum(1.0 - (vectors @ np.stack(centroids).T).max(axis=1), 0.0) + _NEVER_ZERO
        centroids.append(vectors[rng.choice(len(vectors), p=away / away.sum())])
    return np.stack(centroids)


def _refine(vectors: Float64, centroids: Float64) -> Float64:
    for _ in range(_ITERATIONS):
        nearest = (vectors @ centroids.T).argmax(axis=1)
        moved = np.stack(
            [direction(vectors[nearest == k]) if (nearest == k).any() else old for k, old in enumerate(centroids)]
        )
        if np.allclose(moved, centroids, atol=1e-9):
            break
        centroids = moved
    return centroids
