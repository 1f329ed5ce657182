"""How much memory there is, and how much a face takes: `python -m tests.benchmarks.memory`."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import IndexKind, fill, index_kinds
from tests.benchmarks.results import Result, left_out

GIB = 2**30
_SPARE_BYTES = GIB


def measure(options: Options) -> Iterator[Result]:
    """Measure how much a process grows by each face that is put into an index."""
    geometry = Geometry.load()
    for kind in index_kinds().values():
        for faces in options.faces:
            key, what = f"memory/{kind.name}/{faces}", f"{kind.name}, {faces:,} faces"
            if reason := lacking(faces * kind.bytes_per_face * 1.2):
                yield left_out(key, what, reason)
                continue
            yield _grown(key, what, kind, Crowd(geometry, faces))


def _grown(key: str, what: str, kind: IndexKind, crowd: Crowd) -> Result:
    # The first index of a process also loads libraries, and the first block takes the memory of the generator.
    first = Crowd(crowd.geometry, min(crowd.people, 10_000), seed=1)
    fill(kind, first)
    before = resident_bytes()
    index = fill(kind, crowd)
    grown = (resident_bytes() - before) / index.count()
    return Result(
        key,
        what,
        f"{kind.bytes_per_face} bytes of vectors and codes",
        round(grown / kind.bytes_per_face, 4),
        figures={"bytes_per_face": round(grown)},
        note="growth of the process; below 1 is better than the vectors alone",
    )


def lacking(wanted_bytes: float) -> str:
    """Return why so much memory cannot be had, or an empty text."""
    free = available_bytes()
    wanted = wanted_bytes + _SPARE_BYTES
    return "" if wanted <= free else f"needs {wanted / GIB:.1f} GiB, {free / GIB:.1f} are available"


def available_bytes() -> int:
    """Return what new work may take without anything being swapped out (Linux)."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def resident_bytes(pid: int | None = None) -> int:
    """Return how much memory a process holds (Linux); this one after collecting what is not in use any more."""
    if pid is None:
        gc.collect()
    return _field(Path(f"/proc/{pid or os.getpid()}/status"), "VmRSS")


def _field(path: Path, name: str) -> int:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"{path} says no {name}")


if __name__ == "__main__":
    run(measure, faces=(100_000,))
