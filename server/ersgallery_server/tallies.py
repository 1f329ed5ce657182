"""What the parts of a server count while they work; whoever wants to tell of it reads them now and then.

Plain numbers behind a lock each: about a microsecond for each entry, and nothing where nobody looks.
"""

import threading
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K", bound=Hashable)

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = tuple(float(1 << power) for power in range(13))

_FEW = 16
"""Up to so many values are counted one by one; NumPy takes longer to begin."""


class Tally(Generic[K]):
    """Counts by kind; any thread may add."""

    def __init__(self) -> None:
        self._counts: dict[K, int] = {}
        self._lock = threading.Lock()

    def add(self, kind: K, times: int = 1) -> None:
        """Count something so many times."""
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + times

    def read(self) -> dict[K, int]:
        """Return the counts of the kinds that were met."""
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How values were spread: counts[i] of them at or below bounds[i] and above the one before, the last above all."""

    bounds: Sequence[float]
    counts: Sequence[int]
    total: float

    def __add__(self, other: Self) -> "Distribution":
        counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        return Distribution(self.bounds, counts, self.total + other.total)


class Spread:
    """Counts values by size; any thread may add. bounds: rising upper ends."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count one value."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._total += value

    def add_all(self, values: NDArray[np.float64]) -> None:
        """Count the values of an array (n,) at once."""
        if len(values) <= _FEW:
            for value in values.tolist():
                self.add(value)
            return
        found = np.bincount(np.searchsorted(self._bounds, values), minlength=len(self._counts)).tolist()
        with self._lock:
            self._counts = [a + b for a, b in zip(self._counts, found, strict=True)]
            self._total += float(values.sum())

    def read(self) -> Distribution:
        """Return what was counted so far."""
        with self._lock:
            return Distribution(self._bounds, tuple(self._counts), self._total)
