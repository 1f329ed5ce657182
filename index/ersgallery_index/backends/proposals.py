"""What is proposed for the answer: of each probe the rows with the highest bounds, and a bound of all the others.

A bound is never below the real score. So whatever computed it - float32 products, integer products of codes - the
decision that follows can be exact.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.interface import Ids, Scores

_PLACE_SHIFT = 32
"""A row is a segment's place in the search and a position in it, packed into one int64."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Proposed rows. bounds, reached, rows (q, w): in no order; ceiling (q,): a bound of all other rows.

    A row's score is at most its bound and at least what it has reached, minus infinity where nobody knows. A bound of
    minus infinity marks no row. Only rows that a search may see are proposed.
    """

    bounds: Scores
    reached: Scores
    rows: Ids
    ceiling: Scores

    @classmethod
    def none(cls, probes: int) -> Self:
        """Propose nothing of nothing."""
        nothing = np.empty((probes, 0))
        return cls(nothing, nothing, np.empty((probes, 0), dtype=np.int64), np.full(probes, -np.inf))

    @classmethod
    def together(cls, parts: Sequence[Self], width: int | None = None) -> Self:
        """Return the `width` best of all parts, or all; what is left out raises the ceiling."""
        every = cls(
            np.concatenate([part.bounds for part in parts], axis=1),
            np.concatenate([part.reached for part in parts], axis=1),
            np.concatenate([part.rows for part in parts], axis=1),
            np.max([part.ceiling for part in parts], axis=0),
        )
        if width is None or every.bounds.shape[1] <= width:
            return every
        order = np.argpartition(-every.bounds, width, axis=1)
        next_best = np.take_along_axis(every.bounds, order[:, width : width + 1], axis=1)[:, 0]
        kept = order[:, :width]
        return cls(
            np.take_along_axis(every.bounds, kept, axis=1),
            np.take_along_axis(every.reached, kept, axis=1),
            np.take_along_axis(every.rows, kept, axis=1),
            np.maximum(every.ceiling, next_best),
        )

    def sure_of(self, fewest: int) -> Self:
        """Return the same rows as if no other could be better, where there are as many as this."""
        enough = (self.bounds > -np.inf).sum(axis=1) >= fewest
        return type(self)(self.bounds, self.reached, self.rows, np.where(enough, -np.inf, np.inf))

    def by_segment(self, chosen: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp], Ids]]:
        """Return for each segment with chosen rows (of (q, w)) its place, and their probes, columns and positions."""
        owners, columns = np.nonzero(chosen)
        rows = self.rows[owners, columns]
        order = np.argsort(rows, kind="stable")
        owners, columns, rows = owners[order], columns[order], rows[order]
        places = rows >> _PLACE_SHIFT
        starts = np.flatnonzero(np.diff(places, prepend=-1)).tolist()
        for start, stop in itertools.pairwise([*starts, len(rows)]):
            some = slice(start, stop)
            yield int(places[start]), owners[some], columns[some], rows[some] & ((1 << _PLACE_SHIFT) - 1)


def row_number(place: int, position: int) -> int:
    """Return the number of a row in proposals."""
    return (place << _PLACE_SHIFT) | position
