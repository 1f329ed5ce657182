"""A device made of host memory, for all of the GPU index but the calls to CUDA and to FAISS on a GPU."""

import ctypes
from collections.abc import Sequence

import numpy as np
from ersgallery_index import FloatRows
from ersgallery_index.backends.accelerator import Matrix, Proposed
from ersgallery_index.backends.faiss_library import nearest_rows
from ersgallery_index.backends.gpu import GpuBackend
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.sharding import ShardedBackend
from ersgallery_index.errors import DeviceFull
from numpy.typing import NDArray

from tests.support.indexes import SMALL_WIDEST

SMALLEST, LARGEST = 4, 16
FAST_FROM = 24


class HostAccelerator:
    """Takes memory from the host, and notices what a GPU would not forgive. room: bytes that there are."""

    def __init__(self, name: str = "host:0", room: int = 1 << 40) -> None:
        self.name = name
        self.room = room
        self.scores_bytes = 8 * 8 * 10  # so that 8 probes see runs of ten rows
        self.staging: NDArray[np.uint8] = np.empty(20_000, dtype=np.uint8)
        self.blocks: dict[int, NDArray[np.uint8]] = {}
        self.calls: list[tuple[int, int]] = []
        self.written = 0

    def free_bytes(self) -> int:
        return self.room - sum(len(block) for block in self.blocks.values())

    def allocate(self, size: int) -> int:
        if size > self.free_bytes():
            raise DeviceFull(f"{size} bytes do not fit")
        block = np.full(size, 0xFF, dtype=np.uint8)  # not a number, in every type
        self.blocks[block.ctypes.data] = block
        return block.ctypes.data

    def release(self, address: int) -> None:
        del self.blocks[address]

    def write(self, address: int, size: int) -> None:
        self.written += size
        self._bytes(address, size)[:] = self.staging[:size]

    def clear(self, spans: Sequence[tuple[int, int]]) -> None:
        for address, size in spans:
            self._bytes(address, size)[:] = 0

    def multiply(self, probes: Matrix, rows: Matrix, address: int) -> None:
        assert probes.half == rows.half
        products = self.numbers(probes) @ self.numbers(rows).T
        self._bytes(address, products.nbytes)[:] = products.view(np.uint8).reshape(-1)

    def nearest(self, probes: Matrix, rows: Matrix, width: int) -> Proposed:
        assert 0 < width <= min(rows.rows, 2048)
        assert probes.half == rows.half
        self.calls.append((probes.rows, rows.rows))
        return nearest_rows(self.numbers(probes), self.numbers(rows), width)

    def numbers(self, matrix: Matrix) -> FloatRows:
        """Return a copy of what a matrix holds."""
        stored = self._bytes(matrix.address, matrix.rows * matrix.row_bytes).view(matrix.number)
        return stored.reshape(matrix.rows, matrix.dimension).astype(np.float32)

    def _bytes(self, address: int, size: int) -> NDArray[np.uint8]:
        assert any(block <= address and address + size <= block + len(taken) for block, taken in self.blocks.items()), (
            "outside of every block"
        )
        found: NDArray[np.uint8] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        return found


def small_gpu(
    accelerator: HostAccelerator | None = None, fast_from: int = FAST_FROM, widest: int = SMALL_WIDEST
) -> GpuBackend:
    """Return the GPU's backend on a device of host memory, with segments so small that every path is taken."""
    lane = Lane(accelerator or HostAccelerator(), spare_bytes=0)
    return GpuBackend(lane, SMALLEST, LARGEST, fast_from, widest)


def two_small_gpus() -> ShardedBackend:
    """Return the backend of two such devices."""
    shards = [small_gpu(HostAccelerator(f"host:{place}", room=1 << 30)) for place in range(2)]
    return ShardedBackend("host:0,1", shards, CpuBackend(code_rows=None))


def any_gpu(segment_rows: int, widest: int) -> GpuBackend:
    """Return the backend of such a device, with segments up to a size."""
    return GpuBackend(Lane(HostAccelerator(), spare_bytes=0), 1, segment_rows, fast_from=10, widest=widest)


def any_gpus(segment_rows: int, widest: int) -> ShardedBackend:
    """Return the backend of two of these."""
    shards = [any_gpu(segment_rows, widest) for _ in range(2)]
    return ShardedBackend("host:0,0", shards, CpuBackend(code_rows=None))
