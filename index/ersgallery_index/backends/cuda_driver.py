"""The one door to the CUDA driver: memory of a GPU, and host memory that it copies from by itself."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.errors import DeviceFull, DeviceUnavailable

_OUT_OF_MEMORY = 2


class CudaDriver:
    """One GPU through the driver's own interface, in the context that FAISS uses too.

    Raises DeviceUnavailable where there is no driver or no such GPU, and for every error of the driver but a lack of
    memory, which is DeviceFull.
    """

    def __init__(self, ordinal: int, library: str = "libcuda.so.1") -> None:
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise DeviceUnavailable(f"no NVIDIA driver ({library}) was found") from error
        device = ctypes.c_int()
        self._context = ctypes.c_void_p()
        self._call("cuInit", ctypes.c_uint(0))
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
        # Kept until the process ends: FAISS lives in the same context.
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)

    def memory(self) -> tuple[int, int]:
        """Return how many bytes are free, and how many there are."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._within("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def allocate(self, size: int) -> int:
        """Return the address of so many bytes of the GPU's memory."""
        address = ctypes.c_uint64()
        self._within("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def release(self, address: int) -> None:
        """Give memory back."""
        self._within("cuMemFree_v2", ctypes.c_uint64(address))

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Return host memory (size,) that stays where it is, for as long as the process lives."""
        address = ctypes.c_void_p()
        self._within("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(size), ctypes.c_uint(0))
        if address.value is None:
            raise DeviceUnavailable("the NVIDIA driver gave no pinned memory")
        pinned: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address.value))
        return pinned

    def write(self, address: int, source: NDArray[np.uint8]) -> None:
        """Copy bytes to the GPU; from pinned memory they are there when this returns."""
        self._within(
            "cuMemcpyHtoD_v2",
            ctypes.c_uint64(address),
            ctypes.c_void_p(source.ctypes.data),
            ctypes.c_size_t(source.nbytes),
        )

    def clear(self, address: int, size: int) -> None:
        """Begin to set bytes to zero."""
        self._within("cuMemsetD8_v2", ctypes.c_uint64(address), ctypes.c_ubyte(0), ctypes.c_size_t(size))

    def finish(self) -> None:
        """Wait for everything that was begun."""
        self._within("cuCtxSynchronize")

    def _within(self, function: str, *arguments: object) -> None:
        """Call a function in the GPU's context, and leave this thread's as it was."""
        before = ctypes.c_void_p()
        self._call("cuCtxPushCurrent_v2", self._context)
        try:
            self._call(function, *arguments)
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(before))

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status == _OUT_OF_MEMORY:
            raise DeviceFull(f"the NVIDIA driver has no memory for {function}")
        if status != 0:
            raise DeviceUnavailable(f"the NVIDIA driver answered {function} with error {status}")
