"""How much memory there is, and what a process holds (Linux)."""

import ctypes
import gc
import os
from pathlib import Path

GIB = 2**30
_SPARE_BYTES = GIB


def lacking(wanted_bytes: float) -> str:
    """Return why so much memory cannot be had, or an empty text."""
    free = available_bytes()
    wanted = wanted_bytes + _SPARE_BYTES
    return "" if wanted <= free else f"needs {wanted / GIB:.1f} GiB, {free / GIB:.1f} are available"


def available_bytes() -> int:
    """Return what new work may take without anything being swapped out."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def total_bytes() -> int:
    """Return the memory of the machine."""
    return _field(Path("/proc/meminfo"), "MemTotal")


def held_bytes(pid: int | None = None) -> int:
    """Return how much memory a process holds that is no file's; this one after giving back what is not in use."""
    if pid is None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
    return _field(Path(f"/proc/{pid or os.getpid()}/status"), "RssAnon")


def _field(path: Path, name: str) -> int:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"{path} says no {name}")
