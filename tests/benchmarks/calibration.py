"""Measure how long clustering takes, beside the bare products of all pairs, and how much memory it takes.

python -m tests.benchmarks.calibration [--faces N] [--dimension D] [--unrecognizable SHARE] [--json]

A share of the faces lies near one direction, and single linkage has to find exactly them. The bare time is that of the
same blocks of products without anything done to them. OMP_NUM_THREADS sets the cores of the products.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
from ersgallery_index.calibration import FaceSet, Progress, UiRules, find_ui, single_linkage
from ersgallery_index.calibration.linkage import BLOCK_ROWS
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]


def main() -> None:
    """Print the figures as lines or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--faces", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--dimension", type=int, default=512, help="of the vectors (default: %(default)s)")
    parser.add_argument("--unrecognizable", type=float, default=0.1, help="share of them (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
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
    print(json.dumps(figures) if options.json else "\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))


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
