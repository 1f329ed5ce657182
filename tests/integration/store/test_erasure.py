"""What is deleted cannot be found in the files of a SQLite database."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.store import DeletedGallery, Store
from ersgallery_server.values import GalleryRecord, NewFace

from tests.support.stores import create_gallery, create_profile, enroll_within, stored_ids, unit_rows, write

FACES = 90
DIMENSION = 512


@pytest.fixture
def path(migrated_sqlite: Path, tmp_path: Path) -> Path:
    path = tmp_path / "gallery.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return path


@pytest.fixture
def sqlite(path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{path}") as store:
        yield store


@pytest.fixture
def filled(sqlite: Store) -> GalleryRecord:
    """Give a gallery of faces with photographs, eight to a subject."""
    profile = create_profile(sqlite, "large", dimension=DIMENSION)
    gallery = create_gallery(sqlite)
    write(sqlite, lambda t: t.delete_gallery("people"))
    gallery = write(sqlite, lambda t: t.create_gallery("people", gallery.settings, profile.key))
    faces = [NewFace(f"s{i % 30}", row, 1.0, 0.9, 0.9, image=photograph(i)) for i, row in enumerate(embeddings())]
    write(sqlite, lambda t: enroll_within(t, gallery, faces))
    return gallery


def embeddings() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return unit_rows(FACES, 1, DIMENSION)


def photograph(number: int) -> bytes:
    return np.random.default_rng(1000 + number).bytes(800)


def on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("gallery.db*")))


def words_found(path: Path, numbers: list[int]) -> float:
    """Return which share of the 8-byte words of some embeddings and photographs is anywhere in the files."""
    held = on_disk(path)
    windows = [np.frombuffer(held[shift : len(held) - (len(held) - shift) % 8], dtype=np.uint64) for shift in range(8)]
    rows = embeddings()
    biometrics = b"".join(rows[number].tobytes() + photograph(number) for number in numbers)
    return float(np.isin(np.frombuffer(biometrics, dtype=np.uint64), np.concatenate(windows)).mean())


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen within a minute")
        time.sleep(0.02)


def delete_scattered(store: Store, gallery: GalleryRecord) -> list[int]:
    """Delete single faces here and there, and whole subjects; return the numbers of what is gone."""
    ids = stored_ids(store, gallery)
    single, subjects = range(0, FACES, 7), (4, 11)
    for number in single:
        write(store, lambda t, n=number: t.delete_face(gallery.key, f"s{n % 30}", ids[n]))  # type: ignore[misc] # bound now
    for subject in subjects:
        write(store, lambda t, s=subject: t.delete_subject(gallery.key, f"s{s}"))  # type: ignore[misc] # bound now
    return [number for number in range(FACES) if number in single or number % 30 in subjects]


def test_deleted_faces_are_gone_from_the_files_while_the_store_is_open(
    sqlite: Store, filled: GalleryRecord, path: Path
) -> None:
    assert words_found(path, list(range(FACES))) > 0.99, "they are there to begin with"
    gone = delete_scattered(sqlite, filled)
    wait_until(lambda: path.with_name("gallery.db-wal").stat().st_size == 0)
    assert words_found(path, gone) == 0
    kept = [number for number in range(FACES) if number not in gone]
    assert words_found(path, kept) > 0.99


def test_a_deleted_gallery_is_gone_from_the_files_after_the_store_was_closed(
    sqlite: Store, filled: GalleryRecord, path: Path
) -> None:
    assert write(sqlite, lambda t: t.delete_gallery("people")) == DeletedGallery(30, FACES, FACES)
    sqlite.close()
    assert words_found(path, list(range(FACES))) == 0


def test_a_reader_delays_the_erasure_and_no_write(sqlite: Store, filled: GalleryRecord, path: Path) -> None:
    with sqlite.snapshot(filled.key, 10) as snapshot:
        next(snapshot.chunks)
        gone = delete_scattered(sqlite, filled)
        assert words_found(path, gone) > 0, "the reader still needs them"
        assert sum(len(chunk.face_ids) for chunk in snapshot.chunks) == FACES - 10
    wait_until(lambda: path.with_name("gallery.db-wal").stat().st_size == 0)
    assert words_found(path, gone) == 0
