"""Whatever is done to it, in groups or one by one, the store holds what a dictionary would, also after a restart."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery_index import Weighting
from ersgallery_server.store import (
    DeletedFace,
    DeletedGallery,
    Enrolled,
    FaceNotFound,
    GalleryExists,
    GalleryNotFound,
    Replay,
    RequestIdReused,
    Store,
    StoreError,
    SubjectExists,
    SubjectNotFound,
    VersionMismatch,
    WriteTransaction,
)
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, NewFace, NewFaces, SubjectSearch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from numpy.typing import NDArray

from tests.support.store_comparison import Pooled, compare_gallery
from tests.support.store_model import ModelGallery, ModelSubject, score
from tests.support.stores import GATE, create_profile, empty_tables, unit_rows

ROWS = unit_rows(32, 7)
GALLERIES = st.sampled_from(["g", "h"])
SUBJECTS = st.sampled_from(["a", "B", "ä"])
METADATA = st.dictionaries(st.sampled_from(["k", ""]), st.sampled_from(["v", "\0", "\U0001f600"]), max_size=2)
ERS = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 1.0])
SEARCHES = st.sampled_from(SubjectSearch)
VERSIONS = st.sampled_from([None, None, 1, 2])


@st.composite
def new_faces(draw: st.DrawFn) -> list[NewFace]:
    """Draw up to four faces of few subjects."""
    return [
        NewFace(
            draw(SUBJECTS),
            ROWS[draw(st.integers(0, len(ROWS) - 1))],
            draw(st.sampled_from([1.0, 2.5])),
            ers := draw(ERS),
            ers,
            media_id=draw(st.sampled_from(["", "m"])),
            metadata=draw(METADATA),
            image=draw(st.none() | st.just(b"photograph")),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


Work = Callable[[WriteTransaction], Any]
Check = Callable[[Future[Any]], None]


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a store and to the model. Writes wait until `settle`, so that some share a commit."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.store = Store.open(url)
        self.profiles = [create_profile(self.store, seed=seed).key for seed in range(2)]
        self.keys: dict[str, int] = {}
        self.galleries: dict[str, ModelGallery] = {}
        self.given: set[int] = set()
        self.unchecked: list[tuple[Future[Any], Check]] = []

    def teardown(self) -> None:
        try:
            self.compare()
        finally:
            self.store.close()

    def submit(self, work: Work, check: Check) -> None:
        """Submit work that is checked against the model when its turn comes."""
        self.unchecked.append((self.store.submit(work), check))

    def settle(self) -> None:
        """Check the answers in the order of submission, which is the order of commits."""
        for future, check in self.unchecked:
            future.exception(60)
            check(future)
        self.unchecked.clear()

    def key(self, transaction: WriteTransaction, gallery_id: str) -> int:
        return transaction.gallery(gallery_id).key

    def expect(self, future: Future[Any], error: type[StoreError] | None) -> Any:
        """Return the result where no error is expected."""
        if error is None:
            return future.result(0)
        assert type(future.exception(0)) is error
        return None

    @rule(gallery_id=GALLERIES, tau=st.floats(-1, 1), search=SEARCHES)
    def create_gallery(self, gallery_id: str, tau: float, search: SubjectSearch) -> None:
        chosen = GallerySettings(tau=tau, subject_search=search)

        def check(future: Future[GalleryRecord]) -> None:
            exists = gallery_id in self.galleries
            record = self.expect(future, GalleryExists if exists else None)
            if record is not None:
                assert record.key > max(self.keys.values(), default=0)
                self.keys[gallery_id] = record.key
                self.galleries[gallery_id] = ModelGallery(chosen, self.profiles[0])

        self.submit(lambda t: t.create_gallery(gallery_id, chosen, self.profiles[0]), check)

    @initialize()
    def begin_with_a_gallery_of_each_kind(self) -> None:
        for gallery_id, search in zip(("g", "h"), SubjectSearch, strict=True):
            self.create_gallery(gallery_id, 0.5, search)

    @rule(gallery_id=GALLERIES, version=st.sampled_from([None, 1, 2, 3, 4, 5]))
    def delete_gallery(self, gallery_id: str, version: int | None) -> None:
        def check(future: Future[DeletedGallery]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif version not in {None, gallery.version}:
                self.expect(future, VersionMismatch)
            else:
                assert future.result(0).faces == len(gallery.faces)
                del self.galleries[gallery_id]

        self.submit(lambda t: t.delete_gallery(gallery_id, version), check)

    @rule(
        gallery_id=GALLERIES,
        margin=st.none() | st.floats(0, 2),
        search=SEARCHES,
        weighting=st.sampled_from([Weighting.SQUARE, Weighting.TOP_1]),
        version=VERSIONS,
    )
    def update_gallery(
        self,
        gallery_id: str,
        margin: float | None,
        search: SubjectSearch,
        weighting: Weighting,
        version: int | None,
    ) -> None:
        def change(present: GallerySettings) -> GallerySettings:
            return GallerySettings(tau=present.tau, margin=margin, subject_search=search, template_weighting=weighting)

        def check(future: Future[GalleryRecord]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif version not in {None, gallery.version}:
                self.expect(future, VersionMismatch)
            else:
                gallery.update(change(gallery.settings))
                assert future.result(0).settings == gallery.settings

        self.submit(lambda t: t.update_gallery(gallery_id, change, version), check)

    @rule(
        gallery_id=GALLERIES,
        faces=new_faces(),
        request=st.none() | st.tuples(st.sampled_from(["r", "q"]), st.sampled_from([b"1", b"2"])),
    )
    def enroll(self, gallery_id: str, faces: list[NewFace], request: tuple[str, bytes] | None) -> None:
        counts = AcquisitionCounts(1, 0, len(faces) + 1, 1)
        pooled = Pooled()

        def work(t: WriteTransaction) -> Enrolled | Replay:
            gallery = t.gallery(gallery_id)
            return t.enroll(
                gallery.key,
                gallery.profile.key,
                NewFaces.of(faces),
                counts=counts,
                gate=GATE,
                request=request,
                pool=pooled,
            )

        def check(future: Future[Enrolled | Replay]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
                return
            known = gallery.requests.get(request[0]) if request else None
            if request and known:
                if known[0] != request[1]:
                    self.expect(future, RequestIdReused)
                else:
                    assert future.result(0) == Replay(b"", known[1])
                return
            self.check_enrolled(gallery, faces, counts, future.result(0))
            pooled.check(gallery, {face.subject_id for face in faces}, counted=True)
            if request:
                gallery.requests[request[0]] = (request[1], gallery.revision)

        self.submit(work, check)

    def check_enrolled(
        self, gallery: ModelGallery, faces: list[NewFace], counts: AcquisitionCounts, enrolled: Enrolled | Replay
    ) -> None:
        assert isinstance(enrolled, Enrolled)
        before = {
            subject_id: [gallery.faces[face_id].ers for face_id in gallery.face_ids(subject_id)]
            for subject_id in enrolled.subjects
        }
        face_ids = enrolled.face_ids.tolist()
        assert all(face_id > max(self.given, default=0) for face_id in face_ids)
        self.given.update(face_ids)
        gallery.enroll(faces, face_ids, counts)
        assert enrolled.revision == gallery.revision
        for subject_id, change in enrolled.subjects.items():
            after = [gallery.faces[face_id].ers for face_id in gallery.face_ids(subject_id)]
            assert change.face_count == len(after)
            assert change.searchable_face_count == gallery.searchable(GATE, subject_id)
            assert change.mean_ers_after == pytest.approx(np.mean(after))
            stood = before[subject_id]
            assert change.mean_ers_before == (pytest.approx(np.mean(stood)) if stood else None)

    @rule(gallery_id=GALLERIES, subject_id=SUBJECTS, display_name=st.sampled_from(["", "N"]), metadata=METADATA)
    def create_subject(self, gallery_id: str, subject_id: str, display_name: str, metadata: dict[str, str]) -> None:
        def work(t: WriteTransaction) -> object:
            key = self.key(t, gallery_id)
            return t.create_subject(key, subject_id, display_name=display_name, metadata=metadata)

        def check(future: Future[Any]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif subject_id in gallery.subjects:
                self.expect(future, SubjectExists)
            else:
                future.result(0)
                gallery.subjects[subject_id] = ModelSubject(display_name, metadata)

        self.submit(work, check)

    @rule(gallery_id=GALLERIES, subject_id=SUBJECTS, metadata=METADATA, version=VERSIONS)
    def update_subject(self, gallery_id: str, subject_id: str, metadata: dict[str, str], version: int | None) -> None:
        def work(t: WriteTransaction) -> object:
            key = self.key(t, gallery_id)
            return t.update_subject(key, subject_id, gate=GATE, metadata=metadata, expected_version=version)

        def check(future: Future[Any]) -> None:
            gallery = self.galleries.get(gallery_id)
            subject = gallery.subjects.get(subject_id) if gallery else None
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif subject is None:
                self.expect(future, SubjectNotFound)
            elif version not in {None, subject.version}:
                self.expect(future, VersionMismatch)
            else:
                future.result(0)
                subject.metadata, subject.version = metadata, subject.version + 1

        self.submit(work, check)

    @rule(gallery_id=GALLERIES, subject_id=SUBJECTS)
    def delete_subject(self, gallery_id: str, subject_id: str) -> None:
        def check(future: Future[Any]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif subject_id not in gallery.subjects:
                self.expect(future, SubjectNotFound)
            else:
                deleted = future.result(0)
                assert deleted.face_ids.tolist() == gallery.delete_subject(subject_id)
                assert deleted.revision == gallery.revision

        self.submit(lambda t: t.delete_subject(self.key(t, gallery_id), subject_id), check)

    def some_face(self, gallery_id: str, subject_id: str, back: int) -> tuple[str, int]:
        """Return a face that was there when the model was last compared, or any other."""
        faces = self.galleries[gallery_id].faces if gallery_id in self.galleries else {}
        if back == 5 or not faces:
            return subject_id, max(self.given, default=1) - back
        face_id = sorted(faces)[back % len(faces)]
        return faces[face_id].subject_id, face_id

    @rule(gallery_id=GALLERIES, subject_id=SUBJECTS, back=st.integers(0, 5))
    def delete_face(self, gallery_id: str, subject_id: str, back: int) -> None:
        subject_id, face_id = self.some_face(gallery_id, subject_id, back)
        pooled = Pooled()

        def check(future: Future[DeletedFace]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif face_id not in gallery.face_ids(subject_id):
                self.expect(future, FaceNotFound)
            else:
                gallery.delete_face(face_id)
                assert future.result(0).revision == gallery.revision
                pooled.check(gallery, {subject_id}, counted=False)

        self.submit(lambda t: t.delete_face(self.key(t, gallery_id), subject_id, face_id, pool=pooled), check)

    @rule(gallery_id=GALLERIES, subject_id=SUBJECTS, back=st.integers(0, 5), metadata=METADATA)
    def update_face(self, gallery_id: str, subject_id: str, back: int, metadata: dict[str, str]) -> None:
        subject_id, face_id = self.some_face(gallery_id, subject_id, back)

        def check(future: Future[Any]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            elif face_id not in gallery.face_ids(subject_id):
                self.expect(future, FaceNotFound)
            else:
                future.result(0)
                face = gallery.faces[face_id]
                face.metadata, face.version = metadata, face.version + 1

        self.submit(lambda t: t.update_face(self.key(t, gallery_id), subject_id, face_id, metadata=metadata), check)

    @rule(gallery_id=GALLERIES, profile=st.integers(0, 1), factor=st.sampled_from([0.5, 1.0]))
    def rescore(self, gallery_id: str, profile: int, factor: float) -> None:
        def scores(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            ers = np.array([score(row, factor) for row in rows])
            return ers, ers

        def check(future: Future[Any]) -> None:
            gallery = self.galleries.get(gallery_id)
            if gallery is None:
                self.expect(future, GalleryNotFound)
            else:
                gallery.rescore(self.profiles[profile], factor)
                assert (future.result(0).revision, future.result(0).face_count) == (
                    gallery.revision,
                    len(gallery.faces),
                )

        self.submit(lambda t: t.rescore(self.key(t, gallery_id), self.profiles[profile], scores, 2), check)

    @rule()
    def restart(self) -> None:
        self.settle()
        self.store.close()
        self.store = Store.open(self.url)

    @rule()
    def compare(self) -> None:
        self.settle()
        records = self.store.list_galleries(10).items
        assert [record.gallery_id for record in records] == sorted(self.galleries)
        for record in records:
            compare_gallery(self.store, record, self.galleries[record.gallery_id])

    @invariant()
    def the_queue_is_short(self) -> None:
        if len(self.unchecked) >= 6:
            self.settle()


LIMITS = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_a_store_on_sqlite_is_a_dictionary_that_survives(migrated_sqlite: Path, tmp_path: Path) -> None:
    class SqliteMachine(StoreMachine):
        def __init__(self) -> None:
            path = tmp_path / f"{uuid.uuid4().hex}.db"
            path.write_bytes(migrated_sqlite.read_bytes())
            super().__init__(f"sqlite:///{path}")

    run_state_machine_as_test(SqliteMachine, settings=LIMITS)


def test_a_store_on_postgresql_is_a_dictionary_that_survives(migrated_postgres: str) -> None:
    class PostgresMachine(StoreMachine):
        def __init__(self) -> None:
            empty_tables(migrated_postgres)
            super().__init__(migrated_postgres)

    run_state_machine_as_test(PostgresMachine, settings=settings(LIMITS, max_examples=10))
