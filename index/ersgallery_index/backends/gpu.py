"""Segments on one NVIDIA GPU: the logic, which any accelerator can run, and the accelerator that is a GPU."""

import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.accelerator import Matrix, Proposed
from ersgallery_index.backends.cuda_driver import CudaDriver
from ersgallery_index.backends.faiss_library import gpu_nearest, gpu_products, gpu_resources
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.backends.ledger import rounded
from ersgallery_index.backends.precision import half_error
from ersgallery_index.backends.proposers import CpuBackend, Proposer
from ersgallery_index.interface import FloatRows, IndexKind
from ersgallery_index.sums import score_error

_WIDEST = 2048
"""FAISS selects no more than so many rows on a GPU; it ends the process that asks for more."""

_SMALL_DIMENSION = 32
_TILE_PROBES = {True: 1024, False: 512}
"""How many probes FAISS multiplies at once at most, for dimensions up to 32 and beyond."""

_LARGEST_SCORES_BYTES = 1 << 30
_OTHER_SCRATCH_BYTES = 256 << 20
"""For the best of each tile, and for the answers."""

_STAGING_BYTES = 16 << 20

SPARE_BYTES = 256 << 20
"""Left free for what cuBLAS and other libraries allocate."""

FEW_SCORES_BYTES = 64 << 20
"""For the scores of eight probes with the rows of the largest segment."""


class CudaGpu:
    """An accelerator: one GPU by its CUDA number. Raises DeviceUnavailable, and DeviceFull without room for scratch."""

    def __init__(self, ordinal: int) -> None:
        self.name = f"cuda:{ordinal}"
        self._ordinal = ordinal
        self._driver = CudaDriver(ordinal)
        _, total = self._driver.memory()
        self.scores_bytes = min(_LARGEST_SCORES_BYTES, total >> 4)
        scratch = self.scores_bytes + _OTHER_SCRATCH_BYTES
        # FAISS ends the process when it finds no room for it.
        self._driver.release(self._driver.allocate(scratch + SPARE_BYTES + FEW_SCORES_BYTES))
        self._resources = gpu_resources(ordinal, scratch)
        self.staging = self._driver.pinned(_STAGING_BYTES)

    def free_bytes(self) -> int:
        """Return how much memory is free."""
        return self._driver.memory()[0]

    def allocate(self, size: int) -> int:
        """Return the address of so many bytes. Raises DeviceFull."""
        return self._driver.allocate(size)

    def release(self, address: int) -> None:
        """Give memory back."""
        self._driver.release(address)

    def write(self, address: int, size: int) -> None:
        """Copy so many bytes from the beginning of the staging memory."""
        self._driver.write(address, self.staging[:size])

    def clear(self, spans: Sequence[tuple[int, int]]) -> None:
        """Set bytes to zero, at (address, size) each."""
        for address, size in spans:
            self._driver.clear(address, size)
        self._driver.finish()

    def multiply(self, probes: Matrix, rows: Matrix, address: int) -> None:
        """Begin to write all inner products to an address."""
        gpu_products(self._resources, self._ordinal, probes, rows, address)

    def nearest(self, probes: Matrix, rows: Matrix, width: int) -> Proposed:
        """Return the best rows of each probe; see Accelerator."""
        found = gpu_nearest(self._resources, self._ordinal, probes, rows, width)
        self._driver.finish()  # the answers come in pageable memory, to which CUDA may still be copying
        return found


class GpuProposer:
    """A segment's rows in one block of a device's memory, which has room for all that the segment can hold.

    Its kind is EXACT for float32 numbers, FAST for float16 ones, which take half the memory and time.
    """

    def __init__(self, lane: Lane, owner: object, dimension: int, rows: int, kind: IndexKind) -> None:
        self.lane = lane
        self.kind = kind
        empty = Matrix(0, rows, dimension, half=kind is IndexKind.FAST)
        address = lane.ledger.take(owner, rows * empty.row_bytes, lane.accelerator.allocate)
        self._block = Matrix(address, rows, dimension, empty.half)
        self._size = 0
        # At the end of the process the driver gives everything back, and may be gone before this object.
        weakref.finalize(self, lane.accelerator.release, address).atexit = False

    def error(self, dimension: int) -> float:
        """Return how far a proposed score can be from the real one."""
        return half_error(dimension) if self._block.half else score_error(dimension)

    def multiplies(self, probes: int) -> bool:  # noqa: ARG002  (the protocol's)
        """Tell that only the best scores can be had."""
        return False

    def append(self, rows: FloatRows) -> None:
        """Copy the rows to the device."""
        self.lane.write(self._block, self._size, rows)
        self._size += len(rows)

    def wipe(self, positions: NDArray[np.intp]) -> None:
        """Set rows to zero on the device too."""
        positions = np.unique(positions[positions < self._size])
        ends = np.flatnonzero(np.diff(positions, append=-1) != 1)
        counts = np.diff(ends, prepend=-1)
        self.lane.clear(self._block, (positions[ends] - counts + 1).tolist(), counts.tolist())

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        """Return the best rows; see Proposer."""
        with self.lane.hold(probes):
            loaded = self.lane.loaded(self._block.half)
            return self.lane.selection.nearest(loaded, self._block.part(start, len(rows)), width)


class GpuBackend:
    """Flat segments in the memory of one device; the host keeps the float32 rows for exact scores and compaction.

    Segments grow with the gallery from `smallest` to `largest` rows, so that a small one takes little memory and a
    large one few calls; each has all its memory from the beginning, so that growth never needs old and new rows at
    once.
    """

    def __init__(
        self,
        lane: Lane,
        smallest: int = 16_384,
        largest: int = 1 << 21,
        fast_from: int = 1 << 17,
        widest: int = _WIDEST,
        rows_folder: Path | None = None,
    ) -> None:
        self.name = lane.accelerator.name
        self.widest = min(widest, _WIDEST)
        self.code_rows = None
        self.fast_from = fast_from
        self.probes_at_once = 1024
        self._lane = lane
        self._smallest = smallest
        self._largest = largest
        self._host = CpuBackend(code_rows=None, rows_folder=rows_folder)

    def run_rows(self, probes: int, dimension: int) -> int:
        """Return how many rows make scores that fit twice into the memory that is aside for them."""
        tile = min(probes, _TILE_PROBES[dimension <= _SMALL_DIMENSION])
        return max(1, self._lane.accelerator.scores_bytes // (8 * max(1, tile)))

    def segment_rows(self, present: int, wanted: int, dimension: int, kind: IndexKind) -> int:
        """Return how many rows the next segment holds: as many as there are, and no more than half of what is free."""
        free = self._lane.ledger.free() // (2 * row_bytes(dimension, kind))
        grown = min(self._largest, max(self._smallest, present))
        return max(1, min(wanted, self._largest), min(grown, free))

    def small_rows(self, present: int) -> int:
        """Return a sixteenth of the rows: each segment costs two calls or three for every batch."""
        return present // 16

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:
        """Return the proposer of a new segment on the device. Raises DeviceFull."""
        return GpuProposer(self._lane, self, dimension, rows, kind)

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place for the host's copy."""
        return self._host.empty_rows(rows, dimension)

    def require_room(self, rows: int, dimension: int) -> None:
        """Leave it to the segments, which have their memory before a row is written."""

    def free_rows(self, dimension: int, kind: IndexKind) -> int:
        """Return how many more rows fit on the device and on the host."""
        on_device = max(0, self._lane.ledger.free() - promised_bytes(0, dimension, kind)) // row_bytes(dimension, kind)
        on_host = self._host.free_rows(dimension, kind)
        return on_device if on_host is None else min(on_device, on_host)

    def promise(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Keep memory for rows that will come. Raises DeviceFull."""
        if rows > 0:
            self._lane.ledger.promise(self, promised_bytes(rows, dimension, kind))

    def redeem(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Take back what was promised for rows that came."""
        if rows > 0:
            self._lane.ledger.redeem(self, promised_bytes(rows, dimension, kind))


def row_bytes(dimension: int, kind: IndexKind) -> int:
    """Return what a row of a kind takes on a device."""
    return Matrix(0, 1, dimension, half=kind is IndexKind.FAST).row_bytes


def promised_bytes(rows: int, dimension: int, kind: IndexKind) -> int:
    """Return what so many rows may take: they may go to two segments, and each begins a piece of memory."""
    return 2 * rounded(1) + rows * row_bytes(dimension, kind)
