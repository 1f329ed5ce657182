"""A comparison with the other subjects holds until something comes that could resemble more."""

from dataclasses import replace

import pytest
from ersgallery_server.store import GalleryMoved, LowErsSubjects, Store
from ersgallery_server.values import DuplicateCheck, GalleryRecord, SubjectSearch

from tests.support.stores import Person, create_gallery, enroll, write


def compared(store: Store, gallery: GalleryRecord, person: str, at: int | None) -> int:
    """Enrol somebody who was compared at a revision; return the revision that this made."""
    return enroll(store, gallery, person, compared_at=at).revision


def test_who_was_not_compared_is_enrolled_only_where_nobody_is(store: Store, gallery: GalleryRecord) -> None:
    assert compared(store, gallery, "ann", None) == 1
    write(store, lambda t: t.update_gallery("people", lambda s: replace(s, duplicate_check=DuplicateCheck.WARN)))
    with pytest.raises(GalleryMoved):
        compared(store, gallery, "bob", None)
    assert store.gallery("people").revision == 2
    assert compared(store, gallery, "bob", 2) == 3
    write(store, lambda t: t.update_gallery("people", lambda s: replace(s, duplicate_check=DuplicateCheck.OFF)))
    assert compared(store, gallery, "cyd", 1) == 5


@pytest.mark.parametrize("search", SubjectSearch)
def test_only_deletions_leave_a_comparison_as_it_was(store: Store, search: SubjectSearch) -> None:
    gallery = create_gallery(store, duplicate_check=DuplicateCheck.REFUSE, subject_search=search)
    first = enroll(store, gallery, "ann", "ann", "bob", compared_at=0)
    with pytest.raises(GalleryMoved):
        compared(store, gallery, "cyd", 0)
    write(store, lambda t: t.delete_subject(gallery.key, "bob"))
    assert compared(store, gallery, "cyd", 1) == 3
    write(store, lambda t: t.delete_face(gallery.key, "ann", int(first.face_ids[0])))
    if search is SubjectSearch.TEMPLATE:  # which changed with its face
        with pytest.raises(GalleryMoved):
            compared(store, gallery, "dan", 3)
    else:
        assert compared(store, gallery, "dan", 3) == 5


def test_a_comparison_that_the_log_no_longer_reaches_is_made_again(store: Store) -> None:
    gallery = create_gallery(store, duplicate_check=DuplicateCheck.REFUSE)
    enroll(store, gallery, "ann", "bob", compared_at=0)
    write(store, lambda t: t.delete_subject(gallery.key, "ann"))
    write(store, lambda t: t.delete_subject(gallery.key, "bob"))
    write(store, lambda t: t.forget_changes(1))
    with pytest.raises(GalleryMoved):
        compared(store, gallery, "cyd", 1)
    assert compared(store, gallery, "cyd", 2) == 4


def test_subjects_with_low_ers_are_listed_by_their_faces(store: Store, gallery: GalleryRecord) -> None:
    enroll(
        store, gallery, Person("ann", 0.2), Person("ann", 0.4), Person("bob", 0.5), Person("bob", 0.1), Person("cyd")
    )
    enroll(store, gallery, Person("cyd"))
    found = store.low_ers_subjects(gallery.key, 0.5, LowErsSubjects.BOTH, 10)
    told = [(s.subject_id, s.best_ers, s.faces, s.recognizable_faces, s.findable) for s in found.page.items]
    assert told == [("ann", 0.4, 2, 0, False), ("bob", 0.5, 2, 1, True)]
    assert (found.unfindable, found.one_face) == (1, 1)
    by_mean = store.low_ers_subjects(gallery.key, 0.5, LowErsSubjects.UNFINDABLE, 10, by_mean=True)
    assert [s.subject_id for s in by_mean.page.items] == ["ann", "bob"]
    assert store.low_ers_subjects(gallery.key + 1, 0.5, LowErsSubjects.BOTH, 10).page.items == ()
