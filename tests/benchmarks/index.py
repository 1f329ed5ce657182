"""Every kind of index against raw FAISS FlatIP and the limits of the machine: `python -m tests.benchmarks.index`.

FlatIP holds the faces above the gate alone and gives float32 scores of rows; an index has subjects, gates, removals
and scores in float64 besides. `flat-tuned` is FlatIP with one thread and the threshold for matrix products set,
`flat-default` FlatIP as it comes. Where an index keeps more than one thread busy, its yardstick is FlatIP on all
cores, or with one where that is faster. Growth with the number of faces is these figures over the sizes.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from ersgallery_index import By, VectorIndex

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import Kind, derived_parts, fill, index_kinds
from tests.benchmarks.machine import Pieces, cores
from tests.benchmarks.memory import lacking
from tests.benchmarks.raw_flat import Batches, RawFlat
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import busy_threads, in_turn, median, ratios

BATCHES = (1, 16, 64, 256)
K = 10
_FLAT_BYTES = 2048


def measure(options: Options) -> Iterator[Result]:
    """Measure every kind of index against FlatIP, tuned and as it comes, and against the limits of the machine."""
    geometry = Geometry.load()
    for faces in options.faces:
        crowd = Crowd(geometry, faces)
        flat = None
        if reason := lacking(faces * _FLAT_BYTES):
            yield left_out(f"index/flat/{faces}", f"FlatIP, {faces:,} faces", reason)
        else:
            flat = RawFlat.of(geometry.dimension, _searchable(crowd))
        for kind in index_kinds(faces):
            if reason := kind.lacking(faces):
                yield left_out(f"index/{kind.name}/{faces}", f"{kind.label}, {faces:,} faces", reason)
            else:
                yield from _kind(kind, crowd, flat, options)


def _searchable(crowd: Crowd) -> Iterator[FloatRows]:
    for part in derived_parts(crowd):
        yield part.vectors[part.ers >= crowd.geometry.gamma]


def _kind(kind: Kind, crowd: Crowd, flat: RawFlat | None, options: Options) -> Iterator[Result]:
    key, what = f"index/{kind.name}/{crowd.people}", f"{kind.label}, {crowd.people:,} faces"
    begun = time.perf_counter()
    index = fill(kind, crowd)
    per_s = round(crowd.people / (time.perf_counter() - begun))
    yield Result(f"{key}/fill", f"{what}, generated and filled", figures={"faces_per_s": per_s})
    searched = _Searched(index, index.count(crowd.geometry.gamma), crowd, flat)
    for size in BATCHES:
        yield from _batch(f"{key}/{size}", f"{what}, batch {size}", searched, size, options)


@dataclass(frozen=True, slots=True, eq=False)
class _Searched:
    """An index, how many faces its searches see, their crowd, and FlatIP of them where there was room for it."""

    index: VectorIndex
    faces: int
    crowd: Crowd
    flat: RawFlat | None


def _batch(key: str, what: str, searched: _Searched, size: int, options: Options) -> Iterator[Result]:
    crowd = searched.crowd
    batches = Batches(crowd.derivation.derive(crowd.probes(max(256, size))).vectors, size)
    gates = np.full(size, crowd.geometry.gamma)

    def search() -> None:
        searched.index.search(batches.take(), gates, K, By.SUBJECT)

    threads = busy_threads(search, options.seconds)
    with Pieces(min(threads, cores())) as pieces:
        works: dict[str, Callable[[], object]] = {"index": search, "read": pieces.read, "multiply": pieces.multiply}
        if searched.flat is not None:
            works |= searched.flat.yardsticks(batches, K)
        taken = in_turn(works, options.rounds, options.seconds)
    index_s = taken.pop("index")
    figures = {"probes_per_s": size / median(index_s), "ms": 1e3 * median(index_s), "threads": threads}
    pairs = zip(taken.pop("read"), taken.pop("multiply"), strict=True)
    limits = [pieces.limits(read_s, multiply_s) for read_s, multiply_s in pairs]
    yield _against_limit(f"{key}/limit", what, index_s, [one.search_s(searched.faces, size) for one in limits], figures)
    for name, flat_s in _yardsticks(taken, threads).items():
        yield ratio_of(
            f"{key}/{name}", what, name, ratios(flat_s, index_s), **figures, yardstick_ms=1e3 * median(flat_s)
        )


def _yardsticks(taken: dict[str, list[float]], threads: int) -> dict[str, list[float]]:
    """Return the rounds of FlatIP by the name of the yardstick; `flat-tuned` may use as many threads as the index."""
    everywhere = taken.get("flat-tuned-all-cores")
    if threads > 1 and everywhere is not None:
        return {**taken, "flat-tuned": min(taken["flat-tuned"], everywhere, key=median)}
    return taken


def _against_limit(
    key: str, what: str, index_s: list[float], least_s: list[float], figures: dict[str, float]
) -> Result:
    limit = "the limit of the machine for exact float32"
    return ratio_of(key, what, limit, ratios(least_s, index_s), **figures, limit_ms=1e3 * median(least_s))


if __name__ == "__main__":
    run(measure, faces=(10_000, 100_000))
