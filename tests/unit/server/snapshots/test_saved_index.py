"""The files of a gallery: one takes the place of the other whole, and deletions reach both."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import IndexRows
from ersgallery_server.snapshots import Header, Origin, RowFile, SavedIndex, SnapshotFolder
from numpy.typing import NDArray

from tests.support.stores import unit_rows

DIMENSION = 5
IDS = np.arange(1, 7)
VECTORS = unit_rows(6, 1, DIMENSION)
ORIGIN = Origin("1.0", 2, "", 1, "ab", DIMENSION, "BEST_FACE False")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[SnapshotFolder]:
    folder = SnapshotFolder(tmp_path / "snapshots")
    yield folder
    folder.close()


@pytest.fixture
def saved(folder: SnapshotFolder) -> SavedIndex:
    return folder.saved_index(2)


def begin(saved: SavedIndex, revision: int) -> RowFile:
    file = saved.begin(revision, DIMENSION)
    assert file is not None
    file.append(IndexRows(IDS, IDS, np.ones(6), VECTORS))
    return file


def finish(saved: SavedIndex, file: RowFile) -> bool:
    return saved.finish(file, Header(ORIGIN, file.revision, "mark", 1000, file.rows))


def erase(saved: SavedIndex, revision: int, *ids: int) -> None:
    done: Future[None] = Future()
    saved.erase(revision, np.array(ids), done)
    done.result(timeout=60)


def held(path: Path) -> list[int]:
    """Return whose vectors are anywhere in the folder of a file."""
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    return [face_id for face_id, vector in zip(IDS.tolist(), VECTORS, strict=True) if vector.tobytes() in content]


def living(path: Path) -> NDArray[np.int64]:
    file, _ = RowFile.open(path)
    block = file.read(0)
    file.close()
    return block.living.face_ids


def test_the_former_file_stays_until_the_new_one_is_whole(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    second = begin(saved, 5)
    assert RowFile.open(saved.path)[1].revision == 1
    assert finish(saved, second)
    assert RowFile.open(saved.path)[1].revision == 5
    assert [file.name for file in saved.path.parent.iterdir()] == ["2.snapshot"]


def test_a_deletion_is_erased_in_the_complete_and_in_the_growing_file(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    second = begin(saved, 2)
    erase(saved, 3, 2, 5)
    assert held(saved.path) == [1, 3, 4, 6]
    assert finish(saved, second)
    assert living(saved.path).tolist() == [1, 3, 4, 6]


def test_a_file_that_was_begun_after_a_deletion_keeps_what_has_the_same_id(saved: SavedIndex) -> None:
    file = begin(saved, 3)
    erase(saved, 3, 2)  # a template has its subject's id, and may be there anew
    assert finish(saved, file)
    assert living(saved.path).tolist() == IDS.tolist()


def test_where_there_is_no_file_there_is_nothing_to_wait_for(saved: SavedIndex) -> None:
    done: Future[None] = Future()
    saved.erase(3, np.array([1]), done)
    assert done.done()


def test_deletions_are_erased_while_the_server_stops(saved: SavedIndex, folder: SnapshotFolder) -> None:
    assert finish(saved, begin(saved, 1))
    folder.close()
    erase(saved, 2, 4)
    assert held(saved.path) == [1, 2, 3, 5, 6]


def test_a_file_that_cannot_be_erased_in_is_removed(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    with saved.path.open("r+b") as other:
        other.seek(-3, 2)
        other.write(b"\xff")
    erase(saved, 2, 4)
    assert list(saved.path.parent.iterdir()) == []
    assert (saved.rows, saved.changed_faces) == (0, 6), "all are to be saved again"


def test_what_was_dropped_while_it_grew_is_not_put_in_place(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    second = begin(saved, 2)
    saved.drop()
    assert not second.append(IndexRows(IDS + 10, IDS, np.ones(6), VECTORS))
    assert not finish(saved, second)
    saved.abandon(second)
    assert list(saved.path.parent.iterdir()) == []


def test_an_abandoned_file_is_gone_and_the_former_stays(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    saved.abandon(begin(saved, 2))
    assert [file.name for file in saved.path.parent.iterdir()] == ["2.snapshot"]


def test_the_files_of_a_deleted_gallery_are_gone_and_none_is_begun_any_more(saved: SavedIndex) -> None:
    assert finish(saved, begin(saved, 1))
    begin(saved, 2)
    saved.close(drop=True)
    assert list(saved.path.parent.iterdir()) == []
    assert saved.begin(3, DIMENSION) is None


def test_changes_are_counted_from_the_beginning_of_the_last_file(saved: SavedIndex) -> None:
    saved.note_changes(6)
    file = begin(saved, 1)
    saved.note_changes(2)
    assert (saved.rows, saved.changed_faces) == (0, 8)
    finish(saved, file)
    assert (saved.rows, saved.changed_faces) == (6, 2)


def test_what_no_gallery_needs_is_swept_away(folder: SnapshotFolder, saved: SavedIndex) -> None:
    finish(saved, begin(saved, 1))
    for name in ("3.snapshot", "2.growing", "notes.txt"):
        (saved.path.parent / name).write_text("left over")
    folder.sweep([2])
    assert sorted(file.name for file in saved.path.parent.iterdir()) == ["2.snapshot", "notes.txt"]
