"""How much memory of the host is left, and how it is given back."""

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""


def available_bytes() -> int | None:
    """Return how many more bytes this process can take before the host or its container runs short; None: unknown."""
    known = [value for value in (_of_host(_MEMINFO), _of_group(_GROUP)) if value is not None]
    return min(known, default=None)


def give_memory_back() -> None:
    """Let the C library return what was freed: laying out codes leaves half of their size in its free lists."""
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    """Return glibc's call for it; others give memory back by themselves."""
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return lambda _: None


def _of_host(path: Path) -> int | None:
    for line in _read(path).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _of_group(group: Path) -> int | None:
    limit, used = _read(group / "memory.max").strip(), _read(group / "memory.current").strip()
    if not (limit.isdigit() and used.isdigit()):
        return None
    # Pages of files, which can be written back and forgotten, count as used there.
    fields = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines() if " " in line)
    files = int(fields.get("inactive_file", "0")) + int(fields.get("active_file", "0"))
    return max(0, int(limit) - int(used) + files)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
