"""Milvus Lite: an embedded Milvus behind its real client."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode


class Milvus:
    """A collection with a FLAT index."""

    def __init__(self, folder: Path, dimension: int) -> None:
        import_module("milvus_lite")
        milvus = import_module("pymilvus")
        folder.mkdir()
        self._client: Any = milvus.MilvusClient(str(folder / "faces.db"))
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", milvus.DataType.INT64, is_primary=True)
        schema.add_field("vector", milvus.DataType.FLOAT_VECTOR, dim=dimension)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        self._client.create_collection("faces", schema=schema, index_params=index)

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows."""
        for start in range(0, len(ids), 1000):
            chosen = slice(start, start + 1000)
            columns = zip(ids[chosen].tolist(), rows[chosen], strict=True)
            self._client.insert("faces", [{"id": face, "vector": row} for face, row in columns])

    def build(self) -> None:
        """Load the collection."""
        self._client.load_collection("faces")

    def modes(self) -> tuple[Mode, ...]:
        """Return exact search."""
        return (Mode("exact", "FLAT", self._search),)

    def close(self) -> None:
        """End the embedded server."""
        self._client.close()

    def _search(self, probe: NDArray[np.float32], k: int) -> list[int]:
        found = self._client.search("faces", [probe], limit=k, search_params={"metric_type": "IP"})
        return [int(hit["id"]) for hit in found[0]]
