"""Every kind of index against raw FAISS FlatIP and the limits of the machine: `python -m tests.benchmarks.index`.

FlatIP holds the faces above the gate alone and gives float32 scores of rows; an index has subjects, gates, removals
and scores in float64 besides. `flat-tuned` is FlatIP with one thread and the threshold for matrix products set,
`flat-default` FlatIP as it comes. Where an index keeps more than one thread busy, its yardstick is FlatIP on all
cores, or with one where that is faster. Growth with the number of faces is these figures over the sizes.
"""

import time
from collections.abc import Callable, Iterator

import numpy as np
from ersgallery_index import By, VectorIndex

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import Kind, derived_parts, fill, index_kinds
from tests.benchmarks.machine import Limits, cores, measure_limits
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
        if reason := lacking(faces * _FLAT_BYTES):
            yield from _alone(Crowd(geometry, faces), options, reason)
            continue
        crowd = Crowd(geometry, faces)
        flat = RawFlat.of(geometry.dimension, _searchable(crowd))
        for kind in index_kinds(faces):
            if reason := kind.lacking(faces):
                yield left_out(f"index/{kind.name}/{faces}", f"{kind.label}, {faces:,} faces", reason)
                continue
            begun = time.perf_counter()
            index = fill(kind, crowd)
            filled_s = time.perf_counter() - begun
            yield Result(
                f"index/{kind.name}/{faces}/fill",
                f"{kind.name}, filled",
                figures={"faces_per_s": round(faces / filled_s)},
            )
            for size in BATCHES:
                yield from _batch(kind, index, flat, crowd, size, options)
            del index


def _searchable(crowd: Crowd) -> Iterator[FloatRows]:
    for part in derived_parts(crowd):
        yield part.vectors[part.ers >= crowd.geometry.gamma]


def _alone(crowd: Crowd, options: Options, flat_reason: str) -> Iterator[Result]:
    """Measure the kinds that fit where FlatIP does not, against the limits of the machine alone."""
    for kind in index_kinds(crowd.people):
        key, what = f"index/{kind.name}/{crowd.people}", f"{kind.label}, {crowd.people:,} faces"
        if reason := kind.lacking(crowd.people):
            yield left_out(key, what, reason)
            continue
        index = fill(kind, crowd)
        for size in BATCHES:
            yield from _batch(kind, index, None, crowd, size, options)
        yield left_out(f"{key}/flat", f"FlatIP, {crowd.people:,} faces", flat_reason)


def _batch(
    kind: Kind, index: VectorIndex, flat: RawFlat | None, crowd: Crowd, size: int, options: Options
) -> Iterator[Result]:
    batches = Batches(crowd.derivation.derive(crowd.probes(max(256, size))).vectors, size)
    gates = np.full(size, crowd.geometry.gamma)

    def search() -> None:
        index.search(batches.take(), gates, K, By.SUBJECT)

    threads = busy_threads(search, options.seconds)
    works: dict[str, Callable[[], object]] = {"index": search}
    if flat is not None:
        works |= flat.yardsticks(batches, K)
    taken = in_turn(works, options.rounds, options.seconds)
    key, what = f"index/{kind.name}/{crowd.people}/{size}", f"{kind.label}, {crowd.people:,} faces, batch {size}"
    index_s = median(taken["index"])
    figures = {"probes_per_s": size / index_s, "ms": 1e3 * index_s, "threads": threads}
    for name, yardstick in _yardsticks(taken, threads).items():
        yield ratio_of(
            f"{key}/{name}",
            what,
            name,
            ratios(yardstick, taken["index"]),
            **figures,
            yardstick_ms=1e3 * median(yardstick),
        )
    yield _against_limit(
        f"{key}/limit", what, figures, index.count(crowd.geometry.gamma), size, measure_limits(min(threads, cores()), 2)
    )


def _yardsticks(taken: dict[str, list[float]], threads: int) -> dict[str, list[float]]:
    """Return the rounds of FlatIP by the name of the yardstick; `flat-tuned` may use as many threads as the index."""
    found = {name: seconds for name, seconds in taken.items() if name != "index"}
    everywhere = found.get("flat-tuned-all-cores")
    if threads > 1 and everywhere is not None:
        found["flat-tuned"] = min(found["flat-tuned"], everywhere, key=median)
    return found


def _against_limit(key: str, what: str, figures: dict[str, float], faces: int, probes: int, limits: Limits) -> Result:
    least_s = limits.search_s(faces, probes)
    return Result(
        key,
        what,
        "the limit of the machine for exact float32",
        round(1e3 * least_s / figures["ms"], 4),
        figures={
            **figures,
            "limit_ms": round(1e3 * least_s, 4),
            "read_gb_per_s": round(limits.read_bytes_per_s / 1e9, 2),
            "gflop_per_s": round(limits.float32_ops_per_s / 1e9, 1),
            "int8_gop_per_s": round(limits.int8_ops_per_s / 1e9, 1),
        },
    )


if __name__ == "__main__":
    run(measure, faces=(10_000, 100_000))
