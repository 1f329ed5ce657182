"""Proposers: where the rows of one segment are multiplied, on a CPU or a device.

A proposer only proposes. Which rows are alive and pass a gate, and what their exact scores are, is decided on the
host by logic that all of them share, because a device can neither remove rows nor filter them.
"""

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.accelerator import Proposed
from ersgallery_index.backends.faiss_library import nearest_rows, use_one_thread
from ersgallery_index.backends.float_library import float_product
from ersgallery_index.backends.int8_library import int8_works
from ersgallery_index.backends.memory import available_bytes
from ersgallery_index.backends.rows_file import rows_on_disk
from ersgallery_index.interface import FloatRows, IndexKind
from ersgallery_index.sums import score_error

_SPARE_BYTES = 256 << 20
"""Left free for batches under way and for the rest of the process."""

_FEWEST_IN_FILE = 2048

_FACE_BYTES = 80
"""What a face takes beside its vector: ids, ERS and where it is."""

_CODE_BYTES = 8
"""What a face's codes take beside one byte for each number: scale and margin."""

_RUN_ROWS, _MULTIPLIED_RUN_ROWS = 16384, 4096
"""So that the cores share even a segment; a product of matrices costs so much more that they can share a quarter."""

_PROBES_AT_ONCE = 256
"""So that no batch, however large, needs more than some tens of megabytes for its scores."""


class Device(Protocol):
    """A device that searches take turns on."""

    def hold(self, probes: FloatRows) -> AbstractContextManager[None]:
        """Keep the device to this thread, and these probes on it."""
        ...


class Proposer(Protocol):
    """Where the rows of one segment are multiplied."""

    @property
    def kind(self) -> IndexKind:
        """Return how it keeps its rows: EXACT, or FAST in half precision."""
        ...

    @property
    def lane(self) -> Device | None:
        """Return the device that it works on, None for the processor."""
        ...

    def error(self, dimension: int) -> float:
        """Return how far a proposed score can be from the real one, above or below."""
        ...

    def multiplies(self, probes: int) -> bool:
        """Tell whether all scores of the host's rows cost no more than the best ones, for so many probes."""
        ...

    def append(self, rows: FloatRows) -> None:
        """Take rows (n, d) that were written behind the earlier ones on the host."""

    def wipe(self, positions: NDArray[np.intp]) -> None:
        """Forget rows that were wiped on the host, if there is a copy of them."""

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        """Return the `width` best scores of each probe, falling, and their positions in rows: (q, width) each.

        rows are the host's (n, d), the segment's from `start` on; width is at most n and the backend's widest.
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
    def probes_at_once(self) -> int:
        """Return how many probes are searched at once."""
        ...

    @property
    def fast_from(self) -> int | None:
        """Return from how many faces on AUTO keeps rows of kind FAST; None where proposers are of one kind."""
        ...

    @property
    def code_rows(self) -> int | None:
        """Return how many rows of int8 codes make a block, None where there are no codes."""
        ...

    def run_rows(self, probes: int, dimension: int) -> int:
        """Return how many rows a proposer is asked about at once by so many probes."""
        ...

    def segment_rows(self, present: int, wanted: int, dimension: int, kind: IndexKind) -> int:
        """Return how many rows the next segment holds where so many are present and so many come."""
        ...

    def small_rows(self, present: int) -> int:
        """Return below how many rows a segment is not worth its calls where so many are present."""
        ...

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:
        """Return the proposer of a new, empty segment of so many rows. Raises DeviceFull."""
        ...

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place on the host for rows; raises DeviceFull."""
        ...

    def require_room(self, rows: int, dimension: int) -> None:
        """Raise DeviceFull where it is known before the first is written that so many more rows do not fit."""

    def free_rows(self, dimension: int, kind: IndexKind) -> int | None:
        """Return how many more rows of a kind fit, whoever asks; None: nobody knows."""
        ...

    def promise(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Keep memory for rows that will come; any thread may ask. Raises DeviceFull."""

    def redeem(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Take a promise back: as many rows are there, or will not come."""


class HostProposer:
    """Multiplies the host's own rows: no copy, and overwritten rows count at once."""

    kind = IndexKind.EXACT
    lane = None

    def error(self, dimension: int) -> float:
        """Return the error of float32."""
        return score_error(dimension)

    def multiplies(self, probes: int) -> bool:  # noqa: ARG002  (the protocol's)
        """Tell that only the best scores can be had."""
        return False

    def append(self, rows: FloatRows) -> None:
        """Take nothing: the host's rows are the ones searched."""

    def wipe(self, positions: NDArray[np.intp]) -> None:
        """Wipe nothing: there is no copy."""

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:  # noqa: ARG002  (the protocol's)
        """Return the best rows; see Proposer."""
        use_one_thread()
        return nearest_rows(probes, rows, width)


class MultiplyingProposer(HostProposer):
    """Gives all scores where that is faster: rows that a gate hides are then left out at no cost."""

    def __init__(self, from_probes: int) -> None:
        self._from_probes = from_probes

    def multiplies(self, probes: int) -> bool:
        """Tell whether a product of matrices is worth its preparation."""
        return probes >= self._from_probes and float_product() is not None


class CpuBackend:
    """Segments in host memory, of fixed size, so that growing never copies them.

    rows_folder: where to keep the float32 rows in files instead, with codes and all else in memory. multiplied_from:
    probes from which a product of matrices is faster than FAISS's loop over rows.
    """

    def __init__(
        self,
        segment_rows: int = 32768,
        widest: int = 2048,
        code_rows: int | None = 8192,
        rows_folder: Path | None = None,
        multiplied_from: int = 8,
    ) -> None:
        self._rows_folder = rows_folder
        self._multiplied_from = multiplied_from
        self.name = "cpu"
        self.probes_at_once = _PROBES_AT_ONCE
        self.fast_from = None
        self._segment_rows = segment_rows
        self.code_rows = code_rows if int8_works() else None
        self.widest = widest

    def run_rows(self, probes: int, dimension: int) -> int:  # noqa: ARG002  (the protocol's)
        """Return fewer where each row is multiplied with many probes."""
        return min(self._segment_rows, _MULTIPLIED_RUN_ROWS if probes >= self._multiplied_from else _RUN_ROWS)

    def segment_rows(self, present: int, wanted: int, dimension: int, kind: IndexKind) -> int:  # noqa: ARG002  (the protocol's)
        """Return the same for all in memory, whose pages are free until written; files begin small."""
        if self._rows_folder is None:
            return self._segment_rows
        return min(self._segment_rows, max(_FEWEST_IN_FILE, present, wanted))

    def small_rows(self, present: int) -> int:  # noqa: ARG002  (the protocol's)
        """Return none: all segments are of one size."""
        return 0

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        """Return a proposer for the host's rows."""
        return MultiplyingProposer(self._multiplied_from)

    def require_room(self, rows: int, dimension: int) -> None:
        """Leave rows that were promised a place to the operating system, which has the last word on host memory."""

    def free_rows(self, dimension: int, kind: IndexKind = IndexKind.EXACT) -> int | None:  # noqa: ARG002  (the protocol's)
        """Return how many more rows fit beside what the rest of the process needs; None: nobody knows."""
        free = available_bytes()
        if free is None:
            return None
        row = dimension * np.dtype(np.float32).itemsize
        codes = dimension + _CODE_BYTES if self.code_rows else 0
        if self._rows_folder is None:
            return max(0, free - _SPARE_BYTES) // (row + codes + _FACE_BYTES)
        # Files are taken a segment at a time, and each side of a gate may need one.
        disk = shutil.disk_usage(self._rows_folder).free - 2 * self._segment_rows * row
        on_disk = max(0, disk) // row
        return min(on_disk, max(0, free - _SPARE_BYTES) // (codes + _FACE_BYTES))

    def promise(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Promise nothing, as above."""

    def redeem(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Take nothing back."""

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place for rows: memory, whose pages are not taken until they are written, or a file."""
        if self._rows_folder is None:
            return np.empty((rows, dimension), dtype=np.float32)
        return rows_on_disk(self._rows_folder, rows, dimension)
