"""Bounds as good as float32, for those proposed rows whose bounds by codes leave the answer open."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.proposals import Proposals
from ersgallery_index.backends.segments import Segment
from ersgallery_index.interface import By, FloatRows, Ids, Scores
from ersgallery_index.sums import score_error

_BESIDES = 6
"""Rows scored beyond the k with the best bounds, so that the k-th of them reaches about what the k-th of all does."""

_ROWS_AT_ONCE = 256
"""Float32 rows gathered at once: with their probes they stay in a core's cache."""


def sharpened(found: Proposals, probes: FloatRows, segments: Sequence[Segment], chosen: NDArray[np.bool_]) -> Proposals:
    """Return the same rows, the chosen ones (of (q, w)) with bounds as good as float32."""
    bounds, reached = found.bounds.copy(), found.reached.copy()
    error = score_error(probes.shape[1])
    for place, owners, columns, positions in found.by_segment(chosen):
        vectors = segments[place].rows.vectors
        for start in range(0, len(owners), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            scores = np.einsum("nd,nd->n", vectors[positions[some]], probes[owners[some]]).astype(np.float64)
            bounds[owners[some], columns[some]] = scores + error
            reached[owners[some], columns[some]] = scores - error
    return replace(found, bounds=bounds, reached=reached)


def contenders(
    found: Proposals, probes: FloatRows, segments: Sequence[Segment], k: int, by: By
) -> tuple[Proposals, NDArray[np.bool_]]:
    """Return the proposals and which of them (q, w) can be among the k best.

    First those with the best bounds are scored; a row whose bound lies below what k others reach is out unscored.
    """
    loose = (found.reached == -np.inf) & (found.bounds > -np.inf)
    if loose.any():
        found = sharpened(found, probes, segments, loose & _highest(found.bounds, k + _BESIDES))
        loose &= (found.reached == -np.inf) & (found.bounds >= _kth_reached(found, segments, k, by)[:, None])
        found = sharpened(found, probes, segments, loose)
    near = (found.bounds > -np.inf) & (found.bounds >= _kth_reached(found, segments, k, by)[:, None])
    return found, near


def _highest(bounds: Scores, width: int) -> NDArray[np.bool_]:
    if bounds.shape[1] <= width:
        return np.ones(bounds.shape, dtype=np.bool_)
    lowest = np.partition(bounds, bounds.shape[1] - width, axis=1)[:, bounds.shape[1] - width]
    return bounds >= lowest[:, None]


def _kth_reached(found: Proposals, segments: Sequence[Segment], k: int, by: By) -> Scores:
    """Return what the k-th best of distinct faces or subjects reaches (q,), minus infinity where that is not known."""
    reached = found.reached
    if reached.shape[1] < k:
        return np.full(len(reached), -np.inf)
    kth: Scores = np.partition(reached, reached.shape[1] - k, axis=1)[:, reached.shape[1] - k]
    names = _names(found, segments, (reached >= kth[:, None]) & (reached > -np.inf), by)
    ordered = np.sort(names, axis=1)
    repeated = ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)).any(axis=1)
    if repeated.any():
        names = _names(found, segments, (reached > -np.inf) & repeated[:, None], by)
        for probe in np.flatnonzero(repeated).tolist():
            kth[probe] = _kth_distinct(reached[probe], names[probe], k)
    return kth


def _kth_distinct(reached: Scores, names: Ids, k: int) -> float:
    falling = np.argsort(-reached, kind="stable")
    _, first = np.unique(names[falling], return_index=True)
    distinct = reached[falling[np.sort(first)]]
    return float(distinct[k - 1]) if len(distinct) >= k else -np.inf


def _names(found: Proposals, segments: Sequence[Segment], chosen: NDArray[np.bool_], by: By) -> Ids:
    """Return the faces or subjects of chosen rows (q, w); each of the others has a negative name of its own.

    A row can be proposed twice, by a sketch and by codes.
    """
    names = np.broadcast_to(-1 - np.arange(found.rows.shape[1]), found.rows.shape)
    if by is By.FACE:
        return np.where(chosen, found.rows, names)
    names = names.copy()
    for place, owners, columns, positions in found.by_segment(chosen):
        names[owners, columns] = segments[place].rows.subject_ids[positions]
    return names
