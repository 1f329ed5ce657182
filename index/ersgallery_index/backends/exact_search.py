"""Exact search over segments whose proposals are only bounds.

A float32 score is off by at most d * 2**-24 / (1 - d * 2**-24) times the lengths of both vectors, in whatever order it
adds (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), a float16 one by what `precision` derives,
and a coded one by what `codes` measured.
So once the k-th best exact score lies above the ceiling of all rows that were not proposed, none of these can belong to
the answer. Where it does not, the proposals are widened, and in the end every row is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.proposals import Proposals
from ersgallery_index.backends.rows import Window
from ersgallery_index.backends.scan import propose
from ersgallery_index.backends.segments import Segment
from ersgallery_index.backends.sharpening import contenders
from ersgallery_index.backends.widths import Widths
from ersgallery_index.hits import Found, best_of, by_probe, kth_scores
from ersgallery_index.interface import By, FloatRows, Ids
from ersgallery_index.sums import block_rows, row_dots, score_error

_WIDEN_BY = 8
_SCAN_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """What every probe of one exact search asks for."""

    window: Window
    k: int
    by: By


def search_exactly(
    segments: Sequence[Segment], probes: FloatRows, request: Request, widths: Widths, widest: int
) -> Found:
    """Return the best rows of each probe, ordered, exactly.

    widths: how many rows are proposed first; widest: how many at most, before all rows are scanned.
    """
    segments = [segment for segment in segments if segment.size > 0]
    pending = np.arange(len(probes), dtype=np.int64)
    done: list[Found] = []
    best = Found.empty()
    while len(pending) and segments and max(widths.kept, widths.bare) <= widest:
        proposals = propose(segments, probes[pending], request.window, widths)
        best = _decide(segments, probes[pending], request, proposals)
        ceiling = proposals.ceiling
        complete = (ceiling == -np.inf) | (kth_scores(best, len(pending), request.k) > ceiling)
        done.append(best.take(complete[best.probes]).of_probes(pending))
        best = _renumbered(best, ~complete)
        pending = pending[~complete]
        widths = widths.widened(_WIDEN_BY)
    if len(pending) and segments:
        done.append(_scan(segments, probes[pending], request, best).of_probes(pending))
    return by_probe(done)


def _renumbered(best: Found, kept: NDArray[np.bool_]) -> Found:
    """Keep the rows of some probes and number these from zero."""
    return best.take(kept[best.probes]).of_probes(np.cumsum(kept) - 1)


def _decide(segments: Sequence[Segment], probes: FloatRows, request: Request, proposals: Proposals) -> Found:
    """Return the best of the proposed rows by their exact scores."""
    found, near = contenders(proposals, probes, segments, request.k, request.by)
    exact = [
        _score(segments[place], probes, owners, positions) for place, owners, _, positions in found.by_segment(near)
    ]
    return best_of(Found.concatenate(exact), request.k, request.by)


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
            scores = probes @ rows.vectors[block].T
            near = scores >= floor[:, None]
            if request.by is By.SUBJECT:
                near &= scores >= _best_of_own(scores, rows.subject_ids[block]) - np.float32(2.1 * error)
            owners, columns = np.nonzero(near)
            found = _score(segment, probes, owners, block[columns])
            best = best_of(Found.concatenate([best, found]), request.k, request.by)
    return best


def _best_of_own(scores: NDArray[np.float32], subject_ids: Ids) -> NDArray[np.float32]:
    """Return for every row the best score of its subject (q, n): no other row of a subject can count."""
    _, own = np.unique(subject_ids, return_inverse=True)
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(own.max() + 1))
    best: NDArray[np.float32] = np.maximum.reduceat(scores[:, order], starts, axis=1)[:, own]
    return best
