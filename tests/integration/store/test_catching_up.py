"""What changed after a revision is told completely, or said to be incomplete."""

import shutil
from pathlib import Path

import numpy as np
from ersgallery_server.store import GallerySince, Store
from ersgallery_server.values import GalleryRecord
from sqlalchemy import text

from tests.support.stores import create_gallery, enroll, write


def told(since: GallerySince) -> tuple[list[int], list[int], list[int]]:
    """Return the faces that went, those that came, and the subjects that either befell."""
    added = [face_id for chunk in since.added_faces(2) for face_id in chunk.face_ids.tolist()]
    return since.removed_ids.tolist(), added, since.touched_keys().tolist()


def run(store: Store, statement: str, **values: object) -> None:
    with store._engines.writing.begin() as connection:
        connection.execute(text(statement), values)


def test_faces_that_came_and_went_are_told_with_their_subjects(store: Store, gallery: GalleryRecord) -> None:
    before = enroll(store, gallery, "ann", "bob", "eve", "kim")
    ann, bob, eve, _ = before.subject_keys.tolist()
    write(store, lambda t: t.delete_face(gallery.key, "ann", int(before.face_ids[0])))
    write(store, lambda t: t.delete_subject(gallery.key, "bob"))
    after = enroll(store, gallery, "eve", "new", "new", seed=1)
    write(store, lambda t: t.delete_face(gallery.key, "new", int(after.face_ids[1])))
    with store.since(gallery.key, before.revision) as since:
        assert since.is_complete
        assert since.gallery.revision == before.revision + 4
        went, came, touched = told(since)
        new = int(after.subject_keys[1])
        members = {each.subject_key: len(each.media) for some in since.subjects(since.touched_keys()) for each in some}
    assert went == [*before.face_ids[:2].tolist(), after.face_ids[1]]
    assert came == [after.face_ids[0], after.face_ids[2]]
    assert touched == [ann, bob, eve, new]
    assert since.lost_keys.tolist() == [ann, bob, new]
    assert members == {eve: 2, new: 1}


def test_nothing_is_told_where_nothing_happened(store: Store, gallery: GalleryRecord) -> None:
    enrolled = enroll(store, gallery, "ann")
    with store.since(gallery.key, enrolled.revision) as since:
        assert told(since) == ([], [], [])
        assert since.is_complete
        assert since.mark == store.mark(gallery.key, enrolled.revision)


def test_other_galleries_are_not_told_of(store: Store, gallery: GalleryRecord) -> None:
    enrolled = enroll(store, gallery, "ann")
    write(store, lambda t: t.create_gallery("other", gallery.settings, gallery.profile.key))
    enroll(store, store.gallery("other"), "ann", seed=3)
    with store.since(gallery.key, enrolled.revision) as since:
        assert told(since) == ([], [], [])


def test_a_log_that_was_cut_is_said_to_be_incomplete(store: Store, gallery: GalleryRecord) -> None:
    first = enroll(store, gallery, "ann")
    enroll(store, gallery, "bob", seed=1)
    enroll(store, gallery, "eve", seed=2)
    run(store, "DELETE FROM changes WHERE revision = 2")
    with store.since(gallery.key, first.revision) as since:
        assert not since.is_complete
    with store.since(gallery.key, 2) as since:
        assert since.is_complete
        assert since.mark is None


def test_a_log_from_before_deletions_named_their_subject_is_said_to_be_incomplete(
    store: Store, gallery: GalleryRecord
) -> None:
    first = enroll(store, gallery, "ann", "bob")
    write(store, lambda t: t.delete_subject(gallery.key, "ann"))
    run(store, "UPDATE changes SET subject_key = NULL")
    with store.since(gallery.key, first.revision) as since:
        assert not since.is_complete


def test_a_gallery_that_is_behind_the_revision_is_said_to_be_incomplete(store: Store, gallery: GalleryRecord) -> None:
    enrolled = enroll(store, gallery, "ann")
    with store.since(gallery.key, enrolled.revision + 5) as since:
        assert not since.is_complete
        assert since.mark is None


def test_two_histories_have_other_marks_from_where_they_part(migrated_sqlite: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    shutil.copy(migrated_sqlite, one)
    with Store.open(f"sqlite:///{one}") as store:
        gallery = create_gallery(store)
        enroll(store, gallery, "ann")
    shutil.copy(one, two)
    marks = []
    for path in (one, two):
        with Store.open(f"sqlite:///{path}") as store:
            enroll(store, gallery, "bob", seed=1)
            marks.append([store.mark(gallery.key, revision) for revision in (1, 2)])
    assert marks[0][0] == marks[1][0]
    assert marks[0][1] != marks[1][1]
    assert np.all([mark is not None for pair in marks for mark in pair])
