"""What an index holds of stored faces: rows of faces, or rows of subjects."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import Derivation, Profile, Weighting
from ersgallery_server.gallery.contents import face_rows, template_rows
from ersgallery_server.gallery.state import IndexPlace, change_templates, new_index, state_of
from ersgallery_server.store import PooledSubjects, TemplateRecipe
from ersgallery_server.values import (
    AcquisitionCounts,
    GalleryRecord,
    GallerySettings,
    ProfileVersion,
    StoredFaces,
    SubjectFaces,
    SubjectSearch,
)

AXES = np.eye(4, dtype=np.float32)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PROFILE = Profile(model="made", centroids=AXES[:1].astype(np.float64), gamma=0.3)
UNIFORM = GallerySettings(tau=0.4, subject_search=SubjectSearch.TEMPLATE, template_weighting=Weighting.UNIFORM)


def subject(key: int, *vectors: np.ndarray) -> SubjectFaces:
    rows = np.array(vectors, np.float32).reshape(len(vectors), 4)
    return SubjectFaces(key, rows, ("",) * len(vectors))


def pooled(settings: GallerySettings, *subjects: SubjectFaces) -> PooledSubjects:
    keys = np.array([each.subject_key for each in subjects], np.int64)
    rows = template_rows(Derivation(PROFILE), settings, subjects)
    return PooledSubjects(TemplateRecipe.of(1, settings), keys, rows)


def test_a_face_without_a_direction_has_no_row() -> None:
    faces = StoredFaces(np.array([7, 8]), np.array([1, 1]), np.array([0.0, 1.0]), AXES[:2])
    assert face_rows(Derivation(PROFILE, enhance=True), faces).face_ids.tolist() == [8]
    assert face_rows(Derivation(PROFILE), faces).face_ids.tolist() == [7, 8]


def test_a_subject_without_faces_or_without_a_direction_has_no_row() -> None:
    subjects = (subject(5, AXES[1], AXES[2]), subject(6), subject(9, AXES[1], -AXES[1]))
    rows = template_rows(Derivation(PROFILE), UNIFORM, subjects)
    assert (rows.face_ids.tolist(), rows.subject_ids.tolist()) == ([5], [5])
    assert rows.ers.tolist() == [1.0]
    assert np.allclose(rows.vectors, [[0, np.sqrt(0.5), np.sqrt(0.5), 0]])


def test_a_state_that_searches_by_template_cannot_follow_a_store_that_does_not() -> None:
    profile = ProfileVersion(1, "made", 1, PROFILE, "made up", "ab", NOW)
    record = GalleryRecord(2, "people", UNIFORM, profile, 0, 1, AcquisitionCounts(), NOW, NOW)
    state = state_of(record, new_index(UNIFORM, PROFILE, IndexPlace("cpu")), {5: "ann"})
    after = change_templates(state, pooled(UNIFORM, subject(5, AXES[1])), 1)
    assert (after.record.revision, after.index.count()) == (1, 1)
    after = change_templates(after, pooled(UNIFORM, subject(5)), 2)
    assert after.index.count() == 0
    other = replace(UNIFORM, template_weighting=Weighting.SQUARE)
    for unfit in (None, pooled(other, subject(5, AXES[1]))):
        assert change_templates(after, unfit, 2) is after
        with pytest.raises(LookupError):
            change_templates(after, unfit, 3)
