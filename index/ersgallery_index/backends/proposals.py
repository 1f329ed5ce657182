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
    """Proposed rows. bounds, rows (q, w): in no order; a bound of minus infinity marks no row. ceiling (q,): of others.

    Only rows that a search may see are proposed.
    """

    bounds: Scores
    rows: Ids
    ceiling: Scores

    @classmethod
    def none(cls, probes: int) -> Self:
        """Propose nothing of nothing."""
        return cls(np.empty((probes, 0)), np.empty((probes, 0), dtype=np.int64), np.full(probes, -np.inf))

    @classmethod
    def together(cls, parts: Sequence[Self], width: int) -> Self:
        """Return the `width` best of all parts; what is left out raises the ceiling."""
        bounds = np.concatenate([part.bounds for part in parts], axis=1)
        rows = np.concatenate([part.rows for part in parts], axis=1)
        ceiling = np.max([part.ceiling for part in parts], axis=0)
        if bounds.shape[1] <= width:
            return cls(bounds, rows, ceiling)
        order = np.argpartition(-bounds, width, axis=1)
        next_best = np.take_along_axis(bounds, order[:, width : width + 1], axis=1)[:, 0]
        kept = order[:, :width]
        return cls(
            np.take_along_axis(bounds, kept, axis=1),
            np.take_along_axis(rows, kept, axis=1),
            np.maximum(ceiling, next_best),
        )

    def sure_of(self, fewest: int) -> Self:
        """Return the same rows as if no other could be better, where there are as many as this."""
        enough = (self.bounds > -np.inf).sum(axis=1) >= fewest
        return type(self)(self.bounds, self.rows, np.where(enough, -np.inf, np.inf))

    def by_segment(self) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp], Ids]]:
        """Return for each segment of which rows are proposed its place, and their probes, columns and positions."""
        owners, columns = np.nonzero(self.bounds > -np.inf)
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
