"""Exact search over segments whose proposers are only as good as float32.

A proposer's score of a row is off by at most d * 2**-24 / (1 - d * 2**-24) times the lengths of both vectors, in
whatever order it adds (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). So once the k-th best
exact score lies above the last proposal's by more than that, no row outside the proposals can belong to the answer.
Where it does not, the proposals are widened, and in the end every row is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.segments import Segment
from ersgallery_index.hits import Found, best_of, by_probe, kth_scores
from ersgallery_index.interface import By, FloatRows, Scores
from ersgallery_index.sums import block_rows, row_dots

_LENGTH = 1.001
"""No vector in an index or a search is longer."""

_WIDEN_BY = 8
_SCAN_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows a search may see: lowest <= ERS < below."""

    lowest: float
    below: float

    def admits(self, ers: Scores) -> NDArray[np.bool_]:
        """Return which ERS lie in the window."""
        return (ers >= self.lowest) & (ers < self.below)


@dataclass(frozen=True, slots=True)
class Request:
    """What every probe of one exact search asks for."""

    window: Window
    k: int
    by: By


def score_error(dimension: int) -> float:
    """Return how far a float32 score of two vectors can be from the real one."""
    unit = dimension * 2.0**-24
    # The last term covers products that vanish below float32's smallest number.
    return unit / (1.0 - unit) * _LENGTH**2 + dimension * 2.0**-126


def search_exactly(segments: Sequence[Segment], probes: FloatRows, request: Request, width: int, widest: int) -> Found:
    """Return the best rows of each probe, ordered, exactly.

    width: how many rows are proposed first; widest: how many at most, before all rows are scanned.
    """
    segments = [segment for segment in segments if segment.size > 0]
    total = sum(segment.size for segment in segments)
    pending = np.arange(len(probes), dtype=np.int64)
    done: list[Found] = []
    best = Found.empty()
    while len(pending) and total and width <= widest:
        best, ceiling = _propose(segments, probes[pending], request, width)
        complete = (ceiling == -np.inf) | (kth_scores(best, len(pending), request.k) > ceiling)
        done.append(best.take(complete[best.probes]).of_probes(pending))
        best = _renumbered(best, ~complete)
        pending = pending[~complete]
        width *= _WIDEN_BY
    if len(pending) and total:
        done.append(_scan(segments, probes[pending], request, best).of_probes(pending))
    return by_probe(done)


def _renumbered(best: Found, kept: NDArray[np.bool_]) -> Found:
    """Keep the rows of some probes and number these from zero."""
    return best.take(kept[best.probes]).of_probes(np.cumsum(kept) - 1)


def _propose(segments: Sequence[Segment], probes: FloatRows, request: Request, width: int) -> tuple[Found, Scores]:
    """Return the best of the `width` rows with the highest float32 scores, and a bound of all other rows' scores."""
    scores, numbers, positions = _proposals(segments, probes, width)
    if width >= sum(segment.size for segment in segments):
        ceiling = np.full(len(probes), -np.inf)
    else:
        ceiling = scores[:, width - 1].astype(np.float64) + score_error(probes.shape[1])
    found = []
    for place, segment in enumerate(segments):
        owners, columns = np.nonzero(numbers[:, :width] == place)
        rows = positions[owners, columns]
        seen = segment.alive[rows] & request.window.admits(segment.rows.ers[rows])
        found.append(_score(segment, probes, owners[seen], rows[seen]))
    return best_of(Found.concatenate(found), request.k, request.by), ceiling


def _proposals(
    segments: Sequence[Segment], probes: FloatRows, width: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return float32 scores falling, places in `segments` and positions of the best rows of all segments."""
    scores, numbers, positions = [], [], []
    for place, segment in enumerate(segments):
        some_scores, some_positions = segment.proposer.propose(probes, segment.rows.vectors, min(width, segment.size))
        scores.append(some_scores)
        positions.append(some_positions)
        numbers.append(np.full(some_positions.shape, place, dtype=np.int64))
    if len(segments) == 1:
        return scores[0], numbers[0], positions[0]
    merged = np.concatenate(scores, axis=1)
    order = np.argsort(-merged, axis=1, kind="stable")
    return (
        np.take_along_axis(merged, order, axis=1),
        np.take_along_axis(np.concatenate(numbers, axis=1), order, axis=1),
        np.take_along_axis(np.concatenate(positions, axis=1), order, axis=1),
    )


def _score(
    segment: Segment, probes: FloatRows, owners: NDArray[np.intp], positions: NDArray[np.int64] | NDArray[np.intp]
) -> Found:
    """Return the exact scores of pairs of a probe and a row."""
    rows = segment.rows
    scores = np.empty(len(owners))
    step = block_rows(probes.shape[1])
    for start in range(0, len(owners), step):
        pairs = slice(start, start + step)
        scores[pairs] = row_dots(
            rows.vectors[positions[pairs]].astype(np.float64), probes[owners[pairs]].astype(np.float64)
        )
    return Found(
        probes=owners.astype(np.int64),
        face_ids=rows.face_ids[positions],
        subject_ids=rows.subject_ids[positions],
        scores=scores,
        ers=rows.ers[positions],
    )


def _scan(segments: Sequence[Segment], probes: FloatRows, request: Request, best: Found) -> Found:
    """Look at every row; those whose float32 score rules them out are not scored exactly."""
    error = score_error(probes.shape[1])
    for segment in segments:
        rows = segment.rows
        eligible = np.flatnonzero(segment.alive & request.window.admits(rows.ers))
        for start in range(0, len(eligible), _SCAN_ROWS):
            block = eligible[start : start + _SCAN_ROWS]
            floor = kth_scores(best, len(probes), request.k) - error
            owners, columns = np.nonzero(probes @ rows.vectors[block].T >= floor[:, None])
            found = _score(segment, probes, owners, block[columns])
            best = best_of(Found.concatenate([best, found]), request.k, request.by)
    return best
