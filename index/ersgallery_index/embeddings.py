"""Raw embeddings made into the unit rows that are stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.errors import InvalidEmbedding
from ersgallery_index.sums import block_rows

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
    require_finite_rows(raw, dimension)
    _require_all(raw.any(axis=1), ZERO_NORM)
    result = UnitRows(np.empty(raw.shape, dtype=np.float32), np.empty(len(raw)))
    step = block_rows(dimension)
    for start in range(0, len(raw), step):
        block = slice(start, start + step)
        # The square of any float32 number is an ordinary float64 number.
        rows = raw[block].astype(np.float64)
        norms = np.sqrt(np.add.reduce(rows * rows, axis=1))
        result.vectors[block] = rows / norms[:, None]
        result.norms[block] = norms
    return result


def require_finite_rows(rows: NDArray[np.float32], dimension: int) -> None:
    """Raise InvalidEmbedding unless rows is (n, dimension) and finite."""
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise InvalidEmbedding(WRONG_DIMENSION)
    _require_all(np.isfinite(rows).all(axis=1), NOT_FINITE)


def require_unit_rows(rows: NDArray[np.float32], dimension: int, tolerance: float = 1e-3) -> None:
    """Raise InvalidEmbedding unless rows is (n, dimension), finite and of unit length within the tolerance."""
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise InvalidEmbedding(WRONG_DIMENSION)
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.abs(np.einsum("ij,ij->i", rows, rows) - 1.0) <= 2 * tolerance
    # NaN and infinity fail the comparison too: one pass over good rows is enough.
    if not unit.all():
        require_finite_rows(rows, dimension)
        _require_all(unit, "has no unit length")


def _require_all(holds: NDArray[np.bool_] | np.bool_, problem: str) -> None:
    if not holds.all():
        raise InvalidEmbedding(problem, int(np.argmin(holds)))
