"""Compares what a store says with what it should hold."""

import math

import numpy as np
from ersgallery_index import IndexRows
from ersgallery_server.store import PooledSubjects, Store, TemplateRecipe, TouchedSubjects
from ersgallery_server.values import GalleryRecord, SubjectSearch

from tests.support.store_model import ModelGallery
from tests.support.stores import GATE


class Pooled:
    """Makes no templates, but remembers what they would be made of: the faces of the subjects by the transaction."""

    def __init__(self) -> None:
        self.touched: TouchedSubjects | None = None
        self.faces: list[tuple[tuple[str, ...], list[bytes], int]] = []

    def __call__(self, touched: TouchedSubjects) -> PooledSubjects:
        found = touched.faces(touched.subject_keys)
        assert [each.subject_key for each in found] == list(touched.subject_keys)
        for each in found:
            later = touched.later_faces(each.subject_key, 0)
            assert (later.media, later.embeddings.tobytes()) == (each.media, each.embeddings.tobytes())
        self.touched = touched
        self.faces = [(each.media, [row.tobytes() for row in each.embeddings], each.last_face_id) for each in found]
        none = np.empty(0, np.int64)
        rows = IndexRows(none, none, np.empty(0), np.empty((0, touched.dimension), np.float32))
        return PooledSubjects(touched.recipe, none, rows)

    def check(self, gallery: ModelGallery, subjects: set[str], *, counted: bool) -> None:
        """Compare with the model, which has just done the same."""
        if not subjects or gallery.settings.subject_search is not SubjectSearch.TEMPLATE:
            assert self.touched is None
            return
        assert self.touched is not None
        assert self.touched.recipe == TemplateRecipe.of(gallery.profile_key, gallery.settings)
        own = [[gallery.faces[face_id] for face_id in gallery.face_ids(subject)] for subject in subjects]
        wanted = [
            (
                tuple(each.face.media_id for each in faces),
                [each.face.embedding.tobytes() for each in faces],
                max(gallery.face_ids(faces[0].subject_id)) if faces else 0,
            )
            for faces in own
        ]
        assert sorted(self.faces) == sorted(wanted)
        counts = sorted(self.touched.face_counts.values())
        assert counts == (sorted(map(len, own)) if counted else [])


def compare_gallery(store: Store, record: GalleryRecord, gallery: ModelGallery) -> None:
    """Compare all that a store says of a gallery with the model."""
    assert (record.settings, record.profile.key) == (gallery.settings, gallery.profile_key)
    assert (record.revision, record.version, record.counts) == (gallery.revision, gallery.version, gallery.counts)
    totals = store.totals(record.key, GATE)
    assert (totals.subjects, totals.faces) == (len(gallery.subjects), len(gallery.faces))
    assert totals.searchable_faces == gallery.searchable(GATE)
    for request_id in ("r", "q"):
        stored = store.find_request(record.key, request_id)
        assert (stored and (stored.fingerprint, stored.revision)) == gallery.requests.get(request_id)
    assert [
        (change.revision, change.kind, list(change.added_face_ids), change.removed_face_ids.tolist())
        for change in store.changes(record.key, 0)
    ] == gallery.changes
    compare_subjects(store, record, gallery)
    compare_faces(store, record, gallery)
    compare_sets(store, record, gallery)


def compare_subjects(store: Store, record: GalleryRecord, gallery: ModelGallery) -> None:
    """Compare the subjects and what is counted of their faces."""
    page = store.list_subjects(record.key, GATE, 10)
    assert [subject.subject_id for subject in page.items] == sorted(gallery.subjects)
    for subject in page.items:
        model = gallery.subjects[subject.subject_id]
        assert (subject.display_name, subject.metadata) == (model.display_name, model.metadata)
        assert subject.version == model.version
        assert subject.face_count == len(gallery.face_ids(subject.subject_id))
        assert subject.searchable_face_count == gallery.searchable(GATE, subject.subject_id)
        ers = [gallery.faces[face_id].ers for face_id in gallery.face_ids(subject.subject_id)]
        assert subject.template_ers == (math.fsum(ers) / len(ers) if ers else 0.0)


def compare_faces(store: Store, record: GalleryRecord, gallery: ModelGallery) -> None:
    """Compare the faces as they are loaded, and as they are listed."""
    names = store.subject_ids(record.key)
    loaded = [
        (face_id, names[subject_key], ers, embedding.tobytes())
        for chunk in store.load_faces(record.key, 3)
        for face_id, subject_key, ers, embedding in zip(
            chunk.face_ids.tolist(), chunk.subject_keys.tolist(), chunk.ers.tolist(), chunk.embeddings, strict=True
        )
    ]
    assert loaded == [
        (face_id, face.subject_id, face.ers, face.face.embedding.tobytes())
        for face_id, face in sorted(gallery.faces.items())
    ]
    for face in store.list_faces(record.key, None, 1000).items:
        model = gallery.faces[face.face_id]
        assert (face.subject_id, face.ers, face.version) == (model.subject_id, model.ers, model.version)
        assert (face.metadata, face.media_id) == (model.metadata, model.face.media_id)
        assert face.has_image == (model.face.image is not None)


def compare_sets(store: Store, record: GalleryRecord, gallery: ModelGallery) -> None:
    """Compare the faces subject by subject, as templates are made of them."""
    names = store.subject_ids(record.key)
    with store.snapshot(record.key) as snapshot:
        found = {names[each.subject_key]: each for part in snapshot.subjects for each in part}
    assert set(found) == {face.subject_id for face in gallery.faces.values()}
    for subject_id, each in found.items():
        faces = [gallery.faces[face_id].face for face_id in gallery.face_ids(subject_id)]
        assert each.media == tuple(face.media_id for face in faces)
        assert each.embeddings.tobytes() == b"".join(face.embedding.tobytes() for face in faces)
