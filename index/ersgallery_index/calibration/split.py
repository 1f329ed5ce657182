"""The faces that are unrecognizable by definition, and the K places in which they gather.

A degraded face that is no longer similar to a clean face of the same person cannot be recognized, whatever it looks
like. Single linkage finds the densest place of such faces; models whose unrecognizable faces gather in several, or
thinly, are described better by spherical k-means over all of them.
"""

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.sums import Float64

_ITERATIONS = 100
_RESTARTS = 5
_MOST_IMPOSTORS = 4000


def lost_identity(faces: FaceSet, vectors: Float64, far: float = 1e-3) -> NDArray[np.bool_]:
    """Return which degraded faces are no longer similar to a clean face of the same person: (n,).

    vectors (n, d): their (centred) unit vectors. The least similarity is the one that a share `far` of the pairs of
    clean faces of different people exceeds.
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
    for start in range(_RESTARTS):
        centroids = _refine(vectors, _start(vectors, count, rng, at_mean=start == 0))
        fit = float((vectors @ centroids.T).max(axis=1).mean())
        if fit > best_fit:
            best, best_fit = centroids, fit
    return best


def unit_rows(vectors: Float64) -> Float64:
    """Return (n, d) vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float64)


def _impostor_quantile(vectors: Float64, far: float) -> float:
    some = vectors[:_MOST_IMPOSTORS]
    products = (some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.quantile(products, 1.0 - far))


def _start(vectors: Float64, count: int, rng: np.random.Generator, *, at_mean: bool) -> Float64:
    """Choose starts far from each other (k-means++), the first one at the mean where that is wanted."""
    first = unit_rows(vectors.mean(axis=0)[None, :])[0] if at_mean else vectors[rng.integers(len(vectors))]
    centroids = [first]
    while len(centroids) < count:
        away = np.maximum(1.0 - (vectors @ np.stack(centroids).T).max(axis=1), 0.0) + 1e-12
        centroids.append(vectors[rng.choice(len(vectors), p=away / away.sum())])
    return np.stack(centroids)


def _refine(vectors: Float64, centroids: Float64) -> Float64:
    for _ in range(_ITERATIONS):
        nearest = (vectors @ centroids.T).argmax(axis=1)
        moved = unit_rows(
            np.stack(
                [vectors[nearest == k].mean(axis=0) if (nearest == k).any() else old for k, old in enumerate(centroids)]
            )
        )
        if np.allclose(moved, centroids, atol=1e-9):
            break
        centroids = moved
    return centroids
