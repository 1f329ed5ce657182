"""What all galleries on one device share: one of them at a time uses it, and none takes what another was promised."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ersgallery_index.backends.accelerator import Accelerator, Matrix
from ersgallery_index.backends.ledger import Ledger
from ersgallery_index.backends.selection import Selection
from ersgallery_index.interface import FloatRows


class Lane:
    """One device, which FAISS lets no two threads use at once: whoever comes second waits.

    spare_bytes: what is left free for the libraries' own allocations; scores_bytes: what is taken for scores of few
    probes, see Selection.
    """

    def __init__(self, accelerator: Accelerator, spare_bytes: int, scores_bytes: int = 0) -> None:
        self.accelerator = accelerator
        self.selection = Selection(accelerator, scores_bytes)
        self.ledger = Ledger(accelerator.name, accelerator.free_bytes, spare_bytes)
        self._lock = threading.RLock()
        self._held: FloatRows | None = None
        self._loaded: dict[bool, Matrix] = {}
        self._buffers: dict[bool, tuple[int, int]] = {}

    @contextmanager
    def hold(self, probes: FloatRows) -> Iterator[None]:
        """Keep the device to this thread, and these probes on it once they were needed there."""
        with self._lock:
            outer = self._held
            if outer is probes:
                yield
                return
            self._held, self._loaded = probes, {}
            try:
                yield
            finally:
                self._held, self._loaded = outer, {}

    def loaded(self, half: bool) -> Matrix:
        """Return the probes that are held, on the device."""
        if self._held is None:
            raise RuntimeError("no probes are held")
        if half not in self._loaded:
            count, dimension = self._held.shape
            matrix = Matrix(0, count, dimension, half)
            matrix = Matrix(self._buffer(half, count * matrix.row_bytes), count, dimension, half)
            self.write(matrix, 0, self._held)
            self._loaded[half] = matrix
        return self._loaded[half]

    def write(self, target: Matrix, start: int, rows: FloatRows) -> None:
        """Write rows (n, d) into a matrix from the row `start` on, rounded to its numbers."""
        with self._lock:
            staging = self.accelerator.staging
            step = max(1, len(staging) // target.row_bytes)
            for first in range(0, len(rows), step):
                block = rows[first : first + step]
                size = len(block) * target.row_bytes
                np.copyto(staging[:size].view(target.number).reshape(block.shape), block, casting="same_kind")
                self.accelerator.write(target.part(start + first, len(block)).address, size)

    def clear(self, target: Matrix, starts: list[int], counts: list[int]) -> None:
        """Set some rows to zero: `counts` rows each from `starts` on."""
        with self._lock:
            self.accelerator.clear(
                [
                    (target.part(start, count).address, count * target.row_bytes)
                    for start, count in zip(starts, counts, strict=True)
                ]
            )

    def _buffer(self, half: bool, size: int) -> int:
        """Return the address of the buffer for probes of these numbers, at least so large."""
        address, present = self._buffers.get(half, (0, 0))
        if size <= present:
            return address
        if present:
            self.accelerator.release(self._buffers.pop(half)[0])
        self._buffers[half] = (self.accelerator.allocate(size), size)
        return self._buffers[half][0]
