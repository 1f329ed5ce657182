"""What is asked of a device that multiplies rows: memory, copies and the best rows of a product."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Proposed = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores, falling, and positions of the rows that are proposed for each probe: (q, width) each."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows in the memory of a device: (rows, dimension) numbers from an address on, float16 (half) or float32."""

    address: int
    rows: int
    dimension: int
    half: bool

    @property
    def row_bytes(self) -> int:
        """How much memory a row takes."""
        return self.dimension * self.number.itemsize

    @property
    def number(self) -> np.dtype[Any]:
        """The type of the numbers."""
        return np.dtype(np.float16 if self.half else np.float32)

    def part(self, start: int, rows: int) -> Self:
        """Return the rows from `start` on."""
        return replace(self, address=self.address + start * self.row_bytes, rows=rows)


class Accelerator(Protocol):
    """One device. One thread at a time may use it, but for `release`, `free_bytes` and `total_bytes`."""

    @property
    def name(self) -> str:
        """Return `cuda:N`."""
        ...

    @property
    def scores_bytes(self) -> int:
        """Return how much memory it has aside for the scores of one product."""
        ...

    def free_bytes(self) -> int:
        """Return how much memory is free."""
        ...

    def allocate(self, size: int) -> int:
        """Return the address of so many bytes. Raises DeviceFull."""
        ...

    def release(self, address: int) -> None:
        """Give memory back."""

    @property
    def staging(self) -> NDArray[np.uint8]:
        """Return host memory that is copied from fastest; what is written goes through it."""
        ...

    def write(self, address: int, size: int) -> None:
        """Copy so many bytes from the beginning of the staging memory; they are there when this returns."""

    def clear(self, spans: Sequence[tuple[int, int]]) -> None:
        """Set bytes to zero, at (address, size) each; they are when this returns."""

    def multiply(self, probes: Matrix, rows: Matrix, address: int) -> None:
        """Begin to write all inner products, (probes, rows) float32, to an address on the device."""

    def nearest(self, probes: Matrix, rows: Matrix, width: int) -> Proposed:
        """Return the `width` best rows of each probe by inner product; width is at most 2048 and the number of rows."""
        ...
