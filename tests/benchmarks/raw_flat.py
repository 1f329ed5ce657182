"""FAISS FlatIP by itself, as the yardstick: as it comes, or tuned as well as we know how to."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows
from tests.benchmarks.machine import cores

Found = tuple[NDArray[np.float32], NDArray[np.int64]]

_faiss: Any = importlib.import_module("faiss")
_GEMM_FROM_BY_DEFAULT = int(_faiss.cvar.distance_compute_blas_threshold)
_GEMM_FROM_TUNED = 2560
"""At the default of 1.15, fewer than 250 probes of 512 numbers are not multiplied as a matrix, and up to 6x slower."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFlat:
    """A FlatIP index of rows (n, d); its results are positions in the order of adding."""

    index: Any

    @classmethod
    def of(cls, dimension: int, blocks: Iterable[FloatRows]) -> "RawFlat":
        """Return an index of rows that come in blocks."""
        index = _faiss.IndexFlatIP(dimension)
        for rows in blocks:
            index.add(np.ascontiguousarray(rows))
        return cls(index)

    def search(self, probes: FloatRows, k: int, *, threads: int = 1, tuned: bool = True) -> Found:
        """Return the k best scores and positions of each probe."""
        _faiss.cvar.distance_compute_blas_threshold = _GEMM_FROM_TUNED if tuned else _GEMM_FROM_BY_DEFAULT
        _faiss.omp_set_num_threads(threads)
        try:
            found: Found = self.index.search(probes, k)
        finally:
            _faiss.omp_set_num_threads(1)  # as the index beside it left this thread
        return found

    def yardsticks(self, batches: "Batches", k: int) -> dict[str, Callable[[], object]]:
        """Return a search of the next batch by each way to use FlatIP."""
        ways: dict[str, Callable[[], object]] = {
            "flat-tuned": lambda: self.search(batches.take(), k),
            "flat-default": lambda: self.search(batches.take(), k, threads=cores(), tuned=False),
        }
        if cores() > 1:
            ways["flat-tuned-all-cores"] = lambda: self.search(batches.take(), k, threads=cores())
        return ways


class Batches:
    """Batches of probes in turn, so that no search finds its own rows in the caches by being asked the same again."""

    def __init__(self, probes: FloatRows, size: int) -> None:
        self.size = size
        self._batches = [probes[start : start + size] for start in range(0, len(probes) - size + 1, size)]
        self._next = 0

    def take(self) -> FloatRows:
        """Return the next batch."""
        self._next = (self._next + 1) % len(self._batches)
        return self._batches[self._next]
