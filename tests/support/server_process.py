"""A server in a process of its own, to be killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(folder: Path, port: int = 0, *options: str) -> list[str]:
    """Return the command line of `ersgallery-server serve`."""
    base = [sys.executable, "-m", "ersgallery_server", "serve", "--port", str(port), "--data-dir", str(folder)]
    return [*base, *options]


def serve(folder: Path, port: int, *options: str) -> "subprocess.Popen[str]":
    """Start `ersgallery-server serve` and return when it serves."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(folder, port, *options), stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving on "), line
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a server without any warning."""
    process.kill()
    process.communicate()
