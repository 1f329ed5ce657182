"""Compare the exact index with raw, tuned FAISS FlatIP in the same process.

python -m tests.benchmarks.index_exact [--faces N] [--dimension D] [--k K] [--device auto|cpu|cuda:N]

FlatIP gives float32 scores and any order among equals; the index adds exact scores, subjects, gates and removals.
Rounds of both alternate, so that other load on the machine falls on both; the median of the rounds counts.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from ersgallery_index import By, VectorIndex, open_index
from ersgallery_index.backends.faiss_library import FlatIndex, cpu_flat_index, use_one_thread
from numpy.typing import NDArray

FloatRows = NDArray[np.float32]


def main() -> None:
    """Print the figures as a table or as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--faces", type=int, default=100_000, help="faces in the gallery (default: %(default)s)")
    parser.add_argument("--faces-per-subject", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--dimension", type=int, default=512, help="of the vectors (default: %(default)s)")
    parser.add_argument("--k", type=int, default=10, help="subjects per probe (default: %(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64], help="probes per call (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each (default: %(default)s)")
    parser.add_argument("--below-gate", type=float, default=0.0, help="share of faces below the gate")
    parser.add_argument("--device", default="cpu", help="of the index (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    faces = unit(random.standard_normal((options.faces, options.dimension), dtype=np.float32))
    flat, index = fill(faces, options, random)
    results = [measure(flat, index, probes_like(faces, batch, random), options) for batch in options.batch]
    for result in results:
        print(json.dumps(result) if options.json else describe(result))


def unit(rows: FloatRows) -> FloatRows:
    norms: FloatRows = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / norms


def probes_like(faces: FloatRows, batch: int, random: np.random.Generator) -> FloatRows:
    """Return probes of which half are near an enrolled face (similarity about 0.6) and half are strangers."""
    noise = unit(random.standard_normal((batch, faces.shape[1]), dtype=np.float32))
    mated = np.arange(batch) % 2 == 0
    near = 0.6 * faces[random.integers(0, len(faces), batch)] + np.float32(0.8) * noise
    return unit(np.where(mated[:, None], near, noise))


def fill(faces: FloatRows, options: argparse.Namespace, random: np.random.Generator) -> tuple[FlatIndex, VectorIndex]:
    ids = np.arange(len(faces), dtype=np.int64)
    ers = np.where(random.random(len(faces)) < options.below_gate, 0.2, 0.9)
    index = open_index(options.dimension, options.device)
    index.set_gate(0.5)
    start = time.perf_counter()
    index.apply(1, ids[:0], ids, ids // options.faces_per_subject, ers, faces)
    print(f"filled {len(faces)} x {options.dimension} in {time.perf_counter() - start:.2f} s on {index.device}")
    flat = cpu_flat_index(options.dimension)
    flat.add(faces)
    return flat, index


def measure(flat: FlatIndex, index: VectorIndex, probes: FloatRows, options: argparse.Namespace) -> dict[str, float]:
    gates = np.full(len(probes), 0.5)
    use_one_thread()
    flat_s, index_s = alternate(
        lambda: flat.search(probes, options.k),
        lambda: index.search(probes, gates, options.k, By.SUBJECT),
        options.rounds,
    )
    return {
        "batch": len(probes),
        "flat_ms": flat_s * 1e3,
        "index_ms": index_s * 1e3,
        "index_probes_per_s": len(probes) / index_s,
        "time_ratio": index_s / flat_s,
    }


def alternate(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median seconds of each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, taken in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return float(np.median(seconds[0])), float(np.median(seconds[1]))


def describe(result: dict[str, float]) -> str:
    return (
        f"batch {result['batch']:>3}: FlatIP {result['flat_ms']:.2f} ms, exact index {result['index_ms']:.2f} ms, "
        f"ratio {result['time_ratio']:.2f}, {result['index_probes_per_s']:.0f} probes/s"
    )


if __name__ == "__main__":
    main()
