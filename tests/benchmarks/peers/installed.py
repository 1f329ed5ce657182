"""The engines that are compared, by name; each is imported when it is opened."""

from tests.benchmarks.peers.chroma import Chroma
from tests.benchmarks.peers.lance import Lance, LanceGraph
from tests.benchmarks.peers.milvus import Milvus
from tests.benchmarks.peers.peer import Opener
from tests.benchmarks.peers.pgvector import PgVector
from tests.benchmarks.peers.qdrant import Qdrant
from tests.benchmarks.peers.usearch import USearch

OPENERS: dict[str, Opener] = {
    "qdrant engine": Qdrant,
    "pgvector": PgVector,
    "lancedb": Lance,
    "lancedb, graph": LanceGraph,
    "chromadb": Chroma,
    "usearch": USearch,
    "milvus-lite": Milvus,
}
MOST_FACES = {"milvus-lite": 10_000}
"""More would take it hours."""
