"""Searches under other gates than the usual one against searches without: `python -m tests.benchmarks.filtering`.

A stricter gate admits a share of the faces that the usual one admits; a looser one admits those below it too. What
reaches no gate must cost nothing, so each is compared with a search under the usual gate, batched.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from ersgallery_index import By, VectorIndex

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import derived_parts, fill, index_kinds
from tests.benchmarks.raw_flat import Batches
from tests.benchmarks.results import Result, left_out, ratio_of
from tests.benchmarks.rounds import in_turn, median, ratios

SHARES = (0.99, 0.9, 0.5, 0.1, 0.01)
BATCH = 64
K = 10
_SAMPLE = 50_000


def measure(options: Options) -> Iterator[Result]:
    """Measure searches under stricter and looser gates against searches under the usual one."""
    geometry = Geometry.load()
    for faces in options.faces:
        crowd = Crowd(geometry, faces)
        for kind in index_kinds(faces):
            key, what = f"filtering/{kind.name}/{faces}", f"{kind.label}, {faces:,} faces"
            if reason := kind.lacking(faces):
                yield left_out(key, what, reason)
                continue
            index = fill(kind, crowd)
            yield from _gates(key, what, index, crowd, options)


def _gates(key: str, what: str, index: VectorIndex, crowd: Crowd, options: Options) -> Iterator[Result]:
    usual = crowd.geometry.gamma
    batches = Batches(crowd.derivation.derive(crowd.probes(256)).vectors, BATCH)
    ers = np.concatenate([part.ers for part in derived_parts(replace(crowd, people=min(crowd.people, _SAMPLE)))])
    gates = {f"{share:.0%}": float(np.quantile(ers[ers >= usual], 1.0 - share)) for share in SHARES} | {"all": 0.0}
    works = {"none": partial(_search, index, batches, usual)}
    works |= {name: partial(_search, index, batches, gate) for name, gate in gates.items()}
    taken = in_turn(works, options.rounds, options.seconds)
    found = [
        ratio_of(
            f"{key}/{name}",
            f"{what}, {_meaning(name)}",
            "no filter",
            ratios(taken["none"], taken[name]),
            ms=1e3 * median(taken[name]),
            unfiltered_ms=1e3 * median(taken["none"]),
        )
        for name in gates
    ]
    yield from found
    worst = min(found, key=lambda result: result.ratio or 0.0)
    yield Result(
        f"{key}/worst", f"{what}, the slowest filter", "no filter", worst.ratio, worst.low, worst.high, note=worst.what
    )


def _search(index: VectorIndex, batches: Batches, gate: float) -> None:
    probes: FloatRows = batches.take()
    index.search(probes, np.full(len(probes), gate), K, By.SUBJECT)


def _meaning(name: str) -> str:
    return "also below the usual gate" if name == "all" else f"a gate that admits {name}"


if __name__ == "__main__":
    run(measure, faces=(100_000,))
