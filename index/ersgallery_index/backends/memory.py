"""How much memory of the host is left."""

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""


def available_bytes() -> int | None:
    """Return how many more bytes this process can take before the host or its container runs short; None: unknown."""
    known = [value for value in (_of_host(_MEMINFO), _of_group(_GROUP)) if value is not None]
    return min(known, default=None)


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
    # Files that were read and can be forgotten count as used there.
    fields = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines() if " " in line)
    return max(0, int(limit) - int(used) + int(fields.get("inactive_file", "0")))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
