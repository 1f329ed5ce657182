"""How much memory there is, and how much a face takes: `python -m tests.benchmarks.memory`."""

import ctypes
import gc
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import fill, index_kinds
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
            # In a process of its own: memory that an earlier index gave back would be taken again without any growth.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
                grown = fresh.submit(_growth_bytes, kind.name, Crowd(geometry, faces)).result()
            yield per_face(key, what, grown, kind.bytes_per_face)


def per_face(key: str, what: str, bytes_per_face: float, wanted: int) -> Result:
    """Return the ratio of a growth by each face to what its vectors and codes take."""
    return Result(
        key,
        what,
        f"{wanted} bytes of vectors and codes",
        round(bytes_per_face / wanted, 4),
        figures={"bytes_per_face": round(bytes_per_face)},
        note="growth of the process; less is better",
    )


def _growth_bytes(name: str, crowd: Crowd) -> float:
    kind = index_kinds()[name]
    # The first index of a process also loads libraries, and the first block takes the memory of the generator. It
    # stays, so that the other index cannot take its memory.
    first = fill(kind, Crowd(crowd.geometry, min(crowd.people, 10_000), seed=1))
    before = resident_bytes()
    index = fill(kind, crowd)
    grown = resident_bytes() - before
    return grown / (index.count() if first.count() else 0)


def lacking(wanted_bytes: float) -> str:
    """Return why so much memory cannot be had, or an empty text."""
    free = available_bytes()
    wanted = wanted_bytes + _SPARE_BYTES
    return "" if wanted <= free else f"needs {wanted / GIB:.1f} GiB, {free / GIB:.1f} are available"


def available_bytes() -> int:
    """Return what new work may take without anything being swapped out (Linux)."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def total_bytes() -> int:
    """Return the memory of the machine (Linux)."""
    return _field(Path("/proc/meminfo"), "MemTotal")


def resident_bytes(pid: int | None = None) -> int:
    """Return how much memory a process holds (Linux); this one after giving back what is not in use any more."""
    if pid is None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
    return _field(Path(f"/proc/{pid or os.getpid()}/status"), "VmRSS")


def _field(path: Path, name: str) -> int:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"{path} says no {name}")


if __name__ == "__main__":
    run(measure, faces=(100_000,))
