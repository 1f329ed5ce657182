"""The limits of a GPU: how fast it copies its memory, by the driver, and multiplies matrices, by cuBLAS.

cuBLAS comes with FAISS for GPUs; nothing else is needed. All this is called on GPUs alone.
"""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ersgallery_index.backends.cuda_driver import CudaDriver

_COPY_BYTES = 1 << 30
_ROUNDS = 5
_REPEATS = 10
_FLOAT32, _FLOAT16 = 0, 2
"""cudaDataType_t."""
_COMPUTE_FLOAT32 = 68
"""cublasComputeType_t: sums in float32."""
_DEFAULT_ALGORITHM = -1
_NO_TRANSPOSE, _TRANSPOSE = 0, 1
_VERSIONS = ("13", "12", "11")


class CublasFailed(Exception):
    """A call of cuBLAS failed, or it is missing."""


@dataclass(frozen=True, slots=True)
class GpuLimits:
    """Bytes read or written a second, and operations of float32 and float16 products a second."""

    bytes_per_s: float
    float32_ops_per_s: float
    float16_ops_per_s: float

    def search_s(self, faces: int, probes: int, dimension: int, bytes_per_number: int) -> float:
        """Return the least time of an exact search: that of reading all rows once, or of multiplying them."""
        operations = self.float16_ops_per_s if bytes_per_number == 2 else self.float32_ops_per_s
        reading = bytes_per_number * dimension * faces / self.bytes_per_s
        return max(reading, 2.0 * dimension * faces * probes / operations)


def measure_limits() -> GpuLimits:
    """Measure all limits of the first GPU; the best of several rounds counts.

    Raises CublasFailed, and as CudaDriver does.
    """
    driver = _Driver(0)
    blas = _Cublas(driver)
    return GpuLimits(_copying(driver), blas.multiplying(_FLOAT32, 4), blas.multiplying(_FLOAT16, 2))


class _Driver(CudaDriver):
    def copy(self, target: int, source: int, size: int) -> None:
        """Begin to copy bytes within the GPU's memory."""
        arguments = ctypes.c_uint64(target), ctypes.c_uint64(source), ctypes.c_size_t(size)
        self._within("cuMemcpyDtoDAsync_v2", *arguments, ctypes.c_void_p())

    @contextmanager
    def memory_of(self, size: int) -> Iterator[int]:
        """Give the address of so many bytes, all zero."""
        address = self.allocate(size)
        try:
            self.clear(address, size)
            yield address
        finally:
            self.release(address)

    def seconds(self, work: Callable[[], None]) -> float:
        """Return the least seconds that one of several works takes, which follow each other closely."""
        best = float("inf")
        for _ in range(_ROUNDS + 1):
            self.finish()
            begun = time.perf_counter()
            for _ in range(_REPEATS):
                work()
            self.finish()
            best = min(best, (time.perf_counter() - begun) / _REPEATS)
        return best


def _copying(driver: _Driver) -> float:
    with driver.memory_of(_COPY_BYTES) as source, driver.memory_of(_COPY_BYTES) as target:
        # Each byte is read once and written once.
        return 2.0 * _COPY_BYTES / driver.seconds(lambda: driver.copy(target, source, _COPY_BYTES))


class _Cublas:
    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._library = ctypes.CDLL(cublas_path())

    def multiplying(self, kind: int, width: int) -> float:
        """Return operations a second of products like those of a search: many rows of 512 numbers with 2048 probes."""
        rows, probes, dimension = 65_536, 2048, 512
        with (
            self._driver.memory_of(rows * dimension * width) as gallery,
            self._driver.memory_of(probes * dimension * width) as asked,
            self._driver.memory_of(rows * probes * width) as out,
            self._handle() as handle,
        ):
            one, zero = ctypes.c_float(1.0), ctypes.c_float(0.0)

            def multiply() -> None:
                self._call(
                    "cublasGemmEx", handle, ctypes.c_int(_TRANSPOSE), ctypes.c_int(_NO_TRANSPOSE),
                    ctypes.c_int(rows), ctypes.c_int(probes), ctypes.c_int(dimension), ctypes.byref(one),
                    ctypes.c_void_p(gallery), ctypes.c_int(kind), ctypes.c_int(dimension),
                    ctypes.c_void_p(asked), ctypes.c_int(kind), ctypes.c_int(dimension), ctypes.byref(zero),
                    ctypes.c_void_p(out), ctypes.c_int(kind), ctypes.c_int(rows),
                    ctypes.c_int(_COMPUTE_FLOAT32), ctypes.c_int(_DEFAULT_ALGORITHM),
                )  # fmt: skip

            return 2.0 * rows * probes * dimension / self._driver.seconds(multiply)

    @contextmanager
    def _handle(self) -> Iterator[ctypes.c_void_p]:
        handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(handle))
        try:
            yield handle
        finally:
            self._call("cublasDestroy_v2", handle)

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            raise CublasFailed(f"{function} answered {status}")


def cublas_path(maps: str | None = None) -> str:
    """Return the cuBLAS that FAISS has loaded, or else any that the system finds. Raises CublasFailed without one.

    maps: what /proc/self/maps says.
    """
    for line in (Path("/proc/self/maps").read_text(encoding="utf-8") if maps is None else maps).splitlines():
        path = line.partition("/")[2]
        if path.rpartition("/")[2].startswith("libcublas.so"):
            return f"/{path}"
    for version in _VERSIONS:
        try:
            ctypes.CDLL(f"libcublas.so.{version}")
        except OSError:
            continue
        return f"libcublas.so.{version}"
    raise CublasFailed("libcublas.so was not found")
