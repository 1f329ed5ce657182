"""One gallery: store first, then index, then acknowledge."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
from ersgallery_index import Ids, Verification, verify, verify_subject

from ersgallery_server.call import Call
from ersgallery_server.gallery.acquisition import Acquired, Acquirer, count_acquisitions
from ersgallery_server.gallery.actor import IndexActor
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentPlan, EnrollmentReport, ItemError
from ersgallery_server.gallery.inputs import EmbeddingInput, ImageInput
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import Applied, ProbeSet, SearchAnswer, applied_to, represent_probes
from ersgallery_server.gallery.state import GalleryState, add_faces, change_settings, remove_faces
from ersgallery_server.store import Enrolled, ProfileChanged, Replay, RequestIdReused, Store, WriteTransaction
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, SeveralFaces, StoredFaces

T = TypeVar("T")


class Gallery:
    """Answers searches and takes faces for one gallery; safe for concurrent use."""

    def __init__(self, store: Store, actor: IndexActor, acquirer: Acquirer) -> None:
        self._store = store
        self._actor = actor
        self._acquirer = acquirer
        self._uncounted = AcquisitionCounts()
        self._counting = threading.Lock()

    @property
    def state(self) -> GalleryState:
        """Return what answers now; its index and subject_ids are for the owner alone."""
        return self._actor.state

    @property
    def record(self) -> GalleryRecord:
        """Return the settings that answer now."""
        return self._actor.state.record

    @property
    def uncounted(self) -> AcquisitionCounts:
        """Return the probes' acquisitions that the store does not know yet."""
        return self._uncounted

    def acquire(
        self, sources: Sequence[EmbeddingInput | ImageInput], several: SeveralFaces | None, call: Call
    ) -> list[Acquired]:
        """Turn a probe's sources into embeddings and count the photographs."""
        outcomes = self._acquire(sources, several, call)
        with self._counting:
            self._uncounted += count_acquisitions(sources, outcomes)
        return outcomes

    def search(self, probes: ProbeSet, overrides: PolicyOverrides, call: Call) -> SearchAnswer:
        """Identify probes as one batch with whatever else waits."""
        return call.wait(self._actor.search(probes, overrides, call.deadline_s))

    def verify(
        self, probe: ProbeSet, reference: ProbeSet, overrides: PolicyOverrides, call: Call
    ) -> tuple[Verification, Applied]:
        """Compare two probes."""

        def compare(state: GalleryState) -> tuple[Verification, Applied]:
            policy = overrides.over(state.policy)
            sides = represent_probes(state, probe), represent_probes(state, reference)
            return verify(*sides, policy), applied_to(state, policy)

        return call.wait(self._actor.ask(compare))

    def verify_subject(
        self, probe: ProbeSet, subject_key: int, overrides: PolicyOverrides, call: Call
    ) -> tuple[Verification, Applied]:
        """Compare a probe with the best face of a subject that passes the gallery gate."""

        def compare(state: GalleryState) -> tuple[Verification, Applied]:
            policy = overrides.over(state.policy)
            side = represent_probes(state, probe)
            return verify_subject(state.index, side, subject_key, policy), applied_to(state, policy)

        return call.wait(self._actor.ask(compare))

    def enroll(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        request: tuple[str, bytes] | None,
        encode: Callable[[EnrollmentReport], bytes],
        call: Call,
    ) -> EnrollmentReport | Replay:
        """Store a batch and return once it is searchable.

        `request` is (request_id, fingerprint of the body); a repetition returns the first answer as `encode` made it.
        A profile that changes while faces are scored makes the scoring start again.
        """
        if request and (first := self._first_answer(*request)):
            return self._after_owner(first, call)
        members = [() if isinstance(item, Exception) else item.members for item in items]
        sources = [member.source for group in members for member in group]
        acquired = iter(self._acquire(sources, None, call))
        groups = [[next(acquired) for _ in group] for group in members]
        acquisitions = count_acquisitions(sources, [outcome for group in groups for outcome in group])
        while True:
            try:
                return self._enroll(items, groups, acquisitions, request, encode, call)
            except ProfileChanged:
                self._after_owner(None, call)

    def _enroll(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        groups: Sequence[Sequence[Acquired]],
        acquisitions: AcquisitionCounts,
        request: tuple[str, bytes] | None,
        encode: Callable[[EnrollmentReport], bytes],
        call: Call,
    ) -> EnrollmentReport | Replay:
        state = self.state
        settings = state.record.settings
        plan = EnrollmentPlan(
            items,
            groups,
            state.derivation,
            gate=state.policy.gamma_gallery,
            low_ers=settings.low_ers,
            store_images=settings.store_images,
        )

        def work(transaction: WriteTransaction) -> Enrolled | Replay:
            return transaction.enroll(
                state.record.key,
                state.record.profile.key,
                plan.faces,
                counts=acquisitions + plan.counts,
                gate=state.policy.gamma_gallery,
                request=request,
                respond=lambda enrolled: encode(plan.report(enrolled)),
            )

        searchable: Future[None] = Future()

        def index(committed: Enrolled | Replay) -> None:
            if isinstance(committed, Replay):
                self._actor.mutate(lambda state: state, searchable)
                return
            self._actor.mutate(lambda state: _index_enrolled(state, plan, committed), searchable)

        committed = call.wait(self._store.submit(work, index))
        searchable.result()
        return committed if isinstance(committed, Replay) else plan.report(committed)

    def write(self, work: Callable[[WriteTransaction], T], call: Call) -> T:
        """Run a transaction that changes nothing in the index, such as a subject's metadata."""
        return call.wait(self._store.submit(work))

    def delete_face(self, subject_id: str, face_id: int, call: Call) -> int:
        """Delete a face; return the revision from which no search finds it. Raises FaceNotFound."""
        ids = np.array([face_id], np.int64)
        key = self.record.key

        def work(transaction: WriteTransaction) -> tuple[int, Ids]:
            return transaction.delete_face(key, subject_id, face_id), ids

        return self._delete(work, call)[0]

    def delete_subject(self, subject_id: str, call: Call) -> tuple[int, int]:
        """Delete a subject; return the revision from which no search finds it and how many faces it had.

        Raises SubjectNotFound.
        """
        key = self.record.key

        def work(transaction: WriteTransaction) -> tuple[int, Ids]:
            deleted = transaction.delete_subject(key, subject_id)
            return deleted.revision, deleted.face_ids

        return self._delete(work, call)

    def _delete(self, work: Callable[[WriteTransaction], tuple[int, Ids]], call: Call) -> tuple[int, int]:
        gone: Future[None] = Future()

        def unindex(deleted: tuple[int, Ids]) -> None:
            self._actor.mutate(lambda state: remove_faces(state, deleted[1], deleted[0]), gone)

        revision, face_ids = call.wait(self._store.submit(work, unindex))
        gone.result()
        return revision, len(face_ids)

    def replace_state(self, make: Callable[[GalleryState], GalleryState], done: "Future[None]") -> None:
        """Swap in another state, made on the owner's thread; for changes that the store has committed."""
        self._actor.mutate(make, done)

    def change_settings(self, record: GalleryRecord, done: "Future[None]") -> None:
        """Take committed settings that need no other index."""
        self._actor.mutate(lambda state: change_settings(state, record), done)

    def flush_counts(self) -> "Future[None] | None":
        """Hand the probes' acquisition counts to the store; None when there is nothing to hand over."""
        with self._counting:
            counts, self._uncounted = self._uncounted, AcquisitionCounts()
        if counts == AcquisitionCounts():
            return None
        key = self.record.key
        return self._store.submit(lambda transaction: transaction.add_counts(key, counts))

    def close(self) -> None:
        """Answer what waits and stop the owner."""
        self._actor.close()

    def _acquire(
        self, sources: Sequence[EmbeddingInput | ImageInput], several: SeveralFaces | None, call: Call
    ) -> list[Acquired]:
        return self._acquirer.acquire(sources, several or self.record.settings.several_faces, call)

    def _first_answer(self, request_id: str, fingerprint: bytes) -> Replay | None:
        """Return the answer that a request got before; raises RequestIdReused for another body."""
        stored = self._store.find_request(self.record.key, request_id)
        if stored is None:
            return None
        if stored.fingerprint != fingerprint:
            raise RequestIdReused(request_id)
        return Replay(stored.response, stored.revision)

    def _after_owner(self, value: T, call: Call) -> T:
        """Return a value after everything that the owner was given before has been done."""
        call.wait(self._actor.ask(lambda _: None))
        return value


def _index_enrolled(state: GalleryState, plan: EnrollmentPlan, enrolled: Enrolled) -> GalleryState:
    if not plan.faces:
        return state
    for face, key in zip(plan.faces, enrolled.subject_keys.tolist(), strict=True):
        state.subject_ids[key] = face.subject_id
    stored = StoredFaces(
        face_ids=enrolled.face_ids,
        subject_keys=enrolled.subject_keys,
        ers=np.array([face.ers for face in plan.faces]),
        embeddings=np.stack([face.embedding for face in plan.faces]),
    )
    return add_faces(state, stored, enrolled.revision)
