"""LanceDB inside the process, on disk."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode

_EF = 512
_REFINE = 40


class Lance:
    """A table of fixed-size vectors with IVF_RQ (bits of a random rotation) over all partitions, refined exactly."""

    def __init__(self, folder: Path, dimension: int) -> None:
        lancedb = import_module("lancedb")
        pa = self._arrow = import_module("pyarrow")
        self._dimension = dimension
        columns = [("id", pa.int64()), ("vector", pa.list_(pa.float32(), dimension))]
        self._table: Any = lancedb.connect(str(folder)).create_table("faces", schema=pa.schema(columns))

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows."""
        flat = self._arrow.array(rows.ravel())
        vectors = self._arrow.FixedSizeListArray.from_arrays(flat, self._dimension)
        self._table.add(self._arrow.table({"id": ids, "vector": vectors}))

    def build(self) -> None:
        """Compact the table and build the codes."""
        self._table.optimize()
        self._table.create_index(metric="dot", index_type="IVF_RQ", num_partitions=1)

    def modes(self) -> tuple[Mode, ...]:
        """Return exact search and codes with an exact re-rank."""
        return (
            Mode(
                "exact", "bypass_vector_index", lambda probe, k: self._ids(self._query(probe, k).bypass_vector_index())
            ),
            Mode(
                "RQ + refine",
                f"IVF_RQ, 1 partition, refine_factor {_REFINE}",
                lambda probe, k: self._ids(self._query(probe, k).nprobes(1).refine_factor(_REFINE)),
            ),
        )

    def close(self) -> None:
        """Nothing is open."""

    def _query(self, probe: NDArray[np.float32], k: int) -> Any:
        return self._table.search(probe).distance_type("dot").select(["id", "_distance"]).limit(k)

    @staticmethod
    def _ids(query: Any) -> list[int]:
        found: list[int] = query.to_arrow()["id"].to_pylist()
        return found


class LanceGraph(Lance):
    """The same table with an HNSW graph over scalar codes."""

    def build(self) -> None:
        """Compact the table and build the graph."""
        self._table.optimize()
        self._table.create_index(metric="dot", index_type="IVF_HNSW_SQ", num_partitions=1, m=32, ef_construction=200)

    def modes(self) -> tuple[Mode, ...]:
        """Return the graph."""
        return (
            Mode(
                "HNSW_SQ",
                f"1 partition, m 32, ef 200 / {_EF}, refine_factor {_REFINE}",
                lambda probe, k: self._ids(self._query(probe, k).nprobes(1).ef(_EF).refine_factor(_REFINE)),
            ),
        )
