"""Single-linkage clusters of unit vectors, in memory that grows with their number and not with its square.

Hierarchical agglomerative clustering by single linkage, cut at a distance t (Euclidean, inclusive), gives the connected
components of the graph whose edges are the pairs at a distance <= t. So all pairs are looked at once, block by block,
and joined in a forest; nothing of a block is kept.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.calibration.faces import Progress

BLOCK_ROWS = 2048
"""Rows of one block of products: enough for full speed, and small beside the vectors."""

_FLOAT32_EPSILON = float(np.finfo(np.float32).eps)


def single_linkage(
    unit: NDArray[np.float32], max_distance: float, progress: Progress | None = None
) -> NDArray[np.int64]:
    """Return the cluster of each of (n, d) unit vectors, numbered by their first member: (n,) int64.

    Equal to scipy's `fcluster(linkage(unit, "single"), max_distance, "distance")` but for the numbers.
    """
    (labels,) = single_linkage_grid(unit, [max_distance], progress)
    return np.asarray(labels, np.int64)


def single_linkage_grid(
    unit: NDArray[np.float32], max_distances: Sequence[float], progress: Progress | None = None
) -> NDArray[np.int64]:
    """Return the clusters at several distances from one pass over all pairs: (t, n) int64.

    progress: gets the pairs compared so far and all pairs.
    """
    rows = np.ascontiguousarray(unit, np.float32)
    forests = [_Forest(len(rows), distance) for distance in max_distances]
    done, total = 0, len(rows) * (len(rows) + 1) // 2
    for start in range(0, len(rows), BLOCK_ROWS):
        left = rows[start : start + BLOCK_ROWS]
        for other in range(start, len(rows), BLOCK_ROWS):
            right = rows[other : other + BLOCK_ROWS]
            cosines = left @ right.T
            for forest in forests:
                forest.join_near(rows, cosines, start, other)
            done += cosines.size if other > start else len(left) * (len(left) + 1) // 2
            if progress:
                progress(done, total)
    return np.stack([_numbered(forest.roots(np.arange(len(rows)))) for forest in forests])


class _Forest:
    """Disjoint sets of rows: each row points towards the root of its set, which is its lowest row."""

    def __init__(self, count: int, max_distance: float) -> None:
        self._parents = np.arange(count)
        self._max_distance = max_distance

    def roots(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the root of each row, and let the rows point there."""
        roots = self._parents[rows]
        while ((above := self._parents[roots]) != roots).any():
            roots = above
        self._parents[rows] = roots
        return roots

    def join_near(self, unit: NDArray[np.float32], cosines: NDArray[np.float32], start: int, other: int) -> None:
        """Join the near pairs of one block of cosines, whose first row and column are these rows."""
        left, right = np.arange(start, start + cosines.shape[0]), np.arange(other, other + cosines.shape[1])
        # |a - b|^2 = 2 - 2 <a, b>; float32 products of d terms are off by less than this.
        least = 1.0 - self._max_distance**2 / 2.0
        error = (unit.shape[1] + 4) * _FLOAT32_EPSILON
        near = cosines >= np.float32(least - error)
        unsure = np.flatnonzero(near & (cosines < np.float32(least + error)))
        if len(unsure):
            near.flat[unsure] = self._are_near(unit, left, right, np.divmod(unsure, len(right)))
        # Rows and columns in turn: a round of rows alone would win one column of a dense block at a time.
        while self._join_rows(near, left, right) and self._join_rows(near.T, right, left):
            pass

    def _are_near(
        self,
        unit: NDArray[np.float32],
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        pairs: tuple[NDArray[np.intp], ...],
    ) -> NDArray[np.bool_]:
        """Decide pairs at the cut in float64, a few at a time."""
        near = np.empty(len(pairs[0]), np.bool_)
        for first in range(0, len(near), BLOCK_ROWS):
            some = slice(first, first + BLOCK_ROWS)
            difference = unit[left[pairs[0][some]]].astype(np.float64) - unit[right[pairs[1][some]]]
            near[some] = np.sqrt(np.einsum("ij,ij->i", difference, difference)) <= self._max_distance
        return near

    def _join_rows(self, near: NDArray[np.bool_], left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
        """Join every row that is near a column of another set with one such column; say whether there was any."""
        active = np.flatnonzero(near.any(axis=1))
        apart = near[active] & (self.roots(left[active])[:, None] != self.roots(right)[None, :])
        has_one = apart.any(axis=1)
        chosen = right[apart[has_one].argmax(axis=1)] if has_one.any() else right[:0]
        for row, column in zip(left[active[has_one]].tolist(), chosen.tolist(), strict=True):
            self._union(row, column)
        return len(chosen) > 0

    def _union(self, row: int, column: int) -> None:
        first, second = self._root(row), self._root(column)
        if first != second:
            self._parents[max(first, second)] = min(first, second)

    def _root(self, row: int) -> int:
        parents = self._parents
        while (above := int(parents[row])) != row:
            parents[row] = parents[above]
            row = above
        return row


def _numbered(roots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return cluster numbers by first members: roots are lowest rows, so their order is that."""
    return np.asarray(np.unique(roots, return_inverse=True)[1].reshape(-1), np.int64)
