"""`ersgallery-server serve` in a process of its own, for as long as a block lasts."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 40.0
_PREFIX = "serving on "


class ServerFailed(Exception):
    """The server did not start; the text says why."""


@contextmanager
def serving(data_dir: Path, models_dir: Path, log: Path, port: int = 0) -> Iterator[str]:
    """Serve until the block is left and give HOST:PORT; port 0 takes a free one. Raises ServerFailed."""
    options = ["--data-dir", str(data_dir), "--models-dir", str(models_dir), "--port", str(port), "--device", "cpu"]
    command = [sys.executable, "-m", "ersgallery_server", "serve", *options]
    # The user's own settings of a server, above all its database, are not the demo's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ERSGALLERY_")}
    with log.open("w", encoding="utf-8") as stderr:
        # In a session of its own, Ctrl-C reaches the demo alone, which then stops the server in order.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, start_new_session=True
        )
        try:
            yield _address(process, log)
        finally:
            _stop(process)


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    """Wait for the line that says where it serves."""
    if process.stdout is None:
        raise ServerFailed("the server has no output")
    guard = threading.Timer(_START_TIMEOUT_S, process.kill)
    guard.start()
    try:
        line = process.stdout.readline()
    finally:
        guard.cancel()
    if not line.startswith(_PREFIX):
        process.wait()
        raise ServerFailed(f"the server did not start: {_reason(log)}")
    return line.removeprefix(_PREFIX).strip()


def _reason(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return told[-1] if told else f"see {log}"


def _stop(process: "subprocess.Popen[str]") -> None:
    """Let it finish what it accepted; kill it if that takes too long."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()
