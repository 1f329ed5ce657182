"""What is deleted is nowhere below the data directory when the deletion is answered, and the receipt says so."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from numpy.typing import NDArray

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.requests import DIMENSION, MODEL, enroll, item, matrix
from tests.support.server import RunningServer, running_server, settings
from tests.support.stores import unit_rows

Erasure = gallery_pb2.Erasure
BEST_FACE = gallery_pb2.SUBJECT_SEARCH_BEST_FACE
FACES = 60
SUBJECTS = 20
RAW = unit_rows(FACES, 11, DIMENSION) * np.float32(3)
MEAN = unit_rows(1, 12, DIMENSION)[0] / 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Give a server whose galleries are saved as soon as anything changes."""
    with running_server(settings(tmp_path, snapshot_changed_faces=1)) as running:
        yield running


def names(number: int) -> tuple[str, str]:
    """Return the subject id and the display name of a face's subject, the same for every face of it."""
    rng = np.random.default_rng(number % SUBJECTS)
    return f"subject-{rng.integers(10**12)}", f"Zoë {rng.integers(10**12)}"


def fill(server: RunningServer, folder: Path, search: gallery_pb2.SubjectSearch.ValueType = BEST_FACE) -> str:
    """Make a gallery of all faces, and wait until it is saved; return its name."""
    profile = recognizability.Profile(
        model=MODEL,
        centroids=matrix(unit_rows(1, 13, DIMENSION)),
        gamma=0.1,
        mean=face.Embedding(packed=MEAN.tobytes()),
    )
    request = recognizability.CreateProfileRequest(profile_id="shifted", profile=profile)
    name = server.recognizability.CreateProfile(request).profile.name
    gallery = gallery_pb2.Gallery(profile=name, tau=0.5, subject_search=search)
    server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="people", gallery=gallery))
    items = [item(names(i)[0], RAW[i], subject_display_name=names(i)[1]) for i in range(FACES)]
    assert enroll(server, "people", *items).revision == 1
    wait_until(lambda: any((folder / "data" / "snapshots").glob("*.snapshot")))
    return "galleries/people"


def wait_until(happened: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def stored() -> NDArray[np.float32]:
    """Return what the database holds of each face."""
    exact = RAW.astype(np.float64)
    rows: NDArray[np.float32] = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)
    return rows


def derived() -> NDArray[np.float32]:
    """Return what the index and the snapshots hold of each face."""
    shifted = stored().astype(np.float64) - MEAN
    rows: NDArray[np.float32] = (shifted / np.linalg.norm(shifted, axis=1, keepdims=True)).astype(np.float32)
    return rows


def on_disk(folder: Path) -> bytes:
    files = [path for path in sorted((folder / "data").rglob("*")) if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    return b"".join(path.read_bytes() for path in files)


def traces(folder: Path, numbers: list[int]) -> list[str]:
    """Return what of some faces is anywhere below the data directory, even a part of it."""
    held = on_disk(folder)
    found: list[str] = []
    for i in numbers:
        secrets = {"unit": stored()[i].tobytes(), "raw": RAW[i].tobytes(), "derived": derived()[i].tobytes()}
        found += [
            f"{kind} {i}" for kind, row in secrets.items() if any(row[o : o + 8] in held for o in range(0, len(row), 8))
        ]
        found += [name for name in names(i) if name.encode() in held]
    return found


def test_a_deleted_subject_is_nowhere_when_the_receipt_comes(server: RunningServer, tmp_path: Path) -> None:
    gallery = fill(server, tmp_path)
    gone = [i for i in range(FACES) if i % SUBJECTS in {3, 4}]
    assert len(traces(tmp_path, gone)) == len(gone) * 4, "unit and derived rows and both names are there to begin with"
    for i in gone[:2]:
        request = galleries.DeleteSubjectRequest(name=f"{gallery}/subjects/{names(i)[0]}")
        receipt = server.galleries.DeleteSubject(request).erasure
        assert (receipt.deleted_subjects, receipt.deleted_faces, receipt.deleted_images) == (1, 3, 0)
        assert receipt.database == Erasure.DATABASE_ERASED
        assert receipt.HasField("names_kept_until_time")
    assert traces(tmp_path, gone) == []
    assert len(traces(tmp_path, [0])) == 4


def test_a_deleted_face_is_nowhere_and_its_template_is_made_anew(server: RunningServer, tmp_path: Path) -> None:
    gallery = fill(server, tmp_path, gallery_pb2.SUBJECT_SEARCH_TEMPLATE)
    subject = f"{gallery}/subjects/{names(5)[0]}"
    faces = server.galleries.ListFaces(galleries.ListFacesRequest(parent=subject)).faces
    receipt = server.galleries.DeleteFace(galleries.DeleteFaceRequest(name=faces[0].name)).erasure
    assert (receipt.deleted_faces, receipt.recomputed_templates, receipt.database) == (1, 1, Erasure.DATABASE_ERASED)
    assert [trace for trace in traces(tmp_path, [5]) if trace.startswith("unit")] == []
    assert any(trace.startswith("unit") for trace in traces(tmp_path, [5 + SUBJECTS]))


def test_a_deleted_gallery_is_nowhere(server: RunningServer, tmp_path: Path) -> None:
    gallery = fill(server, tmp_path)
    receipt = server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=gallery)).erasure
    assert (receipt.deleted_subjects, receipt.deleted_faces) == (SUBJECTS, FACES)
    assert receipt.database == Erasure.DATABASE_ERASED
    assert not receipt.HasField("names_kept_until_time")
    assert traces(tmp_path, list(range(FACES))) == []


def test_a_receipt_says_pending_while_a_reader_needs_the_log(server: RunningServer, tmp_path: Path) -> None:
    gallery = fill(server, tmp_path)
    store = server.service._store
    key = store.gallery("people").key
    request = galleries.DeleteSubjectRequest(name=f"{gallery}/subjects/{names(7)[0]}")
    with store.snapshot(key, 10) as reading:
        next(reading.chunks)
        assert server.galleries.DeleteSubject(request).erasure.database == Erasure.DATABASE_PENDING
        assert any(trace.startswith("unit") for trace in traces(tmp_path, [7])), "the reader still needs it"
        assert sum(len(chunk.face_ids) for chunk in reading.chunks) == FACES - 10
    wait_until(lambda: (tmp_path / "data" / "gallery.db-wal").stat().st_size == 0)
    assert traces(tmp_path, [7]) == []


@pytest.mark.real_faces
def test_a_deleted_photograph_is_nowhere(tmp_path: Path) -> None:
    photographs = [next(folder.iterdir()).read_bytes() for folder in sorted((lfw_dir() / "lfw_small").iterdir())[:3]]
    with running_server(settings(tmp_path, installed_models_dir(), snapshot_changed_faces=1)) as server:
        gallery = gallery_pb2.Gallery(profile="profiles/sface", tau=0.4, store_images=True)
        server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="people", gallery=gallery))
        items = [
            enrollment.Enrollment(subject_id=f"s{i}", image=face.Image(content=content))
            for i, content in enumerate(photographs)
        ]
        enroll(server, "people", *items)
        parts = [photographs[1][start : start + 64] for start in range(0, len(photographs[1]) - 64, 64)]
        before = on_disk(tmp_path)
        assert sum(part in before for part in parts) > 0.9 * len(parts), "it is there to begin with"
        request = galleries.DeleteSubjectRequest(name="galleries/people/subjects/s1")
        receipt = server.galleries.DeleteSubject(request).erasure
        assert (receipt.deleted_images, receipt.database) == (1, Erasure.DATABASE_ERASED)
        after = on_disk(tmp_path)
        others = photographs[0] + photographs[2]
        assert [part for part in parts if part in after and part not in others] == []
