"""One gallery: store first, then index, then acknowledge."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
from ersgallery_index import Verification, verify, verify_subject

from ersgallery_server.call import Call
from ersgallery_server.gallery.acquisition import Acquired, Acquirer, count_acquisitions
from ersgallery_server.gallery.actor import IndexActor
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentPlan, EnrollmentReport, ItemError
from ersgallery_server.gallery.inputs import EmbeddingInput, ImageInput
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.search import Applied, ProbeSet, SearchAnswer, applied_to, represent_probes
from ersgallery_server.gallery.state import GalleryState, add_faces, change_settings, remove_faces, remove_subject
from ersgallery_server.store import (
    DeletedSubject,
    Enrolled,
    ProfileChanged,
    Replay,
    RequestIdReused,
    Store,
    StoreError,
    WriteTransaction,
)
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, SeveralFaces, StoredFaces

COUNTS_KEPT_S = 5.0
"""Counts of probes wait so long for company; a killed server forgets at most these."""

T = TypeVar("T")


class Gallery:
    """Answers searches and takes faces for one gallery; safe for concurrent use."""

    def __init__(self, store: Store, actor: IndexActor, acquirer: Acquirer) -> None:
        self._store = store
        self._actor = actor
        self._acquirer = acquirer
        self._committed = actor.state.record
        self._uncounted = AcquisitionCounts()
        self._flushed_s = time.monotonic()
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
            due = time.monotonic() - self._flushed_s > COUNTS_KEPT_S
        if due:
            self.flush_counts()
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

        def index(state: GalleryState, committed: Enrolled | Replay) -> GalleryState:
            return state if isinstance(committed, Replay) else _index_enrolled(state, plan, committed)

        committed = self._commit(work, index, call)
        return committed if isinstance(committed, Replay) else plan.report(committed)

    def write(self, work: Callable[[WriteTransaction], T], call: Call) -> T:
        """Run a transaction that changes nothing in the index, such as a subject's metadata."""
        return call.wait(self._store.submit(work))

    def delete_face(self, subject_id: str, face_id: int, call: Call) -> int:
        """Delete a face; return the revision from which no search finds it. Raises FaceNotFound."""
        key = self.record.key
        ids = np.array([face_id], np.int64)
        return self._commit(
            lambda transaction: transaction.delete_face(key, subject_id, face_id),
            lambda state, revision: remove_faces(state, ids, revision),
            call,
        )

    def delete_subject(self, subject_id: str, call: Call) -> DeletedSubject:
        """Delete a subject; return the revision from which no search finds it. Raises SubjectNotFound."""
        key = self.record.key
        return self._commit(
            lambda transaction: transaction.delete_subject(key, subject_id),
            lambda state, deleted: remove_subject(state, deleted.subject_key, deleted.face_ids, deleted.revision),
            call,
        )

    def _commit(
        self,
        work: Callable[[WriteTransaction], T],
        change: Callable[[GalleryState, T], GalleryState],
        call: Call,
    ) -> T:
        """Store first, then index; return what the store gave once the owner has made the change that follows."""
        done: Future[None] = Future()
        committed = call.wait(
            self._store.submit(work, lambda result: self._actor.mutate(lambda state: change(state, result), done))
        )
        done.result()
        return committed

    def take_settings(
        self, record: GalleryRecord, rebuild: Callable[[GalleryRecord], GalleryState], done: "Future[None]"
    ) -> None:
        """Take settings that were committed; on the store's writer thread alone, in the order of the commits.

        `rebuild` makes another state where the present index does not fit them. The settings committed before these are
        compared, not those that answer now: the owner may not have come to them yet.
        """
        before, self._committed = self._committed, record
        if record.profile.key == before.profile.key and _same_vectors(record.settings, before.settings):
            self._actor.mutate(lambda state: change_settings(state, record), done)
        else:
            rebuilt = rebuild(record)
            self._actor.mutate(lambda _: rebuilt, done)

    def flush_counts(self) -> "Future[None] | None":
        """Hand the probes' acquisition counts to the store; None when there is nothing to hand over."""
        with self._counting:
            counts, self._uncounted = self._uncounted, AcquisitionCounts()
            self._flushed_s = time.monotonic()
        if counts == AcquisitionCounts():
            return None
        key = self.record.key
        try:
            return self._store.submit(lambda transaction: transaction.add_counts(key, counts))
        except StoreError:  # a search must not fail because its count cannot be written now
            with self._counting:
                self._uncounted += counts
            return None

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


def _same_vectors(settings: GallerySettings, others: GallerySettings) -> bool:
    return settings.enhance_features == others.enhance_features


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
