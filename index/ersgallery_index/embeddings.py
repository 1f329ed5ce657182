"""Raw embeddings made into the unit rows that are stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.errors import InvalidEmbedding

WRONG_DIMENSION = "has a wrong dimension"
NOT_FINITE = "is not finite"
ZERO_NORM = "has zero norm"


@dataclass(frozen=True, slots=True, eq=False)
class UnitRows:
    """Stored rows: vectors (n, d) float32 of unit length, and the raw norms (n,) float64 they had."""

    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.norms)


def normalize(raw: NDArray[np.float32], dimension: int) -> UnitRows:
    """Scale raw embeddings (n, d) float32 to unit length.

    Lengths are taken in float64, so values that float32 cannot square are no problem. Raises InvalidEmbedding, naming
    the first bad row, for another dimension, NaN, infinity or zero length.
    """
    if raw.ndim != 2 or raw.shape[1] != dimension:
        raise InvalidEmbedding(WRONG_DIMENSION)
    _require_all(np.isfinite(raw).all(axis=1), NOT_FINITE)
    rows = raw.astype(np.float64)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    _require_all(largest > 0.0, ZERO_NORM)
    # Scaled by a power of two, the squares neither overflow nor vanish and no bit is lost.
    scale = np.exp2(np.frexp(largest)[1])
    rows /= scale[:, None]
    norms = np.sqrt(np.add.reduce(rows * rows, axis=1))
    rows /= norms[:, None]
    return UnitRows(vectors=rows.astype(np.float32), norms=norms * scale)


def require_finite_rows(rows: NDArray[np.float32], dimension: int) -> None:
    """Raise InvalidEmbedding unless rows is (n, dimension) and finite."""
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise InvalidEmbedding(WRONG_DIMENSION)
    _require_all(np.isfinite(rows).all(axis=1), NOT_FINITE)


def require_unit_rows(rows: NDArray[np.float32], dimension: int, tolerance: float = 1e-3) -> None:
    """Raise InvalidEmbedding unless rows is (n, dimension), finite and of unit length within the tolerance."""
    require_finite_rows(rows, dimension)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    _require_all(np.abs(norms - 1.0) <= tolerance, "has no unit length")


def _require_all(holds: NDArray[np.bool_] | np.bool_, problem: str) -> None:
    if not holds.all():
        raise InvalidEmbedding(problem, int(np.argmin(holds)))
