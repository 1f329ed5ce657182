"""Proposers: where the rows of one segment are multiplied in float32, on a CPU or a device.

A proposer only proposes. Which rows are alive and pass a gate, and what their exact scores are, is decided on the
host by logic that all of them share, because a device can neither remove rows nor filter them.
"""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.faiss_library import FlatIndex, nearest_rows, use_one_thread
from ersgallery_index.backends.int8_library import int8_works
from ersgallery_index.backends.memory import available_bytes
from ersgallery_index.backends.rows_file import rows_on_disk
from ersgallery_index.interface import FloatRows

_SPARE_BYTES = 256 << 20
"""Left free for batches under way and for the rest of the process."""

_FACE_BYTES = 80
"""What a face takes beside its vector: ids, ERS and where it is."""

_CODE_BYTES = 8
"""What a face's codes take beside one byte for each number: scale and margin."""

_RUN_ROWS = 16384
"""So that the cores share even a segment."""

Proposed = tuple[NDArray[np.float32], NDArray[np.int64]]


class Proposer(Protocol):
    """The float32 side of one segment."""

    def append(self, rows: FloatRows) -> None:
        """Take rows (n, d) that were written behind the earlier ones on the host."""

    def propose(self, probes: FloatRows, rows: FloatRows, width: int) -> Proposed:
        """Return the `width` best scores of each probe, falling, and their positions: (q, width) each.

        rows are the host's (n, d); width is at most n and the backend's widest.
        """
        ...


class Backend(Protocol):
    """A place for segments."""

    @property
    def name(self) -> str:
        """Return `cpu` or `cuda:N`."""
        ...

    @property
    def widest(self) -> int:
        """Return how many rows one proposal may hold."""
        ...

    @property
    def segment_rows(self) -> int:
        """Return how many rows a segment holds."""
        ...

    @property
    def run_rows(self) -> int:
        """Return how many rows a proposer is asked about at once."""
        ...

    @property
    def code_rows(self) -> int | None:
        """Return how many rows of int8 codes make a block, None where there are no codes."""
        ...

    def open_proposer(self, dimension: int) -> Proposer:
        """Return the proposer of a new, empty segment."""
        ...

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place on the host for rows; raises DeviceFull."""
        ...

    def require_room(self, rows: int, dimension: int) -> None:
        """Raise DeviceFull unless so many more rows fit."""

    def free_rows(self, dimension: int) -> int | None:
        """Return how many more rows fit; None: nobody knows."""
        ...


class HostProposer:
    """Multiplies the host's own rows: no copy, and overwritten rows count at once."""

    def append(self, rows: FloatRows) -> None:
        """Take nothing: the host's rows are the ones searched."""

    def propose(self, probes: FloatRows, rows: FloatRows, width: int) -> Proposed:
        """Return the best rows; see Proposer."""
        use_one_thread()
        return nearest_rows(probes, rows, width)


class CpuBackend:
    """Segments in host memory, of fixed size, so that growing never copies them.

    rows_folder: where to keep the float32 rows in files instead, with codes and all else in memory.
    """

    def __init__(
        self,
        segment_rows: int = 32768,
        widest: int = 2048,
        code_rows: int | None = 8192,
        rows_folder: Path | None = None,
    ) -> None:
        self._rows_folder = rows_folder
        self.name = "cpu"
        self.segment_rows = segment_rows
        self.run_rows = min(segment_rows, _RUN_ROWS)
        self.code_rows = code_rows if int8_works() else None
        self.widest = widest

    def open_proposer(self, dimension: int) -> Proposer:  # noqa: ARG002  (the protocol's)
        """Return a proposer for the host's rows."""
        return HostProposer()

    def require_room(self, rows: int, dimension: int) -> None:
        """Leave rows that were promised a place to the operating system, which has the last word on host memory."""

    def free_rows(self, dimension: int) -> int | None:
        """Return how many more rows fit beside what the rest of the process needs; None: nobody knows."""
        free = available_bytes()
        if free is None:
            return None
        row = dimension * np.dtype(np.float32).itemsize
        codes = dimension + _CODE_BYTES if self.code_rows else 0
        if self._rows_folder is None:
            return max(0, free - _SPARE_BYTES) // (row + codes + _FACE_BYTES)
        on_disk = shutil.disk_usage(self._rows_folder).free // row
        return min(on_disk, max(0, free - _SPARE_BYTES) // (codes + _FACE_BYTES))

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place for rows: memory, whose pages are not taken until they are written, or a file."""
        if self._rows_folder is None:
            return np.empty((rows, dimension), dtype=np.float32)
        return rows_on_disk(self._rows_folder, rows, dimension)


class CopyProposer:
    """Multiplies a copy of the rows in a FAISS index that can only be added to, as on a GPU."""

    def __init__(self, index: FlatIndex, sole_use: "SoleUse", require_room: Callable[[int], None]) -> None:
        self._index = index
        self._sole_use = sole_use
        self._require_room = require_room

    def append(self, rows: FloatRows) -> None:
        """Copy the rows to the device. Raises DeviceFull before anything changes."""
        with self._sole_use:
            # A device index grows by moving to a larger block: old and new rows are there at once.
            self._require_room(self._index.ntotal + len(rows))
            self._index.add(np.ascontiguousarray(rows))

    def propose(self, probes: FloatRows, rows: FloatRows, width: int) -> Proposed:  # noqa: ARG002  (the protocol's)
        """Return the best rows; see Proposer."""
        with self._sole_use:
            return self._index.search(probes, width)


class SoleUse:
    """Notices two threads in the same FAISS GPU resources, which would corrupt results silently."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("a GPU index was used by two threads at once; one thread must own it")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
