"""The server in a process of its own, started and killed again and again on the same data."""

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.support.server import RemoteServer
from tests.support.server_process import command

START_TIMEOUT_S = 180.0
_PREFIX = "serving on "
SNAPSHOT_CHANGED_FACES = 10
"""So few changes make a snapshot due that each server that lives for some seconds writes several."""


class StartFailed(Exception):
    """The server did not start; the text has the end of its log."""


class ServerProcess:
    """`ersgallery-server serve` on one data directory; its log is kept there, over all starts."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.typical_start_s = 2.0
        self._database_url = database_url
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, *options: str) -> None:
        """Start the process without waiting for it."""
        given = ["--device", "cpu", "--snapshot-changed-faces", str(SNAPSHOT_CHANGED_FACES), *options]
        if self._database_url:
            given += ["--database-url", self._database_url]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ERSGALLERY_")}
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command(self.folder / "data", 0, *given),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**environment, "OMP_NUM_THREADS": "1"},
            )

    def start(self, *options: str) -> RemoteServer:
        """Start it and return how to ask it once it serves. Raises StartFailed."""
        begun_s = time.monotonic()
        self.begin(*options)
        process = self._running()
        guard = threading.Timer(START_TIMEOUT_S, process.kill)
        guard.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
        finally:
            guard.cancel()
        if not line.startswith(_PREFIX):
            raise StartFailed(f"the server did not start: {line}\n{self.end_of_log()}")
        self.typical_start_s = 0.7 * self.typical_start_s + 0.3 * (time.monotonic() - begun_s)
        return RemoteServer(line.removeprefix(_PREFIX).strip())

    def await_file(self, name: str) -> None:
        """Return when the process has a file of its data directory open, or soon where /proc cannot tell."""
        process = self._running()
        opened = Path(f"/proc/{process.pid}/fd")
        until_s = time.monotonic() + (START_TIMEOUT_S if opened.exists() else self.typical_start_s / 2)
        while time.monotonic() < until_s and process.poll() is None and not self._has_open(opened, name):
            time.sleep(0.002)

    @staticmethod
    def _has_open(opened: Path, name: str) -> bool:
        with suppress(OSError):
            return any(each.readlink().name == name for each in opened.iterdir())
        return False

    def kill(self) -> None:
        """Kill it by SIGKILL, whatever it is doing."""
        process = self._running()
        process.kill()
        process.communicate()

    def end_of_log(self, lines: int = 40) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def count_in_log(self, words: str) -> int:
        """Return how often its log has some words."""
        return self.log.read_text(encoding="utf-8", errors="replace").count(words)

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise StartFailed("the server was not started")
        return self._process
