"""The one door to FAISS, whose types vary from build to build: everything beyond it is typed and plain arrays."""

import importlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.interface import FloatRows

_GEMM_FROM_ELEMENTS = 2560
"""FAISS multiplies matrices only from this many probe elements on; its own default of 128,000 is up to 6x slower."""


class FlatIndex(Protocol):
    """What is used of a FAISS flat index; rows can be added and searched, not removed."""

    ntotal: int

    def add(self, x: FloatRows) -> None:
        """Copy rows (n, d) behind the others."""

    def search(self, x: FloatRows, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the k largest inner products of each probe, falling, and their positions."""
        ...


def faiss_module() -> Any:
    """Return FAISS, tuned for flat search; imported on first use because it takes a while and CUDA may start."""
    faiss = importlib.import_module("faiss")
    faiss.cvar.distance_compute_blas_threshold = _GEMM_FROM_ELEMENTS
    return faiss


def use_one_thread() -> None:
    """Keep FAISS to one OpenMP thread for calls from this thread: fastest for few probes, and no spinning."""
    faiss_module().omp_set_num_threads(1)


def nearest_rows(probes: FloatRows, rows: FloatRows, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the k largest float32 inner products of each probe with rows, and their positions: (q, k) each."""
    faiss = faiss_module()
    scores, positions = faiss.knn(probes, rows, k, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, positions


class FastScan:
    """Rows by their nearest of 16 points for each pair of numbers, scanned in a processor's registers."""

    def __init__(self, learned: Any) -> None:
        self._index = learned

    @classmethod
    def learn(cls, rows: FloatRows) -> "FastScan":
        """Learn the points from rows; it holds none yet."""
        faiss = faiss_module()
        use_one_thread()
        dimension = rows.shape[1]
        index = faiss.IndexPQFastScan(dimension, dimension // 2, 4, faiss.METRIC_INNER_PRODUCT)
        index.train(np.ascontiguousarray(rows))
        return cls(index)

    def drawn(self, rows: FloatRows) -> "FastScan":
        """Return another one with the same points that holds these rows."""
        use_one_thread()
        index = faiss_module().clone_index(self._index)
        index.add(np.ascontiguousarray(rows))
        return FastScan(index)

    def nearest(self, probes: FloatRows, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the k largest estimates of each probe's inner products and their positions, -1 for none: (q, k)."""
        use_one_thread()
        estimates, positions = self._index.search(probes, k)
        return estimates, positions


class TopRows:
    """The highest of many values of each probe, with the numbers of their rows: a FAISS heap for each probe."""

    def __init__(self, probes: int, width: int) -> None:
        self._faiss = faiss_module()
        self.values = np.empty((probes, width), dtype=np.float32)
        self.rows = np.empty((probes, width), dtype=np.int64)
        self._heaps = self._faiss.float_minheap_array_t()
        self._heaps.nh, self._heaps.k = probes, width
        self._heaps.val, self._heaps.ids = self._faiss.swig_ptr(self.values), self._faiss.swig_ptr(self.rows)
        self._heaps.heapify()

    def add(self, values: FloatRows, first: int) -> None:
        """Offer values (q, n) of the rows numbered first, first + 1, and so on; minus infinity is never taken."""
        values = np.ascontiguousarray(values)
        self._heaps.addn(values.shape[1], self._faiss.swig_ptr(values), first)

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Which places of the heaps are filled."""
        return self.rows >= 0


def cpu_flat_index(dimension: int) -> FlatIndex:
    """Return an empty inner-product index in host memory that keeps a copy of its rows."""
    index: FlatIndex = faiss_module().IndexFlatIP(dimension)
    return index


def gpu_count() -> int:
    """Return how many GPUs this FAISS build can use; 0 for a CPU build."""
    faiss = faiss_module()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def gpu_resources(scratch_bytes: int) -> Any:
    """Return the resources that all indexes on one GPU share."""
    resources = faiss_module().StandardGpuResources()
    resources.setTempMemory(scratch_bytes)
    return resources


def gpu_flat_index(resources: Any, ordinal: int, dimension: int) -> FlatIndex:
    """Return an empty float32 inner-product index in the memory of one GPU."""
    faiss = faiss_module()
    config = faiss.GpuIndexFlatConfig()
    config.device = ordinal
    config.useFloat16 = False
    # cuVS has numerics of its own, and the error bound of an exact search is float32's.
    config.use_cuvs = False
    index: FlatIndex = faiss.GpuIndexFlatIP(resources, dimension, config)
    return index
