"""What the store costs beside bare sqlite3: `python -m tests.benchmarks.store [--faces N] [--url URL]`.

Prints rows/s of enrolments of 1,000 faces of as many new subjects and of loading a gallery, each beside the same rows
through sqlite3 alone with the same page size and durability, alternately, as the median of several rounds.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from ersgallery_index import Profile
from ersgallery_server.store import Enrolled, Store
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, NewFace, NewFaces
from numpy.typing import NDArray

DIMENSION = 512
BATCH = 1000


class BareTable:
    """Faces and subjects in plain sqlite3: the same columns and indexes, WAL, synchronous=FULL, nothing checked."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE faces (face_id INTEGER PRIMARY KEY, gallery_key INTEGER, subject_key INTEGER,"
            " profile_key INTEGER, ers DOUBLE, raw_ers DOUBLE, embedding_norm DOUBLE, media_id TEXT,"
            " user_metadata JSON, box JSON, version INTEGER, create_time DATETIME, embedding BLOB)"
        )
        self._connection.execute(
            "CREATE TABLE subjects (key INTEGER PRIMARY KEY, gallery_key INTEGER, subject_id TEXT, display_name TEXT,"
            " user_metadata JSON, version INTEGER, create_time DATETIME, update_time DATETIME,"
            " UNIQUE (gallery_key, subject_id))"
        )
        self._connection.execute("CREATE INDEX by_gallery ON faces (gallery_key, face_id, ers)")
        self._connection.execute("CREATE INDEX by_subject ON faces (subject_key, face_id, ers)")

    def insert(self, first_id: int, faces: list[NewFace]) -> None:
        """Insert faces and their subjects in one transaction."""
        rows = [
            (
                first_id + i,
                1,
                first_id + i,
                1,
                f.ers,
                f.raw_ers,
                1.0,
                "",
                "{}",
                None,
                1,
                "2026-01-01",
                f.embedding.tobytes(),
            )
            for i, f in enumerate(faces)
        ]
        subjects = [
            (first_id + i, 1, f.subject_id, "", "{}", 1, "2026-01-01", "2026-01-01") for i, f in enumerate(faces)
        ]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO subjects VALUES (?,?,?,?,?,?,?,?)", subjects)
        self._connection.executemany("INSERT INTO faces VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", rows)
        self._connection.execute("COMMIT")

    def load(self) -> int:
        """Read what an index needs as arrays and return the number of rows."""
        cursor = self._connection.execute(
            "SELECT face_id, subject_key, ers, embedding FROM faces WHERE gallery_key = 1 ORDER BY face_id"
        )
        rows = 0
        while chunk := cursor.fetchmany(8192):
            ids, subjects, ers, packed = zip(*chunk, strict=True)
            arrays = np.array(ids), np.array(subjects), np.array(ers), np.frombuffer(b"".join(packed), dtype="<f4")
            rows += len(arrays[0])
        return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--url", help="another store than a new SQLite file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bare = BareTable(Path(folder, "bare.db"))
        with Store.open(arguments.url or f"sqlite:///{folder}/gallery.db") as store:
            _compare(store, bare, arguments.faces)


def _compare(store: Store, bare: BareTable, face_count: int) -> None:
    gallery, embeddings = prepare(store)
    enrolled, inserted = [], []
    for first_id in range(1, face_count, BATCH):
        faces = [NewFace(f"subject-{first_id + i}", row, 1.0, 0.9, 0.9) for i, row in enumerate(embeddings)]
        enrolled.append(seconds(partial(enroll, store, gallery, faces)))
        inserted.append(seconds(partial(bare.insert, first_id, faces)))
    _report("enrol, rows/s", BATCH, enrolled, inserted)
    rounds = [(seconds(lambda: load(store, gallery)), seconds(bare.load)) for _ in range(5)]
    _report("load, rows/s", face_count, *(list(side) for side in zip(*rounds, strict=True)))


def prepare(store: Store) -> tuple[GalleryRecord, NDArray[np.float32]]:
    """Make a gallery; return it with the rows of a batch (BATCH, DIMENSION) float32."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((BATCH + 1, DIMENSION))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = Profile(model="made", centroids=rows[:1], gamma=0.3, mean=None)
    profile = store.submit(lambda t: t.create_profile("made", made, description="", sha256="0")).result()
    gallery = store.submit(lambda t: t.create_gallery("g", GallerySettings(tau=0.4), profile.key)).result()
    return gallery, rows[1:].astype(np.float32)


def enroll(store: Store, gallery: GalleryRecord, faces: list[NewFace]) -> None:
    """Enrol faces and wait until they are durable."""
    counts = AcquisitionCounts(enrollment_attempts=len(faces))
    work = store.submit(
        lambda t: t.enroll(gallery.key, gallery.profile.key, NewFaces.of(faces), counts=counts, gate=0.3)
    )
    if not isinstance(work.result(), Enrolled):
        raise TypeError("an enrolment without a request id was taken for a repetition")


def load(store: Store, gallery: GalleryRecord) -> int:
    """Load all faces and return how many there are."""
    return sum(len(chunk.face_ids) for chunk in store.load_faces(gallery.key))


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _report(what: str, rows: int, ours: list[float], bare: list[float]) -> None:
    store, sqlite = rows / statistics.median(ours), rows / statistics.median(bare)
    print(f"{what}: store {store:,.0f}, bare sqlite3 {sqlite:,.0f}, ratio {store / sqlite:.2f}")


if __name__ == "__main__":
    main()
