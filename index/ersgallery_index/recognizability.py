"""Recognizability: the profile of an embedding model, and what is derived from stored rows by it.

The order is fixed. A stored unit row is centred (the profile's mean is subtracted and the row normalised again); its
ERS comes from the centred row; then, where the gallery asks for it, the span of the UI centroids is removed (eq. 6).
All of it is float64, and the result is rounded to float32 once. Similarity is the float64 dot product of these derived
float32 rows: of the centred and, if set, enhanced vectors. ERS and both gates never see the enhancement.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.embeddings import require_finite_rows
from ersgallery_index.errors import InvalidProfile
from ersgallery_index.sums import Float64, block_rows, row_dots, row_norms

NO_DIRECTION = 1e-6
"""A residual shorter than this is rounding noise of the stored float32 row and points nowhere."""

_UNIT_TOLERANCE = 1e-4
_ALREADY_UNIT = 1e-14
_ROUGH_ERROR = 1e-9
"""Far more than the order of its terms can change a product of two unit vectors in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """How recognizability is measured for one embedding model; immutable.

    model: the model's name. centroids: (K, d) unit UI centroids, K >= 1; they are normalised to float64 unit length.
    gamma: the suggested probe and gallery gate, 0..1. mean: (d,) subtracted before normalising, or None.
    Raises InvalidProfile for anything that cannot define an ERS.
    """

    model: str
    centroids: Float64
    gamma: float
    mean: Float64 | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "centroids", _frozen(_unit_centroids(np.array(self.centroids, dtype=np.float64))))
        if self.mean is not None:
            mean = np.array(self.mean, dtype=np.float64)
            _require(mean.shape == (self.dimension,), "the mean must have the dimension of the centroids")
            _require(bool(np.isfinite(mean).all()), "the mean is not finite")
            object.__setattr__(self, "mean", _frozen(mean))
        _require(0.0 <= self.gamma <= 1.0, "gamma must lie in 0..1")

    @property
    def dimension(self) -> int:
        """The dimension of the embeddings this profile is for."""
        return int(self.centroids.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """What n stored rows come to under one profile.

    vectors (n, d) float32: unit rows for similarity, zero where not usable. ers (n,): eq. 1 capped to 0..1;
    raw_ers (n,): uncapped. usable (n,): False where centring or enhancement left no direction; such a row belongs in
    no index and makes a probe UNSURE.
    """

    vectors: NDArray[np.float32]
    ers: Float64
    raw_ers: Float64
    usable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ers)


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """The same before rounding: vectors (n, d) float64, as templates are aggregated."""

    vectors: Float64
    ers: Float64
    raw_ers: Float64
    usable: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Derivation:
    """A profile, and whether similarity uses ERS-enhanced features (eq. 6)."""

    profile: Profile
    enhance: bool = False
    _basis: Float64 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_basis", _orthonormal(self.profile.centroids))

    def derive(self, rows: NDArray[np.float32]) -> Derived:
        """Derive stored unit rows (n, d) float32; every row's result depends on that row alone.

        Raises InvalidEmbedding for another dimension, NaN or infinity.
        """
        require_finite_rows(rows, self.profile.dimension)
        result = Derived(
            vectors=np.empty(rows.shape, dtype=np.float32),
            ers=np.empty(len(rows)),
            raw_ers=np.empty(len(rows)),
            usable=np.empty(len(rows), dtype=np.bool_),
        )
        step = block_rows(self.profile.dimension)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            part = self.directions(rows[block])
            result.vectors[block] = part.vectors
            result.ers[block] = part.ers
            result.raw_ers[block] = part.raw_ers
            result.usable[block] = part.usable
        return result

    def directions(self, rows: NDArray[np.float32]) -> Directions:
        """Derive a few rows without rounding them to float32; raises as derive does."""
        require_finite_rows(rows, self.profile.dimension)
        centred, usable = self._centre(rows.astype(np.float64))
        nearest = _nearest(centred, self.profile.centroids)
        raw_ers = np.where(usable, 1.0 - nearest, 0.0)
        vectors = centred
        if self.enhance:
            vectors, left = self._enhance(centred)
            usable = usable & left
        return Directions(
            vectors=np.where(usable[:, None], vectors, 0.0),
            ers=np.clip(raw_ers, 0.0, 1.0),
            raw_ers=raw_ers,
            usable=usable,
        )

    def _centre(self, rows: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        # Without a mean the stored row is used as it is: normalising again would only move its last bits.
        if self.profile.mean is None:
            return rows, np.ones(len(rows), dtype=np.bool_)
        return normalize_residuals(rows - self.profile.mean)

    def _enhance(self, rows: Float64) -> tuple[Float64, NDArray[np.bool_]]:
        for direction in self._basis:
            rows = rows - row_dots(rows, direction)[:, None] * direction
        return normalize_residuals(rows)


def _nearest(rows: Float64, centroids: Float64) -> Float64:
    """Return max_k <f_UI_k, f> for rows (n, d) of unit length or zero: (n,).

    Only the centroid that is nearest by an ordinary product, and any that comes as near, is looked at exactly.
    """
    if len(centroids) == 1:
        return row_dots(rows, centroids[0])
    rough = rows @ centroids.T
    first = np.argmax(rough, axis=1)
    nearest = row_dots(rows, centroids[first])
    near = rough >= rough.max(axis=1, keepdims=True) - _ROUGH_ERROR
    near[np.arange(len(rows)), first] = False
    if near.any():
        which, others = np.nonzero(near)
        np.maximum.at(nearest, which, row_dots(rows[which], centroids[others]))
    return nearest


def normalize_residuals(rows: Float64) -> tuple[Float64, NDArray[np.bool_]]:
    """Return rows (n, d) at unit length, and which had a direction at all; the others become zero."""
    norms = row_norms(rows)
    usable = norms >= NO_DIRECTION
    unit = np.divide(rows, norms[:, None], out=np.zeros_like(rows), where=usable[:, None])
    return unit, usable


def _orthonormal(centroids: Float64) -> Float64:
    """Return an orthonormal basis of the centroids' span by Gram-Schmidt; the first centroid stays as it is."""
    basis: list[Float64] = []
    for centroid in centroids:
        residual = centroid[None, :]
        for direction in basis:
            residual = residual - row_dots(residual, direction)[:, None] * direction
        unit, usable = normalize_residuals(residual) if basis else (residual, np.ones(1, dtype=np.bool_))
        if usable[0]:
            basis.append(unit[0])
    return _frozen(np.array(basis))


def _unit_centroids(centroids: Float64) -> Float64:
    _require(centroids.ndim == 2 and centroids.size > 0, "centroids must be a (K, d) array with K >= 1")
    _require(bool(np.isfinite(centroids).all()), "a centroid is not finite")
    norms = np.sqrt(np.add.reduce(centroids * centroids, axis=1))
    error = np.abs(norms - 1.0)
    _require(bool((error <= _UNIT_TOLERANCE).all()), "a centroid has no unit length")
    # A centroid that was normalised before stays the same in every bit, so that profiles survive being saved.
    return np.where((error <= _ALREADY_UNIT)[:, None], centroids, centroids / norms[:, None])


def _frozen(array: Float64) -> Float64:
    array.setflags(write=False)
    return array


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise InvalidProfile(problem)
