"""The engine of Qdrant inside the process: `qdrant-edge-py`."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode

_EF = 512


class Qdrant:
    """A shard with vectors in memory; its optimizer builds the HNSW graph when told."""

    def __init__(self, folder: Path, dimension: int) -> None:
        edge = self._edge = import_module("qdrant_edge")
        graph = edge.HnswIndexConfig(m=32, ef_construct=200, full_scan_threshold=10)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Dot),
            hnsw_config=graph,
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=1),
        )
        folder.mkdir()
        self._shard = edge.EdgeShard.create(str(folder), config)

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows."""
        points = [self._edge.Point(face, row) for face, row in zip(ids.tolist(), rows.tolist(), strict=True)]
        self._shard.update(self._edge.UpdateOperation.upsert_points(points))

    def build(self) -> None:
        """Build the graph."""
        self._shard.optimize()
        self._shard.flush()

    def modes(self) -> tuple[Mode, ...]:
        """Return exact search and HNSW."""
        exact, graph = self._edge.SearchParams(exact=True), self._edge.SearchParams(hnsw_ef=_EF)
        return (
            Mode("exact", "exact=True", lambda probe, k: self._search(probe, k, exact)),
            Mode("HNSW", f"m 32, ef_construct 200, ef {_EF}", lambda probe, k: self._search(probe, k, graph)),
        )

    def close(self) -> None:
        """Close the shard."""
        self._shard.close()

    def _search(self, probe: NDArray[np.float32], k: int, params: Any) -> list[int]:
        query = self._edge.Query.Nearest(probe.tolist())
        request = self._edge.QueryRequest(limit=k, query=query, params=params, with_payload=False, with_vector=False)
        return [int(point.id) for point in self._shard.query(request)]
