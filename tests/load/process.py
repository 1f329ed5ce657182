"""The server under load: a process of its own on one port, whose memory, files and threads can be read."""

import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.server_process import free_port, serve

STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds: resident memory, open files, threads, and the database's size with its log."""

    at_s: float
    rss_mib: float
    files: int
    threads: int
    database_mib: float


class LoadedServer:
    """`ersgallery-server serve` on Linux, restarted on the same port and data as often as one likes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port, self.metrics_port = folder, free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._options = ("--device", "cpu", "--metrics-port", str(self.metrics_port), *options)
        self._process = serve(folder, self.port, *self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def vitals(self) -> Vitals:
        """Read what it holds now."""
        place = Path(f"/proc/{self._process.pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        database = sum(path.stat().st_size for path in self.folder.glob("gallery.db*") if path.exists())
        return Vitals(
            time.monotonic(),
            int(status["VmRSS"].split()[0]) / 1024,
            len(list((place / "fd").iterdir())),
            int(status["Threads"]),
            database / 2**20,
        )

    def metric(self, name: str, label: str = "") -> float:
        """Return the sum of a metric's values over all its labels, or those with this one."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30) as page:
            lines = page.read().decode().splitlines()
        wanted = [line for line in lines if line.split("{")[0].split(" ")[0] == name and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)

    def restart(self) -> tuple[float, int]:
        """Stop it by SIGTERM and start it again; return the seconds until it served, and the status of its exit."""
        begun_s = time.monotonic()
        status = self.stop()
        self._process = serve(self.folder, self.port, *self._options)
        return time.monotonic() - begun_s, status

    def stop(self) -> int:
        """Let it drain and return the status of its exit; raises TimeoutExpired where it does not end."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return self._process.returncode
