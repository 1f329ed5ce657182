"""Bounds as good as float32, for those proposed rows whose bounds by codes leave the answer open."""

from collections.abc import Mapping, Sequence
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


def sharpened(
    found: Proposals, probes: FloatRows, segments: Mapping[int, Segment], chosen: NDArray[np.bool_]
) -> Proposals:
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
    numbered = dict(enumerate(segments))
    loose = (found.reached == -np.inf) & (found.bounds > -np.inf)
    if loose.any():
        found = sharpened(found, probes, numbered, loose & _highest(found.bounds, k + _BESIDES))
        loose &= (found.reached == -np.inf) & (found.bounds >= _kth_reached(found, segments, k, by)[:, None])
        found = sharpened(found, probes, numbered, loose)
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
    if by is By.FACE:
        return kth
    names = _subjects(found, segments, (reached >= kth[:, None]) & (reached > -np.inf))
    ordered = np.sort(names, axis=1)
    repeated = ((np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] >= 0)).any(axis=1)
    if not repeated.any():
        return kth
    return _kth_of_subjects(found, segments, k, kth, np.flatnonzero(repeated))


def _kth_of_subjects(
    found: Proposals, segments: Sequence[Segment], k: int, kth: Scores, probes: NDArray[np.intp]
) -> Scores:
    names = _subjects(found, segments, found.reached > -np.inf)
    kth = kth.copy()
    for probe in probes.tolist():
        reached = found.reached[probe]
        known = np.flatnonzero(reached > -np.inf)
        falling = known[np.argsort(-reached[known], kind="stable")]
        _, first = np.unique(names[probe][falling], return_index=True)
        distinct = reached[falling[np.sort(first)]]
        kth[probe] = distinct[k - 1] if len(distinct) >= k else -np.inf
    return kth


def _subjects(found: Proposals, segments: Sequence[Segment], chosen: NDArray[np.bool_]) -> Ids:
    """Return the subjects of chosen rows (q, w); each of the others has a negative name of its own."""
    names = np.broadcast_to(-1 - np.arange(found.rows.shape[1]), found.rows.shape).copy()
    for place, owners, columns, positions in found.by_segment(chosen):
        names[owners, columns] = segments[place].rows.subject_ids[positions]
    return names
