"""A batch in columns comes to what its items would come to one by one."""

from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import Derivation, InvalidEmbedding, Profile
from ersgallery_server.call import Call
from ersgallery_server.errors import InvalidRequest, ModelMismatch, NotAcquired
from ersgallery_server.gallery.acquisition import AcquiredFaces, Acquirer
from ersgallery_server.gallery.contents import face_rows
from ersgallery_server.gallery.enrollment import (
    ACCEPTED,
    LOW_ERS,
    REJECTED,
    EnrollmentItem,
    EnrollmentPlan,
    EnrollmentWarning,
)
from ersgallery_server.gallery.inputs import AcquiredEmbedding, EmbeddingInput, Member
from ersgallery_server.gallery.models import Models
from ersgallery_server.store import Enrolled, SubjectChanges
from ersgallery_server.values import AcquisitionCounts, FaceBox, GallerySettings, LowErs, SeveralFaces, StoredFaces
from numpy.typing import NDArray

D = 8
GATE = 0.5
PROFILE = Profile(model="unit", centroids=np.eye(D)[:1], gamma=GATE, mean=np.full(D, 0.01))
DERIVATION = Derivation(PROFILE)
SETTINGS = GallerySettings(tau=0.5)
BOX = FaceBox(1, 2, 3, 4, 0.9, 1)


def axis(number: int, toward_ui: float = 0.0) -> NDArray[np.float32]:
    vector = np.zeros(D, np.float32)
    vector[number], vector[0] = 3.0, toward_ui
    return vector


def item(subject_id: str, *vectors: NDArray[np.float32]) -> EnrollmentItem:
    members = tuple(Member(EmbeddingInput(vector), f"{subject_id}-{i}") for i, vector in enumerate(vectors))
    return EnrollmentItem(subject_id, members, {"of": subject_id}, f"Name of {subject_id}")


def acquirer() -> Acquirer:
    return Acquirer("unit", D, Models(lambda _: None, max_waiting_images=1))


def acquired(*items: EnrollmentItem | InvalidRequest) -> AcquiredFaces:
    sources = [member.source for each in items if isinstance(each, EnrollmentItem) for member in each.members]
    return acquirer().acquire_columns(sources, SeveralFaces.LARGEST, Call())


def stored(plan: EnrollmentPlan, first_id: int = 100) -> Enrolled:
    """Return what the store would say of a plan: every subject is new."""
    names = list(dict.fromkeys(plan.faces.subject_ids))
    positions = {name: i for i, name in enumerate(names)}
    owners = np.array([positions[name] for name in plan.faces.subject_ids], np.int64)
    keys = np.arange(len(names)) + 1
    searchable = np.bincount(owners[plan.faces.ers >= GATE], minlength=len(names))
    changes = SubjectChanges(
        positions,
        owners,
        keys,
        np.ones(len(names), np.bool_),
        np.bincount(owners, minlength=len(names)),
        searchable,
        np.full(len(names), np.nan),
        np.bincount(owners, plan.faces.ers, len(names)) / np.bincount(owners, minlength=len(names)),
    )
    return Enrolled(7, np.arange(len(plan.faces)) + first_id, keys[owners], changes)


def test_embeddings_acquired_together_are_those_acquired_one_by_one() -> None:
    vectors = np.random.default_rng(1).standard_normal((50, D)).astype(np.float32) * 20
    sources = [EmbeddingInput(vector, "unit" if i % 2 else "") for i, vector in enumerate(vectors)]
    columns = acquirer().acquire_columns(sources, SeveralFaces.LARGEST, Call())
    (alone,) = zip(*(acquirer().acquire([each], SeveralFaces.LARGEST, Call()) for each in sources), strict=True)
    for i, outcome in enumerate(alone):
        assert isinstance(outcome, AcquiredEmbedding)
        assert np.array_equal(outcome.unit, columns.units[i])
        assert outcome.norm == columns.norms[i]
    assert (columns.count, columns.usable.tolist(), dict(columns.others)) == (50, list(range(50)), {})


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (EmbeddingInput(np.full(D, np.nan, np.float32)), InvalidEmbedding),
        (EmbeddingInput(np.zeros(D, np.float32)), InvalidEmbedding),
        (EmbeddingInput(np.ones(D + 1, np.float32)), InvalidEmbedding),
        (EmbeddingInput(axis(1), "other"), ModelMismatch),
    ],
)
def test_one_wrong_embedding_spoils_no_other(wrong: EmbeddingInput, error: type[Exception]) -> None:
    sources = [EmbeddingInput(axis(1)), wrong, EmbeddingInput(axis(2))]
    columns = acquirer().acquire_columns(sources, SeveralFaces.LARGEST, Call())
    assert columns.usable.tolist() == [0, 2]
    assert [type(other) for other in columns.others.values()] == [error]
    assert list(columns.others) == [1]
    assert columns.units.tolist() == [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]]


def test_nothing_to_acquire_is_no_error() -> None:
    columns = acquired()
    assert (columns.count, columns.units.shape) == (0, (0, D))
    plan = EnrollmentPlan([], columns, DERIVATION, SETTINGS, GATE)
    assert len(plan.faces) == 0


@pytest.mark.parametrize("low_ers", list(LowErs))
def test_every_item_and_face_is_told_in_its_place(low_ers: LowErs) -> None:
    refused = InvalidRequest.field("enrollments[0]", "is wrong")
    items: list[EnrollmentItem | InvalidRequest] = [
        refused,
        item("set", axis(1), axis(2, toward_ui=9.0)),
        item("spoilt", axis(3), np.full(D, np.inf, np.float32)),
        item("low", axis(4, toward_ui=9.0)),
        item("good", axis(5)),
    ]
    plan = EnrollmentPlan(items, acquired(*items), DERIVATION, replace(SETTINGS, low_ers=low_ers), GATE)
    kept = low_ers is LowErs.STORE
    assert plan.faces.subject_ids == (["set", "set", "low", "good"] if kept else ["set", "good"])
    assert plan.faces.media_ids == (["set-0", "set-1", "low-0", "good-0"] if kept else ["set-0", "good-0"])
    assert [each["of"] for each in plan.faces.metadata] == plan.faces.subject_ids
    assert plan.faces.display_names == [f"Name of {name}" for name in plan.faces.subject_ids]
    assert plan.counts == AcquisitionCounts(enrollment_attempts=7, failures_to_enroll=3 if kept else 5)
    report = plan.report(stored(plan))
    assert (list(report.starts), report.revision) == ([0, 0, 2, 4, 5, 6], 7)
    assert (report.errors[0], type(report.errors[2]), len(report.errors)) == (refused, InvalidEmbedding, 2)
    low = LOW_ERS if kept else REJECTED
    assert list(report.faces.dispositions) == [ACCEPTED, low, REJECTED, REJECTED, low, ACCEPTED]
    given = [100, 101, None, None, 102, 103] if kept else [100, None, None, None, None, 101]
    assert list(report.faces.face_ids) == given
    assert [ers is None for ers in report.faces.ers] == [False, False, False, True, False, False]
    assert {report.faces.reasons[place][0] for place in (1, 4)} == {"LOW_ERS"}
    assert "gamma_gallery 0.500" in report.faces.reasons[1][1]
    assert dict(report.warnings) == ({3: [EnrollmentWarning.SUBJECT_NOT_SEARCHABLE]} if kept else {})


def test_photographs_keep_their_boxes_and_those_without_a_face_their_reasons() -> None:
    items = [item("a", axis(1), axis(2)), item("b", axis(3))]
    columns = AcquiredFaces(
        count=3,
        usable=np.array([1, 2]),
        units=(np.stack([axis(2), axis(3)]) / 3).astype(np.float32),
        norms=np.array([3.0, 3.0]),
        others={0: NotAcquired("NO_FACE", "has no face")},
        boxes={2: BOX},
        images={2: b"jpeg"},
    )
    plan = EnrollmentPlan(items, columns, DERIVATION, replace(SETTINGS, store_images=True), GATE)
    assert (plan.faces.boxes, plan.faces.images) == ([None, BOX], [None, b"jpeg"])
    assert plan.faces.media_ids == ["a-1", "b-0"]
    faces = plan.report(stored(plan)).faces
    assert list(faces.dispositions) == [REJECTED, ACCEPTED, ACCEPTED]
    assert faces.reasons[0][0] == "NO_FACE"
    assert dict(faces.boxes) == {2: BOX}
    unkept = EnrollmentPlan(items, columns, DERIVATION, SETTINGS, GATE)
    assert unkept.faces.images == [None, None]


@pytest.mark.parametrize("enhance", [True, False])
def test_an_index_gets_the_rows_that_it_would_derive_itself(*, enhance: bool) -> None:
    derivation = Derivation(PROFILE, enhance=enhance)
    # Less the mean it is the UI centroid itself, of which enhancement leaves nothing.
    ui = np.full(D, 0.01, np.float32)
    ui[0] = (1 - 7e-4) ** 0.5
    items = [item("a", axis(1)), item("b", axis(2, toward_ui=9.0)), item("c", ui), item("d", axis(3), axis(4))]
    plan = EnrollmentPlan(items, acquired(*items), derivation, SETTINGS, GATE)
    enrolled = stored(plan)
    faces = StoredFaces(enrolled.face_ids, enrolled.subject_keys, plan.faces.ers, plan.faces.embeddings)
    wanted, rows = face_rows(derivation, faces), plan.rows(enrolled, derivation)
    assert rows is not None
    assert len(rows.face_ids) == (4 if enhance else 5)
    for name in ("face_ids", "subject_ids", "ers", "vectors"):
        assert np.array_equal(getattr(rows, name), getattr(wanted, name))
    assert plan.rows(enrolled, Derivation(PROFILE, enhance=not enhance)) is None
