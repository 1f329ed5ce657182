"""What encryption at rest costs: `python -m tests.benchmarks.encryption [--faces N]`.

Prints rows/s with a key beside those without one, alternately, as medians: enrolments of 1,000 faces of 512 numbers,
loading a gallery from the database, and writing and reading a snapshot.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from ersgallery_index import IndexRows
from ersgallery_server.keys import NO_KEYS, Key, KeyRing
from ersgallery_server.snapshots import Header, Origin, RowFile, read_rows, usual_block_rows
from ersgallery_server.snapshots.sealed_blocks import BlockSeal
from ersgallery_server.store import Store
from ersgallery_server.values import NewFace
from numpy.typing import NDArray

from tests.benchmarks.store import BATCH, DIMENSION, enroll, load, prepare, seconds

RINGS = {"plain": NO_KEYS, "encrypted": KeyRing([Key.generate("bench")])}
ROUNDS = 5


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=50_000)
    faces = parser.parse_args().faces
    with tempfile.TemporaryDirectory() as folder:
        _compare_stores(Path(folder), faces)
        _compare_snapshots(Path(folder), faces)


def _compare_stores(folder: Path, face_count: int) -> None:
    with ExitStack() as opened:
        stores = {
            name: opened.enter_context(Store.open(f"sqlite:///{folder}/{name}.db", keys=ring))
            for name, ring in RINGS.items()
        }
        prepared = {name: prepare(store) for name, store in stores.items()}
        enrolled: dict[str, list[float]] = {name: [] for name in RINGS}
        for first in range(0, face_count, BATCH):
            for name, store in stores.items():
                gallery, rows = prepared[name]
                faces = [NewFace(f"subject-{first + i}", row, 1.0, 0.9, 0.9) for i, row in enumerate(rows)]
                enrolled[name].append(seconds(partial(enroll, store, gallery, faces)))
        _report("enrol, rows/s", BATCH, enrolled)
        works = {name: partial(load, store, prepared[name][0]) for name, store in stores.items()}
        _report("load from the database, rows/s", face_count, _alternately(works))


def _compare_snapshots(folder: Path, face_count: int) -> None:
    rows = np.random.default_rng(2).standard_normal((face_count, DIMENSION)).astype(np.float32)
    writes = {name: partial(_write, folder / f"{name}.snapshot", ring, rows) for name, ring in RINGS.items()}
    _report("write a snapshot, rows/s", face_count, _alternately(writes))
    reads = {name: partial(_read, folder / f"{name}.snapshot", ring) for name, ring in RINGS.items()}
    _report("read a snapshot, rows/s", face_count, _alternately(reads))


def _write(path: Path, ring: KeyRing, rows: NDArray[np.float32]) -> None:
    path.unlink(missing_ok=True)
    seal, block_rows = BlockSeal.new(ring), usual_block_rows(DIMENSION)
    file = RowFile.create(path, 1, block_rows, DIMENSION, seal)
    for start in range(0, len(rows), block_rows):
        part = rows[start : start + block_rows]
        ids = np.arange(start + 1, start + 1 + len(part))
        file.append(IndexRows(ids, ids, np.full(len(part), 0.5), part))
    origin = Origin("bench", 1, "", 1, "", DIMENSION, "")
    sealed_by = ("", "") if seal is None else (seal.key_id, seal.salt)
    file.complete(Header(origin, 1, "", block_rows, len(rows), *sealed_by))
    file.close()


def _read(path: Path, ring: KeyRing) -> int:
    file, _ = RowFile.open(path, ring)
    try:
        return sum(len(rows.face_ids) for rows in read_rows(file))
    finally:
        file.close()


def _alternately(works: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            found[name].append(seconds(work))
    return found


def _report(what: str, rows: int, found: dict[str, list[float]]) -> None:
    plain, encrypted = (rows / statistics.median(found[name]) for name in RINGS)
    print(f"{what}: plain {plain:,.0f}, encrypted {encrypted:,.0f}, ratio {encrypted / plain:.2f}", flush=True)


if __name__ == "__main__":
    main()
