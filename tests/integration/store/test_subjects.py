"""Subjects: made, changed, counted, listed and deleted."""

import datetime as dt

import pytest
from ersgallery_server.store import (
    ChangeKind,
    PageKeyInvalid,
    Store,
    SubjectExists,
    SubjectNotFound,
    VersionMismatch,
)
from ersgallery_server.values import GalleryRecord, SubjectRecord

from tests.support.stores import GATE, Person, create_gallery, enroll, stored_ids, write

ODD = {"key": "a\0b", "Ü": "\U0001f600 'x' \" \\ %s :name", "": ""}


def test_a_subject_comes_back_as_it_was_made(store: Store, gallery: GalleryRecord) -> None:
    made = write(store, lambda t: t.create_subject(gallery.key, "Ada:1 %(x)s", display_name="Ada", metadata=ODD))
    assert made == store.subject(gallery.key, "Ada:1 %(x)s", GATE)
    assert (made.display_name, made.metadata, made.version, made.face_count) == ("Ada", ODD, 1, 0)
    assert made.create_time.tzinfo is dt.UTC
    assert store.gallery("people").revision == 0, "no answer depends on a subject without faces"


def test_a_subject_gets_an_id_where_none_is_given(store: Store, gallery: GalleryRecord) -> None:
    first, second = (write(store, lambda t: t.create_subject(gallery.key)) for _ in range(2))
    assert first.subject_id != second.subject_id
    assert store.subject(gallery.key, first.subject_id, GATE) == first


def test_a_subject_is_made_once_in_a_gallery(store: Store, gallery: GalleryRecord) -> None:
    other = create_gallery(store, "others")
    enroll(store, gallery, "a")
    with pytest.raises(SubjectExists, match="'a'"):
        write(store, lambda t: t.create_subject(gallery.key, "a"))
    assert write(store, lambda t: t.create_subject(other.key, "a")).subject_id == "a"


def test_an_update_changes_what_is_given_and_the_version(store: Store, gallery: GalleryRecord) -> None:
    made = write(store, lambda t: t.create_subject(gallery.key, "a", display_name="A", metadata={"k": "v"}))
    enroll(store, gallery, Person("a", 0.9), Person("a", 0.1))
    named = write(store, lambda t: t.update_subject(gallery.key, "a", gate=GATE, display_name="B", expected_version=1))
    assert (named.display_name, named.metadata, named.version) == ("B", {"k": "v"}, 2)
    assert (named.face_count, named.searchable_face_count) == (2, 1)
    assert named.update_time > made.update_time
    emptied = write(store, lambda t: t.update_subject(gallery.key, "a", gate=GATE, metadata={}))
    assert (emptied.display_name, emptied.metadata, emptied.version) == ("B", {}, 3)


def test_an_update_of_another_version_changes_nothing(store: Store, gallery: GalleryRecord) -> None:
    made = write(store, lambda t: t.create_subject(gallery.key, "a"))
    with pytest.raises(VersionMismatch):
        write(store, lambda t: t.update_subject(gallery.key, "a", gate=GATE, display_name="B", expected_version=2))
    assert store.subject(gallery.key, "a", GATE) == made


def test_a_subject_that_is_not_there_is_named(store: Store, gallery: GalleryRecord) -> None:
    enroll(store, create_gallery(store, "others"), "a")
    with pytest.raises(SubjectNotFound, match="'a'"):
        store.subject(gallery.key, "a", GATE)
    with pytest.raises(SubjectNotFound):
        store.list_faces(gallery.key, "a", 10)
    with pytest.raises(SubjectNotFound):
        write(store, lambda t: t.update_subject(gallery.key, "a", gate=GATE))
    with pytest.raises(SubjectNotFound):
        write(store, lambda t: t.delete_subject(gallery.key, "a"))


def test_a_deleted_subject_takes_its_faces_along(store: Store, gallery: GalleryRecord) -> None:
    enrolled = enroll(store, gallery, "a", "b", "a")
    first, other, second = enrolled.face_ids.tolist()
    deleted = write(store, lambda t: t.delete_subject(gallery.key, "a"))
    assert (deleted.revision, deleted.face_ids.tolist()) == (2, [first, second])
    assert deleted.subject_key == enrolled.subject_keys[0]
    assert stored_ids(store, gallery) == [other]
    change = store.changes(gallery.key, 1)[0]
    assert (change.kind, change.removed_face_ids.tolist()) == (ChangeKind.DELETE_SUBJECT, [first, second])


def test_a_subject_made_again_has_another_key(store: Store, gallery: GalleryRecord) -> None:
    first = write(store, lambda t: t.create_subject(gallery.key, "a"))
    assert write(store, lambda t: t.delete_subject(gallery.key, "a")).face_ids.tolist() == []
    assert write(store, lambda t: t.create_subject(gallery.key, "a")).key > first.key


def test_subjects_are_listed_by_code_point_with_their_counts(store: Store, gallery: GalleryRecord) -> None:
    names = ["b", "B", "a b", "ab", "ä", "a-b", "\U0001f600", "0"]
    enroll(store, gallery, *(Person(name, ers) for name in names for ers in (0.9, 0.2)))
    enroll(store, create_gallery(store, "others"), "c")
    listed: list[SubjectRecord] = []
    after = None
    while True:
        page = store.list_subjects(gallery.key, GATE, 3, after)
        listed += page.items
        if (after := page.next_key) is None:
            break
    assert [subject.subject_id for subject in listed] == sorted(names)
    assert {(subject.face_count, subject.searchable_face_count) for subject in listed} == {(2, 1)}
    assert store.subject_ids(gallery.key) == {subject.key: subject.subject_id for subject in listed}
    with pytest.raises(PageKeyInvalid):
        store.list_subjects(gallery.key, GATE, 3, "\0")
