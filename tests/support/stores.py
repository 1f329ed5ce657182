"""Stores to test with: on SQLite and PostgreSQL, and short ways to fill them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psycopg
import pytest
from ersgallery_index import Profile
from ersgallery_server.store import Enrolled, Replay, Store, WriteTransaction, migrate_database
from ersgallery_server.values import (
    AcquisitionCounts,
    GalleryRecord,
    GallerySettings,
    NewFace,
    NewFaces,
    ProfileVersion,
)
from numpy.typing import NDArray

from tests.support.postgres import postgres_database, postgres_server

DIMENSION = 16
GATE = 0.5
T = TypeVar("T")


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """Give the URI of a PostgreSQL server that lives as long as the tests."""
    with postgres_server() as uri:
        yield uri


@pytest.fixture(scope="session")
def migrated_postgres(postgres_uri: str) -> Iterator[str]:
    """Give the URI of a database with tables; a new one for each test would cost more than the tests."""
    with postgres_database(postgres_uri) as uri:
        migrate_database(uri)
        yield uri


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a SQLite file with tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "gallery.db"
    migrate_database(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database without tables of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    with postgres_database(request.getfixturevalue("postgres_uri")) as uri:
        yield uri


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database of each kind with empty tables."""
    if request.param == "sqlite":
        path = tmp_path / "gallery.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        return f"sqlite:///{path}"
    uri: str = request.getfixturevalue("migrated_postgres")
    empty_tables(uri)
    return uri


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """Give an open store on each kind of database."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def gallery(store: Store) -> GalleryRecord:
    """Give an empty gallery."""
    return create_gallery(store)


@dataclass(frozen=True, slots=True)
class Person:
    """A new face in short: whose it is and how recognizable."""

    subject_id: str
    ers: float = 0.9


def empty_tables(postgres_uri: str) -> None:
    """Take everything out of a PostgreSQL database with tables, as if it were new."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute("DELETE FROM galleries")
        connection.execute("DELETE FROM profiles")
        connection.execute("DELETE FROM sealing_keys")
        connection.execute("DELETE FROM tokens")
        connection.execute("UPDATE last_key SET key = 0")


def write(store: Store, work: Callable[[WriteTransaction], T]) -> T:
    """Do one piece of work and wait until it is durable."""
    return store.submit(work).result(timeout=60)


def unit_rows(count: int, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Return random unit rows (count, dimension) float32."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def make_profile(seed: int = 0, *, centroids: int = 1, mean: bool = False, dimension: int = DIMENSION) -> Profile:
    """Return a profile with random centroids."""
    rows = unit_rows(centroids + 1, seed, dimension).astype(np.float64)
    return Profile(model="made", centroids=rows[1:], gamma=0.3, mean=rows[0] / 10 if mean else None)


def create_profile(store: Store, profile_id: str = "made", seed: int = 0, **rest: Any) -> ProfileVersion:
    """Make a profile whose digest is its seed."""
    profile = make_profile(seed, **rest)
    return write(store, lambda t: t.create_profile(profile_id, profile, description="made up", sha256=f"{seed}"))


def create_gallery(store: Store, gallery_id: str = "people", **settings: Any) -> GalleryRecord:
    """Make a gallery, and the profile where there is none."""
    profile = create_profile(store)
    chosen = GallerySettings(**{"tau": 0.4, **settings})
    return write(store, lambda t: t.create_gallery(gallery_id, chosen, profile.key))


def new_faces(people: Sequence[Person | str], seed: int = 0, **rest: Any) -> list[NewFace]:
    """Return faces with random embeddings."""
    rows = unit_rows(len(people), seed)
    known = [Person(person) if isinstance(person, str) else person for person in people]
    return [
        NewFace(person.subject_id, row, 2.5, person.ers, person.ers + 0.01, **rest)
        for person, row in zip(known, rows, strict=True)
    ]


def enroll_within(
    transaction: WriteTransaction, gallery: GalleryRecord, faces: Sequence[NewFace], **rest: Any
) -> Enrolled | Replay:
    """Enrol under the gallery's profile, as one attempt per face."""
    arguments = {"counts": AcquisitionCounts(enrollment_attempts=len(faces)), "gate": GATE, **rest}
    return transaction.enroll(gallery.key, gallery.profile.key, NewFaces.of(faces), **arguments)


def enrolled_within(
    transaction: WriteTransaction, gallery: GalleryRecord, faces: Sequence[NewFace], **rest: Any
) -> Enrolled:
    """Enrol what was not enrolled before; raises TypeError for a repetition."""
    enrolled = enroll_within(transaction, gallery, faces, **rest)
    if not isinstance(enrolled, Enrolled):
        raise TypeError("the enrolment was taken for a repetition")
    return enrolled


def enroll(store: Store, gallery: GalleryRecord, *people: Person | str, seed: int = 0, **rest: Any) -> Enrolled:
    """Enrol one face for each of the people."""
    return write(store, lambda t: enrolled_within(t, gallery, new_faces(people, seed), **rest))


def stored_ids(store: Store, gallery: GalleryRecord, chunk_rows: int = 1000) -> list[int]:
    """Return the ids of all faces of a gallery in the order of loading."""
    return [face_id for chunk in store.load_faces(gallery.key, chunk_rows) for face_id in chunk.face_ids.tolist()]
