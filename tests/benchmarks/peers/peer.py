"""What every other engine is asked to do: take rows, build its index, and answer one probe at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids

Search = Callable[[NDArray[Any], int], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to search: search(probe (d,) float32, k) returns ids, best first; several threads may call it.

    settings: what was chosen, for the table.
    """

    name: str
    settings: str
    search: Search


class Peer(Protocol):
    """Another engine with rows of unit length, searched by cosine similarity."""

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows (n, d) float32 with their ids (n,)."""

    def build(self) -> None:
        """Build what approximate searches need, and make everything searchable."""

    def modes(self) -> tuple[Mode, ...]:
        """Return the ways to search, exact ones first."""
        ...

    def close(self) -> None:
        """Give everything back."""


Opener = Callable[[Path, int], Peer]
"""(folder for its files, dimension) to an empty peer. Raises ImportError where it is not installed."""
