"""How much memory a face takes: `python -m tests.benchmarks.footprint`.

A process grows by filling an index; what files hold is not counted, since the system takes it back when it wants to.
What a server takes is measured by `python -m tests.benchmarks.service`.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import IN_MEMORY, ON_DISK, Kind, fill
from tests.benchmarks.memory import held_bytes
from tests.benchmarks.results import Result, left_out

COMPRESSED_BYTES = 1152
"""What codes and float16 rows for a re-rank would take."""


def measure(options: Options) -> Iterator[Result]:
    """Measure how much a process grows by each face that is put into an index."""
    geometry = Geometry.load()
    for kind in (*IN_MEMORY, *ON_DISK):
        for faces in options.faces:
            name = f"{kind.name}-rows-on-disk" if kind.rows_on_disk else kind.name
            key, what = f"memory/{name}/{faces}", f"{kind.label}, {faces:,} faces"
            if reason := kind.lacking(faces):
                yield left_out(key, what, reason)
                continue
            yield per_face(key, what, _grown(kind, Crowd(geometry, faces)), kind)


def per_face(key: str, what: str, bytes_per_face: float, kind: Kind) -> Result:
    """Return the ratio of a growth by each face to what its vectors take, or to what compressed ones would."""
    wanted = COMPRESSED_BYTES if kind.rows_on_disk else kind.bytes_per_face
    name = "codes and float16 rows" if kind.rows_on_disk else "vectors and codes"
    figures = {"bytes_per_face": float(round(bytes_per_face))}
    return Result(key, what, f"{wanted} bytes of {name}", round(bytes_per_face / wanted, 4), figures=figures)


def _grown(kind: Kind, crowd: Crowd) -> float:
    # In a process of its own: memory that an earlier index gave back would be taken again without any growth.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_growth_per_face, kind.name, crowd, on_disk=kind.rows_on_disk).result()


def _growth_per_face(name: str, crowd: Crowd, *, on_disk: bool) -> float:
    kind = next(kind for kind in (ON_DISK if on_disk else IN_MEMORY) if kind.name == name)
    # The first index of a process also loads libraries and lets the generator take its memory. It stays, so that the
    # other index cannot take its memory.
    first = fill(kind, Crowd(crowd.geometry, min(crowd.people, 10_000), seed=1))
    before = held_bytes()
    index = fill(kind, crowd)
    grown = held_bytes() - before
    return grown / (index.count() if first.count() else 0)


if __name__ == "__main__":
    run(measure, faces=(100_000,))
