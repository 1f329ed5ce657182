"""Measure how long clustering takes, beside the bare products of all pairs, and how much memory it takes.

python -m tests.benchmarks.calibration [--faces N] [--dimension D] [--unrecognizable SHARE] [--whole [--spread E]]
[--json]

A share of the faces lies near one direction, and single linkage has to find exactly them. The bare time is that of the
same blocks of products without anything done to them. OMP_NUM_THREADS sets the cores of the products.

--whole: build the profile instead, with every choice and check, from N faces that make it and a fifth as many of other
people that test it, and write its report. --spread: the faces spread over E of the D dimensions, as those of a model
do; strangers' cosines have a standard deviation of E**-0.5 (0.066 with 230, as MobileFaceNet's, 0.092 with 118, as
SFace's), so fewer dimensions join more pairs at the greater distances that are looked at.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from ersgallery_index.calibration import BuildPlan, FaceSet, Progress, UiRules, find_ui, single_linkage
from ersgallery_index.calibration.faces import CLEAN
from ersgallery_index.calibration.linkage import BLOCK_ROWS
from ersgallery_server.profiling.calibration import calibrate, profile_file
from ersgallery_server.profiling.material import Faces, Material
from ersgallery_server.profiling.report import report_page
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]

_KINDS = ("GAUSSIAN_BLUR", "MOTION_BLUR", "LOW_RESOLUTION", "NOISE")


def main() -> None:
    """Print the figures as lines or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--faces", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--dimension", type=int, default=512, help="of the vectors (default: %(default)s)")
    parser.add_argument("--unrecognizable", type=float, default=0.1, help="share of them (default: %(default)s)")
    parser.add_argument("--whole", action="store_true", help="build the profile and write its report")
    parser.add_argument("--spread", type=int, help="dimensions that --whole spreads the faces over (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = whole(options) if options.whole else clustering(options)
    print(json.dumps(figures) if options.json else "\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))


def clustering(options: argparse.Namespace) -> dict[str, float]:
    unit, inside = faces(options.faces, options.dimension, options.unrecognizable)
    figures: dict[str, float] = {"faces": len(unit), "dimension": unit.shape[1]}
    figures["bare_products_s"] = seconds(lambda: bare_products(unit))
    figures["one_distance_s"] = seconds(lambda: check(single_linkage(unit, 1.0, time_left()), inside))
    figures["peak_memory_gib"] = peak_gib()
    pool = FaceSet.of_raw(unit)
    rules = UiRules(grid=(0.9, 1.1))
    figures["find_ui_s"] = seconds(lambda: find_ui(pool, unit.astype(np.float64), rules, time_left()))
    figures["find_ui_peak_memory_gib"] = peak_gib()
    figures["ratio_to_bare"] = figures["one_distance_s"] / figures["bare_products_s"]
    return figures


def whole(options: argparse.Namespace) -> dict[str, float]:
    """Build a profile and its report; the time that the faces take to be drawn is not counted."""
    share, spread = options.unrecognizable, options.spread or options.dimension
    rng = np.random.default_rng(0)
    place = rng.standard_normal(spread, dtype=np.float32)
    drawn = [
        labelled(count, options.dimension, place, share, rng, first)
        for count, first in ((options.faces, 0), (options.faces // 5, options.faces))
    ]
    material = Material(Faces(drawn[0]), Faces(drawn[1]))
    figures: dict[str, float] = {"faces": len(drawn[0]), "testing": len(drawn[1]), "dimension": options.dimension}
    started_s, cpu_s = time.perf_counter(), time.process_time()
    plan = BuildPlan()
    built = calibrate("generated", material, plan, time_left())
    figures["build_s"], figures["build_cpu_s"] = time.perf_counter() - started_s, time.process_time() - cpu_s
    figures["build_peak_memory_gib"] = peak_gib()
    page = report_page(profile_file("generated", built, material, plan, {}), built, material, faces=False)
    figures["whole_s"], figures["whole_cpu_s"] = time.perf_counter() - started_s, time.process_time() - cpu_s
    figures["whole_peak_memory_gib"] = peak_gib()
    return {**figures, "found_share": float(built.ui_members.mean()), "report_bytes": len(page)}


def labelled(
    count: int, dimension: int, place: FloatRows, share: float, rng: np.random.Generator, first_identity: int
) -> FaceSet:
    """Return clean faces, two of every second person where they test, and degraded faces of some of the people.

    place: where the degraded ones gather; they lose all that is theirs beside it.
    """
    degraded = round(share * count)
    clean = count - degraded
    testing = first_identity > 0
    people = np.arange(clean) // 2 if testing else np.arange(clean)
    rows = np.zeros((count, dimension), np.float32)
    rows[:, : len(place)] = rng.standard_normal((count, len(place)), dtype=np.float32)
    if testing:
        rows[1:clean:2] = rows[0 : 2 * (clean // 2) : 2] + 0.8 * rows[1:clean:2]
    rows[clean:, : len(place)] = 0.75 * place + 0.66 * rows[clean:, : len(place)]
    return FaceSet(
        normalised(rows),
        np.concatenate([people, people[:degraded]]) + first_identity,
        np.concatenate([np.full(clean, CLEAN), np.arange(degraded) % len(_KINDS)]).astype(np.int16),
        np.concatenate([np.zeros(clean), rng.uniform(0.2, 1.0, degraded)]),
        _KINDS,
    )


def faces(count: int, dimension: int, share: float) -> tuple[FloatRows, NDArray[np.bool_]]:
    """Return unit vectors of which a share lies near one direction, and which do."""
    rng = np.random.default_rng(0)
    rows = normalised(rng.standard_normal((count, dimension), dtype=np.float32))
    centre = normalised(rng.standard_normal((1, dimension), dtype=np.float32))
    inside = rng.permutation(count) < share * count
    rows[inside] = normalised(np.asarray(0.75 * centre + 0.66 * rows[inside], np.float32))
    return rows, inside


def normalised(rows: FloatRows) -> FloatRows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def bare_products(unit: FloatRows) -> None:
    for start in range(0, len(unit), BLOCK_ROWS):
        for other in range(start, len(unit), BLOCK_ROWS):
            np.matmul(unit[start : start + BLOCK_ROWS], unit[other : other + BLOCK_ROWS].T)


def check(labels: NDArray[np.int64], inside: NDArray[np.bool_]) -> None:
    largest = labels == np.bincount(labels).argmax()
    if not np.array_equal(largest, inside):
        raise SystemExit("the largest cluster is not what was put there")


def time_left() -> Progress:
    """Return a progress that shows the time left on a terminal."""
    start = time.perf_counter()

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            left_s = (time.perf_counter() - start) * (total - done) / done
            print(f"\r{done / total:.0%}, {left_s:.0f} s left  ", end="", file=sys.stderr)

    return show


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_gib() -> float:
    """Return the greatest resident memory so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
