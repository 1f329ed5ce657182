"""The mean ERS of faces, summed by the database as the index sums it: the same in every bit.

A subject searched by template is found while this mean is at or above the gate. A database adds in whatever order it
reads, so that its own average may differ from the index's in the last bit, which decides exactly at a gate. Terms cut
as `ersgallery_index.sums` cuts them add without rounding in any order.
"""

from ersgallery_index.sums import COARSE, FINE
from sqlalchemy import ColumnElement, Double, func, literal

from ersgallery_server.store.tables import FACES

_COARSE: ColumnElement[float] = literal(COARSE, Double())
_FINE: ColumnElement[float] = literal(FINE, Double())


def ers_sum_parts() -> tuple[ColumnElement[float], ColumnElement[float], ColumnElement[float]]:
    """Select the three parts of the sum of the faces' ERS."""
    ers = FACES.c.ers
    coarse = (ers + _COARSE) - _COARSE
    fine = ((ers - coarse) + _FINE) - _FINE
    return func.sum(coarse), func.sum(fine), func.sum((ers - coarse) - fine)


def mean_ers() -> ColumnElement[float]:
    """Select the mean of the faces' ERS."""
    coarse, fine, rest = ers_sum_parts()
    return (coarse + (fine + rest)) / func.count(FACES.c.ers)
