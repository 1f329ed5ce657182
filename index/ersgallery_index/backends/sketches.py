"""Rows as sketches of half a byte for two numbers, scanned many times faster than rows, and without a proof.

A product quantizer with 16 points for each pair of numbers (Jégou et al., 2011) is looked up in registers by FAISS's
fast scan. Its estimate of a score is off by some 0.015, and nothing bounds the error of a single row: a search that
looks only at the rows with the best estimates can miss one. How rarely it does is measured, not proven.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.faiss_library import FastScan
from ersgallery_index.interface import FloatRows

FEWEST_ROWS = 2048
"""Fewer rows are not worth a sketch, and too few to learn one from."""

PROBES_AT_MOST = 4
"""For more probes at once the products of codes are as fast, and proven."""


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """The sketch of a segment's first rows. alive (n,): which of them were when they were sketched."""

    alive: NDArray[np.bool_]
    rows: FastScan

    @property
    def stop(self) -> int:
        """How many rows it has."""
        return len(self.alive)


class Sketcher:
    """Draws sketches by what it learned from the first rows that it saw."""

    def __init__(self) -> None:
        self._learned: FastScan | None = None

    def sketch(self, rows: FloatRows, alive: NDArray[np.bool_]) -> Sketch:
        """Return the sketch of rows (n, d)."""
        if self._learned is None:
            self._learned = FastScan.learn(rows)
        return Sketch(alive, self._learned.drawn(rows))


def can_sketch(rows: int, dimension: int) -> bool:
    """Tell whether so many rows can have a sketch."""
    return rows >= FEWEST_ROWS and dimension % 2 == 0
