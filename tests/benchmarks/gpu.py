"""Indexes on a GPU against its limits and raw FAISS there: `python -m tests.benchmarks.gpu` (`make bench-gpu`).

The limit is the least time of an exact search: to read every row once at the bandwidth that copies reach there, or to
multiply it with every probe at the rate that cuBLAS reaches, whichever takes longer. exact-float16 is the kind that
searches float16 rows, exact-float32 the other. With `--faces 0` the gallery has as many faces as fit. Nothing is
measured without a GPU, and it is said.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from ersgallery_index import By, DeviceFull, ErsError, IndexKind, VectorIndex, open_index
from ersgallery_index.backends.faiss_library import gpu_count

from tests.benchmarks.command import Options, run
from tests.benchmarks.cuda import CublasFailed, GpuLimits, measure_limits
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import derived_parts, settle
from tests.benchmarks.memory import lacking
from tests.benchmarks.raw_flat import Batches
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import in_turn, median, ratios

BATCHES = (1, 4, 16, 64, 256, 1024)
K = 10
DEVICE = "cuda:0"
_HOST_BYTES = 2048 * 1.2
"""The host keeps the float32 rows of every face."""
_ROUNDED_TO = 100_000
_FILLED = 0.9
"""How full a GPU is made: the raw index and the generator take some of it too."""


@dataclass(frozen=True, slots=True)
class GpuKind:
    """One kind of index on a GPU: how it is told, and bytes per number of a row there."""

    name: str
    kind: IndexKind
    width: int


KINDS = (GpuKind("exact-float32", IndexKind.EXACT, 4), GpuKind("exact-float16", IndexKind.FAST, 2))


def measure(options: Options) -> Iterator[Result]:
    """Measure indexes on a GPU against its bandwidth, its arithmetic and raw FAISS on it; --faces 0: all that fit."""
    if gpu_count() == 0:
        yield left_out("gpu", "indexes on a GPU", "this FAISS build sees no GPU")
        return
    try:
        limits = measure_limits()
    except (CublasFailed, ErsError) as failed:
        yield left_out("gpu", "indexes on a GPU", f"its limits cannot be measured: {failed}")
        return
    yield Result(
        "gpu/limits",
        "limits of the GPU",
        figures={
            "gb_per_s": round(limits.bytes_per_s / 1e9, 1),
            "float32_tflop_per_s": round(limits.float32_ops_per_s / 1e12, 2),
            "float16_tflop_per_s": round(limits.float16_ops_per_s / 1e12, 2),
        },
    )
    geometry = Geometry.load()
    for kind in KINDS:
        index = open_index(geometry.dimension, DEVICE)
        index.set_kind(kind.kind)
        room = index.capacity
        for faces in sizes(options.faces, room):
            yield from _sized(kind, Crowd(geometry, faces), room, limits, options)


def sizes(wanted: tuple[int, ...], room: int | None) -> list[int]:
    """Return the numbers of faces to measure; 0 becomes as many as fit, in round numbers."""
    most = int((room or 0) * _FILLED) // _ROUNDED_TO * _ROUNDED_TO
    return sorted({faces or most for faces in wanted} - {0})


def _sized(kind: GpuKind, crowd: Crowd, room: int | None, limits: GpuLimits, options: Options) -> Iterator[Result]:
    key, what = f"gpu/{kind.name}/{crowd.people}", f"{kind.name} on {DEVICE}, {crowd.people:,} faces"
    if room is not None and crowd.people > room:
        yield left_out(key, what, f"the GPU has room for {room:,} faces")
        return
    if reason := lacking(crowd.people * _HOST_BYTES):
        yield left_out(key, what, f"on the host it {reason}")
        return
    index = open_index(crowd.geometry.dimension, DEVICE)
    index.set_kind(kind.kind)
    index.set_gate(crowd.geometry.gamma)
    try:
        index.restore(1, derived_parts(crowd))
    except DeviceFull as full:
        yield left_out(key, what, str(full))
        return
    settle(index)
    raw = _raw(kind, crowd, index)
    for size in BATCHES:
        yield from _batch(f"{key}/{size}", f"{what}, batch {size}", kind, index, raw, crowd, size, limits, options)


def _batch(
    key: str,
    what: str,
    kind: GpuKind,
    index: VectorIndex,
    raw: Any,
    crowd: Crowd,
    size: int,
    limits: GpuLimits,
    options: Options,
) -> Iterator[Result]:
    batches = Batches(crowd.derivation.derive(crowd.probes(max(1024, size))).vectors, size)
    gates = np.full(size, crowd.geometry.gamma)
    works: dict[str, Callable[[], object]] = {
        "index": lambda: index.search(batches.take(), gates, K, By.SUBJECT),
    }
    if raw is not None:
        works["raw"] = lambda: raw.search(batches.take(), K)
    taken = in_turn(works, options.rounds, options.seconds)
    seconds = median(taken["index"])
    least_s = limits.search_s(index.count(crowd.geometry.gamma), size, index.dimension, kind.width)
    figures = {"probes_per_s": size / seconds, "ms": 1e3 * seconds, "limit_ms": 1e3 * least_s}
    yield ratio_of(f"{key}/limit", what, "the limit of the GPU", [least_s / one for one in taken["index"]], **figures)
    if raw is None:
        yield left_out(f"{key}/raw", what, "the GPU has no room for raw FAISS beside the index")
    else:
        yield ratio_of(f"{key}/raw", what, "raw FAISS there", ratios(taken["raw"], taken["index"]), **figures)


def _raw(kind: GpuKind, crowd: Crowd, index: VectorIndex) -> Any:
    """Return a raw flat index on the GPU with the same rows, or None where both do not fit."""
    faces = index.count(crowd.geometry.gamma)
    # A raw index grows by copying itself to a larger block.
    if index.capacity is not None and index.capacity - crowd.people < 2.2 * faces:
        return None
    faiss = import_module("faiss")
    config = faiss.GpuIndexFlatConfig()
    config.device, config.useFloat16, config.use_cuvs = 0, kind.width == 2, False
    resources = faiss.StandardGpuResources()
    raw = faiss.GpuIndexFlatIP(resources, crowd.geometry.dimension, config)
    for part in derived_parts(crowd):
        rows: FloatRows = part.vectors[part.ers >= crowd.geometry.gamma]
        raw.add(np.ascontiguousarray(rows))
    return raw


if __name__ == "__main__":
    run(measure, faces=(1_000_000, 10_000_000, 0), rounds=5, seconds=0.5)
