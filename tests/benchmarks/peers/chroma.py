"""ChromaDB inside the process, on disk."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode

_EF = 512
_LARGEST_BATCH = 5000


class Chroma:
    """A collection with an HNSW graph; there is no exact search."""

    def __init__(self, folder: Path, dimension: int) -> None:  # noqa: ARG002  (every peer is opened alike)
        settings = import_module("chromadb.config").Settings(anonymized_telemetry=False)
        self._client: Any = import_module("chromadb").PersistentClient(str(folder), settings)
        graph = {"space": "ip", "ef_construction": 200, "max_neighbors": 32, "ef_search": _EF}
        self._collection = self._client.create_collection(
            "faces", configuration={"hnsw": graph}, embedding_function=None
        )

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows; the graph grows at once."""
        for start in range(0, len(ids), _LARGEST_BATCH):
            chosen = slice(start, start + _LARGEST_BATCH)
            self._collection.add(ids=[str(face) for face in ids[chosen].tolist()], embeddings=rows[chosen])

    def build(self) -> None:
        """Do nothing: the graph is there."""

    def modes(self) -> tuple[Mode, ...]:
        """Return HNSW."""
        return (Mode("HNSW", f"max_neighbors 32, ef 200 / {_EF}", self._search),)

    def close(self) -> None:
        """Drop the collection."""
        self._client.delete_collection("faces")

    def _search(self, probe: NDArray[np.float32], k: int) -> list[int]:
        found = self._collection.query(query_embeddings=probe[None, :], n_results=k, include=[])
        return [int(face) for face in found["ids"][0]]
