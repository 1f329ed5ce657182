"""Faces: what is stored of them, lists, photographs and deletion."""

import pytest
from ersgallery_server.store import ChangeKind, FaceNotFound, PageKeyInvalid, Store, VersionMismatch
from ersgallery_server.values import FaceBox, GalleryRecord

from tests.support.stores import create_gallery, enroll, enrolled_within, new_faces, stored_ids, write

BOX = FaceBox(x_px=1.5, y_px=-2.0, width_px=30.25, height_px=1e-3, detector_score=0.1 + 0.2, face_count=3)


def test_a_face_comes_back_as_it_was_enrolled(store: Store, gallery: GalleryRecord) -> None:
    (face,) = new_faces(["a"], media_id="video 1", metadata={"k": "\0"}, box=BOX, image=b"\x89PNG\0")
    enrolled = write(store, lambda t: enrolled_within(t, gallery, [face]))
    record = store.face(gallery.key, "a", enrolled.face_ids.item())
    assert (record.ers, record.raw_ers, record.embedding_norm) == (face.ers, face.raw_ers, face.embedding_norm)
    assert (record.media_id, record.metadata, record.box) == ("video 1", {"k": "\0"}, BOX)
    assert (record.has_image, record.version, record.subject_id) == (True, 1, "a")
    assert store.face_image(gallery.key, "a", record.face_id) == b"\x89PNG\0"


def test_a_face_without_photograph_says_so(store: Store, gallery: GalleryRecord) -> None:
    (face_id,) = enroll(store, gallery, "a").face_ids.tolist()
    record = store.face(gallery.key, "a", face_id)
    assert (record.has_image, record.box, record.media_id, record.metadata) == (False, None, "", {})
    assert store.face_image(gallery.key, "a", face_id) is None


def test_a_face_is_found_under_its_own_subject_and_gallery_alone(store: Store, gallery: GalleryRecord) -> None:
    first, _ = enroll(store, gallery, "a", "b").face_ids.tolist()
    other = create_gallery(store, "others")
    enroll(store, other, "a")
    for key, subject_id, face_id in ((gallery.key, "b", first), (other.key, "a", first), (gallery.key, "a", 1 << 80)):
        with pytest.raises(FaceNotFound):
            store.face(key, subject_id, face_id)
        with pytest.raises(FaceNotFound):
            store.face_image(key, subject_id, face_id)
        with pytest.raises(FaceNotFound):
            write(store, lambda t, k=key, s=subject_id, f=face_id: t.delete_face(k, s, f))  # type: ignore[misc] # bound now
        with pytest.raises(FaceNotFound):
            write(store, lambda t, k=key, s=subject_id, f=face_id: t.update_face(k, s, f))  # type: ignore[misc] # bound now
    assert store.face(gallery.key, "a", first).face_id == first


def test_a_deleted_face_is_gone_and_logged(store: Store, gallery: GalleryRecord) -> None:
    first, second = enroll(store, gallery, "a", "a").face_ids.tolist()
    assert write(store, lambda t: t.delete_face(gallery.key, "a", first)).revision == 2
    with pytest.raises(FaceNotFound):
        store.face(gallery.key, "a", first)
    assert stored_ids(store, gallery) == [second]
    assert store.subject(gallery.key, "a", 0.0).face_count == 1
    change = store.changes(gallery.key, 1)[0]
    assert (change.kind, change.removed_face_ids.tolist()) == (ChangeKind.DELETE_FACE, [first])


def test_an_update_changes_the_metadata_alone(store: Store, gallery: GalleryRecord) -> None:
    (face_id,) = enroll(store, gallery, "a").face_ids.tolist()
    before = store.face(gallery.key, "a", face_id)
    after = write(store, lambda t: t.update_face(gallery.key, "a", face_id, metadata={"x": "y"}, expected_version=1))
    assert (after.metadata, after.version, after.ers) == ({"x": "y"}, 2, before.ers)
    with pytest.raises(VersionMismatch):
        write(store, lambda t: t.update_face(gallery.key, "a", face_id, metadata={}, expected_version=1))
    assert store.face(gallery.key, "a", face_id) == after
    assert store.gallery("people").revision == 1


def test_faces_are_listed_in_the_order_of_enrolment(store: Store, gallery: GalleryRecord) -> None:
    ids = enroll(store, gallery, "b", "a", "b", "a", "b").face_ids.tolist()
    enroll(store, create_gallery(store, "others"), "a")
    first = store.list_faces(gallery.key, None, 2)
    second = store.list_faces(gallery.key, None, 3, first.next_key)
    assert [face.face_id for face in (*first.items, *second.items)] == ids
    assert second.next_key is None
    of_a = store.list_faces(gallery.key, "a", 1)
    assert [face.face_id for face in of_a.items] == [ids[1]]
    assert [face.face_id for face in store.list_faces(gallery.key, "a", 9, of_a.next_key).items] == [ids[3]]


@pytest.mark.parametrize("key", ["", "x", "-1", "1.5", "²", "9" * 19, "1" * 40])
def test_a_made_up_page_key_is_refused(store: Store, gallery: GalleryRecord, key: str) -> None:
    with pytest.raises(PageKeyInvalid):
        store.list_faces(gallery.key, None, 5, key)
