"""The one door to FAISS, whose types vary from build to build: everything beyond it is typed and plain arrays."""

import importlib
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.accelerator import Matrix, Proposed
from ersgallery_index.interface import FloatRows

_GEMM_FROM_ELEMENTS = 2560
"""FAISS multiplies matrices only from this many probe elements on; its own default of 128,000 is up to 6x slower."""

_THREAD = threading.local()
"""Whether OpenMP was told; it keeps the number of threads for each calling thread."""


def faiss_module() -> Any:
    """Return FAISS, tuned for flat search; imported on first use because it takes a while and CUDA may start."""
    faiss = importlib.import_module("faiss")
    faiss.cvar.distance_compute_blas_threshold = _GEMM_FROM_ELEMENTS
    return faiss


def use_one_thread() -> None:
    """Keep FAISS to one OpenMP thread for calls from this thread: fastest for few probes, and no spinning.

    Said once, for each call gives up the GIL, and may have to wait for it.
    """
    if not getattr(_THREAD, "is_told", False):
        faiss_module().omp_set_num_threads(1)
        _THREAD.is_told = True


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


def gpu_count() -> int:
    """Return how many GPUs this FAISS build can use; 0 for a CPU build."""
    faiss = faiss_module()
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def gpu_resources(ordinal: int, scratch_bytes: int) -> Any:
    """Return the resources that all products on one GPU share, with so much memory for what they need meanwhile."""
    resources = faiss_module().StandardGpuResources()
    # Only an index whose probes take 256 MiB and more would use it; ours come from pinned memory of our own.
    resources.setPinnedMemory(0)
    resources.setTempMemory(scratch_bytes)
    resources.getDefaultStream(ordinal)  # takes the memory now, so that what is free is known from here on
    return resources


def gpu_nearest(resources: Any, ordinal: int, probes: Matrix, rows: Matrix, width: int) -> Proposed:
    """Return the `width` largest inner products of each probe with rows, both on a GPU, and their positions."""
    faiss = faiss_module()
    scores = np.empty((probes.rows, width), dtype=np.float32)
    positions = np.empty((probes.rows, width), dtype=np.int64)
    query = _gpu_query(ordinal, probes, rows)
    query.k = width
    query.outDistances = faiss.swig_ptr(scores)
    query.outIndices, query.outIndicesType = faiss.swig_ptr(positions), faiss.IndicesDataType_I64
    faiss.bfKnn(resources, query)
    return scores, positions


def gpu_products(resources: Any, ordinal: int, probes: Matrix, rows: Matrix, address: int) -> None:
    """Begin to write all inner products, (probes, rows) float32, to an address on the same GPU."""
    faiss = faiss_module()
    query = _gpu_query(ordinal, probes, rows)
    query.k = -1  # all of them
    query.outDistances = faiss.cast_integer_to_float_ptr(address)
    faiss.bfKnn(resources, query)


def _gpu_query(ordinal: int, probes: Matrix, rows: Matrix) -> Any:
    faiss = faiss_module()
    query = faiss.GpuDistanceParams()
    query.metric = faiss.METRIC_INNER_PRODUCT
    query.device = ordinal
    # cuVS has numerics of its own, and the bounds of an exact search are those of cuBLAS with sums in float32.
    query.use_cuvs = False
    query.dims = rows.dimension
    query.vectorType = query.queryType = faiss.DistanceDataType_F16 if rows.half else faiss.DistanceDataType_F32
    query.vectors, query.numVectors = faiss.cast_integer_to_void_ptr(rows.address), rows.rows
    query.queries, query.numQueries = faiss.cast_integer_to_void_ptr(probes.address), probes.rows
    return query
