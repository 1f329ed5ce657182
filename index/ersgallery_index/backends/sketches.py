"""Rows as sketches of half a byte for two numbers, scanned many times faster than rows, and without a proof.

A product quantizer with 16 points for each pair of numbers (Jégou et al., 2011) is looked up in registers by FAISS's
fast scan. Its estimate of a score is off by some 0.015, and nothing bounds the error of a single row: a search that
looks only at the rows with the best estimates can miss one. How rarely it does is measured, not proven.
"""

from ersgallery_index.backends.faiss_library import FastScan
from ersgallery_index.interface import FloatRows

FEWEST_ROWS = 256
"""Fewer rows are not worth a sketch, and too few to learn one from."""

PROBES_AT_MOST = 4
"""For more probes at once the products of codes are as fast, and proven."""


Sketch = FastScan
"""The sketch of a full segment's rows."""


class Sketcher:
    """Draws sketches by what it learned from the first rows that it saw."""

    def __init__(self) -> None:
        self._learned: FastScan | None = None

    def sketch(self, rows: FloatRows) -> Sketch:
        """Return the sketch of rows (n, d)."""
        if self._learned is None:
            self._learned = FastScan.learn(rows)
        return self._learned.drawn(rows)


def can_sketch(rows: int, dimension: int) -> bool:
    """Tell whether segments of so many rows can have sketches."""
    return rows >= FEWEST_ROWS and dimension % 2 == 0
