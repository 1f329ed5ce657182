"""The best rows of few probes among many rows, selected by many parts of a device at once.

FAISS selects with one block of threads for each probe, so that for one probe nearly all of a GPU waits for one block.
So here the scores of a probe, n in a row, are taken for n / m rows of m numbers. The inner products of these with the m
unit vectors are the same scores again, each a product with 1 added to zeros, and exact; but they are m probes for
FAISS, each with every m-th row, and the best of all are among the best of each.
"""

import numpy as np

from ersgallery_index.backends.accelerator import Accelerator, Matrix, Proposed

PARTS = 64
"""How many blocks select for one probe."""

_FEW_PROBES = 16
_MANY_ROWS = 1 << 16
"""For fewer rows one block is fast enough."""


class Selection:
    """Selects on one device. It takes memory for scores_bytes of scores; with none, FAISS selects alone.

    Raises DeviceFull.
    """

    def __init__(
        self, accelerator: Accelerator, scores_bytes: int, many_rows: int = _MANY_ROWS, parts: int = PARTS
    ) -> None:
        self._accelerator = accelerator
        self._many_rows = many_rows
        self._parts = parts
        self._scores = Matrix(0, 1, scores_bytes // 4, half=False)
        self._units = Matrix(0, parts, parts, half=False)
        if scores_bytes:
            self._scores = Matrix(accelerator.allocate(scores_bytes), 1, scores_bytes // 4, half=False)
            self._units = Matrix(accelerator.allocate(parts * self._units.row_bytes), parts, parts, half=False)
            size = parts * self._units.row_bytes
            accelerator.staging[:size] = np.eye(parts, dtype=np.float32).view(np.uint8).reshape(-1)
            accelerator.write(self._units.address, size)

    def nearest(self, probes: Matrix, rows: Matrix, width: int) -> Proposed:
        """Return the `width` best rows of each probe; see Accelerator."""
        even = rows.rows - rows.rows % self._parts
        if not self._is_worth_it(probes.rows, even, width):
            return self._accelerator.nearest(probes, rows, width)
        first = rows.part(0, even)
        self._accelerator.multiply(probes, first, self._scores.address)
        found = [self._select(probe, even, width) for probe in range(probes.rows)]
        scores, positions = (np.stack(columns) for columns in zip(*found, strict=True))
        if even < rows.rows:
            rest, at = self._accelerator.nearest(
                probes, rows.part(even, rows.rows - even), min(width, rows.rows - even)
            )
            scores, positions = np.concatenate([scores, rest], axis=1), np.concatenate([positions, at + even], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)

    def _is_worth_it(self, probes: int, rows: int, width: int) -> bool:
        fits = probes * rows <= self._scores.dimension and width <= rows // self._parts
        return fits and probes <= _FEW_PROBES and rows >= self._many_rows

    def _select(self, probe: int, rows: int, width: int) -> Proposed:
        """Return the best of each part: (parts * width,) scores and positions, in no order."""
        address = self._scores.address + probe * rows * 4
        columns = Matrix(address, rows // self._parts, self._parts, half=False)
        scores, positions = self._accelerator.nearest(self._units, columns, width)
        return scores.reshape(-1), (positions * self._parts + np.arange(self._parts)[:, None]).reshape(-1)
