"""Measure how long hygiene takes in a gallery, what searches wait beside it, and what the duplicate check costs.

python -m tests.benchmarks.hygiene [--faces N] [--dimension D] [--callers C] [--only WHAT] [--json]

Faces are generated, two of each subject, a twentieth of them near the UI centroid. --callers: so many threads ask one
probe after the other meanwhile; their searches are timed with and without the operation. --only: magnets, duplicates
or enrolment.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from ersgallery_index import Profile
from ersgallery_server.call import Call
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import RawProbes
from ersgallery_server.hygiene import DuplicateTask, MagnetTask
from ersgallery_server.values import DuplicateCheck
from numpy.typing import NDArray

from tests.support.cores import Core, enroll

FloatRows = NDArray[np.float32]
BATCH = 1000
QUIET_S = 3.0


def main() -> None:
    """Print the figures as lines or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--faces", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument("--dimension", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--callers", type=int, default=0, help="threads that search meanwhile (default: %(default)s)")
    parser.add_argument("--only", choices=["magnets", "duplicates", "enrolment"], help="measure this alone")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options, Path(folder))
    print(json.dumps(figures) if options.json else "\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Fill a gallery and measure all that is wanted."""
    core = Core(f"sqlite:///{folder / 'store.sqlite'}", folder)
    rows, names = faces(options.faces, options.dimension)
    centroid = np.eye(1, options.dimension)
    gallery = core.create("g", core.add_profile("p", Profile("made", centroid, 0.5, None)), tau=0.45, gamma_gallery=0.0)
    for start in range(0, len(rows), BATCH):
        enroll(gallery, names[start : start + BATCH], rows[start : start + BATCH])
    figures: dict[str, float] = {"faces": len(rows), "dimension": options.dimension, "callers": options.callers}
    record = gallery.record
    if options.callers:
        with searching(gallery, rows, options.callers) as times:
            time.sleep(QUIET_S)
        figures |= percentiles("alone", times)
    works: dict[str, Callable[[], object]] = {
        "magnets": lambda: MagnetTask(gallery, record, 0.45, 0.0, None, 10, 50).run(lambda _done, _total: None),
        "duplicates": lambda: DuplicateTask(gallery, record, 0.45, 200).run(lambda _done, _total: None),
    }
    for name, work in works.items():
        if options.only in {None, name}:
            with searching(gallery, rows, options.callers) as times:
                figures[f"{name}_s"] = seconds(work)
            figures |= percentiles(name, times)
    if options.only in {None, "enrolment"}:
        figures |= enrolment(core, gallery, options.dimension)
    core.close()
    return figures


def enrolment(core: Core, gallery: Gallery, dimension: int) -> dict[str, float]:
    """Enrol new people one by one and in batches, without and with the check."""
    figures: dict[str, float] = {}
    for number, check in enumerate(DuplicateCheck):
        core.update(gallery, duplicate_check=check)
        rows, _ = faces(2200, dimension, seed=number + 1)
        new = [f"{check.value}{i}" for i in range(len(rows))]
        start_s = time.perf_counter()
        for i in range(200):
            enroll(gallery, new[i : i + 1], rows[i : i + 1])
        one_by_one_s = time.perf_counter() - start_s
        figures[f"enrol_one_{check.value}_ms"] = 1000 * one_by_one_s / 200
        start_s = time.perf_counter()
        enroll(gallery, new[1000:2000], rows[1000:2000])
        figures[f"enrol_1000_{check.value}_s"] = time.perf_counter() - start_s
    return figures


@contextmanager
def searching(gallery: Gallery, rows: FloatRows, callers: int) -> Iterator[list[float]]:
    """Let threads search one probe after the other, and gather how many milliseconds each took."""
    ended, times = threading.Event(), list[float]()

    def search(caller: int) -> None:
        rng = np.random.default_rng(caller)
        while not ended.is_set():
            probe = RawProbes(rows[rng.integers(len(rows))][None])
            start_s = time.perf_counter()
            gallery.search(probe, PolicyOverrides(), Call())
            times.append(1000 * (time.perf_counter() - start_s))

    threads = [threading.Thread(target=search, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    yield times
    ended.set()
    for thread in threads:
        thread.join()


def faces(count: int, dimension: int, seed: int = 0) -> tuple[FloatRows, list[str]]:
    """Return faces, two of each subject, a twentieth of them near the first axis, and whose they are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal(((count + 1) // 2, dimension), dtype=np.float32)
    rows = np.repeat(centres, 2, axis=0)[:count] + 0.8 * rng.standard_normal((count, dimension), dtype=np.float32)
    rows[:, 0] = 0.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[::20] *= 0.5
    rows[::20, 0] = 0.9
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), [f"s{i // 2}" for i in range(count)]


def percentiles(name: str, times: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile of searches in milliseconds; nothing where nobody searched."""
    if not times:
        return {}
    return {f"search_p50_{name}_ms": float(np.median(times)), f"search_p99_{name}_ms": float(np.quantile(times, 0.99))}


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
