"""Segments on one NVIDIA GPU."""

import ctypes

import numpy as np

from ersgallery_index.backends.faiss_library import gpu_flat_index, gpu_resources
from ersgallery_index.backends.proposers import CopyProposer, Proposer, SoleUse
from ersgallery_index.errors import DeviceFull, DeviceUnavailable
from ersgallery_index.interface import FloatRows

_SCRATCH_BYTES = 256 << 20
_SPARE_BYTES = 128 << 20
"""Left free for what cuBLAS and other libraries allocate."""


class GpuBackend:
    """Flat float32 segments in the memory of one GPU; the host keeps the rows for exact scores and compaction."""

    def __init__(self, ordinal: int, segment_rows: int = 262_144) -> None:
        self.name = f"cuda:{ordinal}"
        self.segment_rows = self.run_rows = segment_rows
        self.code_rows = None
        self.widest = 2048
        self._ordinal = ordinal
        self._sole_use = SoleUse()
        self._require_bytes(_SCRATCH_BYTES)
        self._resources = gpu_resources(_SCRATCH_BYTES)

    def open_proposer(self, dimension: int) -> Proposer:
        """Return the proposer of a new segment on the GPU."""
        index = gpu_flat_index(self._resources, self._ordinal, dimension)
        return CopyProposer(index, self._sole_use, lambda rows: self.require_room(rows, dimension))

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place for the host's copy."""
        return np.empty((rows, dimension), dtype=np.float32)

    def require_room(self, rows: int, dimension: int) -> None:
        """Raise DeviceFull unless so many more rows fit."""
        self._require_bytes(rows * dimension * 4)

    def free_rows(self, dimension: int) -> int:
        """Return how many more rows fit."""
        return max(0, free_bytes(self._ordinal) - _SPARE_BYTES) // (dimension * 4)

    def _require_bytes(self, wanted: int) -> None:
        free = free_bytes(self._ordinal)
        if wanted + _SPARE_BYTES > free:
            raise DeviceFull(f"{self.name} has {free >> 20} MiB free, but {(wanted + _SPARE_BYTES) >> 20} are needed")


def free_bytes(ordinal: int) -> int:
    """Return how much memory of a GPU is free. Raises DeviceUnavailable when the driver does not answer."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise DeviceUnavailable("no NVIDIA driver (libcuda.so.1) was found") from error
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _call(driver, "cuInit", 0)
    _call(driver, "cuDeviceGet", ctypes.byref(device), ordinal)
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        _call(driver, "cuCtxPushCurrent_v2", context)
        try:
            _call(driver, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        finally:
            _call(driver, "cuCtxPopCurrent_v2", ctypes.byref(context))
    finally:
        _call(driver, "cuDevicePrimaryCtxRelease_v2", device)
    return free.value


def _call(driver: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(driver, function)(*arguments)
    if status != 0:
        raise DeviceUnavailable(f"the NVIDIA driver answered {function} with error {status}")
