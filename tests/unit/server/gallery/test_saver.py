"""When a snapshot is due: enough changed and changes come slowly, or as much changed as it has."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ersgallery_index import IndexRows
from ersgallery_server.gallery import saver as saver_module
from ersgallery_server.gallery.saver import SnapshotSaver
from ersgallery_server.gallery.saving import Pause
from ersgallery_server.snapshots import Header, Origin, SavedIndex, SnapshotFolder

from tests.support.stores import unit_rows

LEAST = 10


class SmallGallery:
    """Stands for a gallery: it saves a snapshot of as many rows as it is told."""

    def __init__(self, saved: SavedIndex, rows: int) -> None:
        self.saved = saved
        self.rows = rows
        self.saves = 0

    def save(self, pause: Pause) -> bool:
        if pause(0.0):
            return False
        self.saves += 1
        file = self.saved.begin(1, 4)
        assert file is not None
        ids = np.arange(self.rows)
        file.append(IndexRows(ids, ids, np.ones(self.rows), unit_rows(self.rows, 0, 4)))
        return self.saved.finish(file, Header(Origin("", 1, "", 1, "", 4, ""), 1, "", 10_000, self.rows))


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[SmallGallery]:
    folder = SnapshotFolder(tmp_path)
    yield SmallGallery(folder.saved_index(1), 1000)
    folder.close()


@pytest.fixture
def saver(gallery: SmallGallery, monkeypatch: pytest.MonkeyPatch) -> Iterator[SnapshotSaver]:
    """Give a saver whose thread sleeps: the tests ask what it would find."""
    monkeypatch.setattr(saver_module, "TICK_S", 3600.0)
    made = SnapshotSaver(lambda: [gallery], LEAST)
    yield made
    made.stop()


def is_due(saver: SnapshotSaver, gallery: SmallGallery, since_last_tick: int) -> bool:
    saver._seen = {gallery.saved: gallery.saved.changed_faces - since_last_tick}
    return saver._is_due(gallery.saved)


def test_a_gallery_without_a_snapshot_gets_one_once_it_has_enough_faces(
    saver: SnapshotSaver, gallery: SmallGallery
) -> None:
    gallery.saved.note_changes(LEAST - 1)
    assert not is_due(saver, gallery, 0)
    gallery.saved.note_changes(1)
    assert is_due(saver, gallery, LEAST), "there is none that would be written anew in vain"


def test_a_tenth_must_change_and_changes_come_slowly(saver: SnapshotSaver, gallery: SmallGallery) -> None:
    assert gallery.save(lambda _: False)
    gallery.saved.note_changes(99)
    assert not is_due(saver, gallery, 0)
    gallery.saved.note_changes(1)
    assert is_due(saver, gallery, 5)
    assert not is_due(saver, gallery, 6), "a bulk enrolment is under way"


def test_a_bulk_enrolment_makes_a_snapshot_due_when_it_doubles_the_gallery(
    saver: SnapshotSaver, gallery: SmallGallery
) -> None:
    assert gallery.save(lambda _: False)
    gallery.saved.note_changes(999)
    assert not is_due(saver, gallery, 500)
    gallery.saved.note_changes(1)
    assert is_due(saver, gallery, 500)


def test_at_the_end_a_hundredth_suffices_and_the_deadline_holds(saver: SnapshotSaver, gallery: SmallGallery) -> None:
    assert gallery.save(lambda _: False)
    saver.stop()
    gallery.saved.note_changes(LEAST - 1)
    saver.save_rest(float("inf"))
    assert gallery.saves == 1, "too little changed"
    gallery.saved.note_changes(1)
    saver.save_rest(0.0)
    assert gallery.saves == 1, "there was no time"
    saver.save_rest(float("inf"))
    assert gallery.saves == 2
    assert gallery.saved.changed_faces == 0
