"""Sums that do not depend on the order of their terms, so that equal similarities compare equal.

A float64 sum depends on the order in which a library adds, and libraries choose that order by batch size. Here each
term is cut into two parts on fixed grids (multiples of 2**-37 and 2**-75) that add without any rounding, and a rest of
at most 2**-76, whose own rounding is far below the last bit of the result. That is in effect the real sum rounded once,
for up to 2**15 terms of magnitude up to 2**14 whose magnitudes add to less than 2**15: unit vectors, and weighted sums
of them, are far inside.
"""

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

BLOCK_ELEMENTS = 1 << 15
"""How many float64 elements are worked on at once, so that every pass stays in a core's cache."""

COARSE = 1.5 * 2.0**15
"""Added to a term and subtracted again, it leaves the term's part on the first grid."""

_LENGTH = 1.001
"""No vector in an index or a search is longer."""

FINE = 1.5 * 2.0**-23
"""The same for the rest and the second grid."""


def order_free_sum(terms: Float64, axis: int = -1) -> Float64:
    """Return the sum over one axis, the same for any order of the terms."""
    coarse, fine, rest = _parts(terms, axis)
    return coarse + (fine + rest)


def sum_parts(terms: Float64, axis: int = -1) -> Float64:
    """Return a sum in three parts (3, ...), which add to those of more terms, or are taken off again, part by part."""
    return np.stack(_parts(terms, axis))


def sum_of_parts(parts: Float64) -> Float64:
    """Return the sum (...) whose three parts (3, ...) these are: that of order_free_sum over all terms."""
    total: Float64 = parts[0] + (parts[1] + parts[2])
    return total


def _parts(terms: Float64, axis: int) -> tuple[Float64, Float64, Float64]:
    coarse = terms + COARSE
    coarse -= COARSE
    rest = terms - coarse
    fine = rest + FINE
    fine -= FINE
    rest -= fine
    return coarse.sum(axis=axis), fine.sum(axis=axis), rest.sum(axis=axis)


def row_dots(left: Float64, right: Float64) -> Float64:
    """Return the dot product of each row of (n, d) float64 with a row of (n, d) or with one (d,) vector: (n,)."""
    return order_free_sum(left * right)


def row_norms(rows: Float64) -> Float64:
    """Return the length of each row of (n, d) float64, whose elements are at most 2**7: (n,)."""
    return np.sqrt(order_free_sum(rows * rows))


def block_rows(dimension: int) -> int:
    """Return how many rows of this dimension make one block."""
    return max(1, BLOCK_ELEMENTS // max(1, dimension))


def score_error(dimension: int) -> float:
    """Return how far a float32 score of two vectors can be from the real one."""
    unit = dimension * 2.0**-24
    # The last term covers products that vanish below float32's smallest number.
    return unit / (1.0 - unit) * _LENGTH**2 + dimension * 2.0**-126
