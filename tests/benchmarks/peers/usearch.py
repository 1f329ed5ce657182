"""USearch inside the process."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode

_EF = 512


class USearch:
    """An index of float16 rows; exact search scans the same rows."""

    def __init__(self, folder: Path, dimension: int) -> None:  # noqa: ARG002  (every peer is opened alike)
        self._index: Any = import_module("usearch.index").Index(
            ndim=dimension, metric="ip", dtype="f16", connectivity=32, expansion_add=200, expansion_search=_EF
        )

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows; the graph grows at once."""
        self._index.add(ids, rows)

    def build(self) -> None:
        """Do nothing: the graph is there."""

    def modes(self) -> tuple[Mode, ...]:
        """Return exact search and HNSW."""
        return (
            Mode("exact", "f16, exact=True", lambda probe, k: self._search(probe, k, exact=True)),
            Mode("HNSW", f"f16, connectivity 32, expansion 200 / {_EF}", self._search),
        )

    def close(self) -> None:
        """Free the memory."""
        self._index.reset()

    def _search(self, probe: NDArray[np.float32], k: int, *, exact: bool = False) -> list[int]:
        found: list[int] = self._index.search(probe, k, exact=exact, threads=1).keys.tolist()
        return found
