"""One gallery: store first, then index, then acknowledge."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
from ersgallery_index import Verification, verify, verify_subject
from numpy.typing import NDArray

from ersgallery_server.call import Call
from ersgallery_server.errors import IndexBehind, ShuttingDown
from ersgallery_server.gallery.acquisition import Acquired, Acquirer, count_acquisitions
from ersgallery_server.gallery.actor import IndexActor
from ersgallery_server.gallery.batches import EnrollmentBatch, index_enrolled
from ersgallery_server.gallery.committing import BegunEnrollment, Committing
from ersgallery_server.gallery.duplicates import Comparison, DuplicateRules
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentPlan, EnrollmentReport, ItemError
from ersgallery_server.gallery.inputs import EmbeddingInput, ImageInput
from ersgallery_server.gallery.origins import same_vectors
from ersgallery_server.gallery.overrides import PolicyOverrides
from ersgallery_server.gallery.saving import Pause, save_index
from ersgallery_server.gallery.search import Applied, ProbeSet, RawProbes, SearchAnswer, applied_to, represent_probes
from ersgallery_server.gallery.search_figures import SearchFigures
from ersgallery_server.gallery.state import (
    GalleryState,
    change_settings,
    change_templates,
    remove_faces,
    remove_subject,
)
from ersgallery_server.gallery.templates import SubjectTemplates
from ersgallery_server.snapshots import SavedIndex
from ersgallery_server.store import (
    DeletedFace,
    DeletedSubject,
    Enrolled,
    GalleryMoved,
    ProfileChanged,
    Replay,
    RequestIdReused,
    Store,
    StoreError,
    WriteTransaction,
)
from ersgallery_server.values import (
    AcquisitionCounts,
    GalleryRecord,
    SeveralFaces,
)

COUNTS_KEPT_S = 5.0
"""Counts of probes wait so long for company; a killed server forgets at most these."""

T = TypeVar("T")


class Gallery:
    """Answers searches and takes faces for one gallery; safe for concurrent use. max_faces: 0 for no limit."""

    def __init__(
        self, store: Store, actor: IndexActor, acquirer: Acquirer, saved: SavedIndex, *, max_faces: int
    ) -> None:
        self.saved = saved
        self._max_faces = max_faces
        self._store = store
        self._actor = actor
        self._acquirer = acquirer
        self._committed = actor.state.record
        self._templates = SubjectTemplates()
        self._uncounted = AcquisitionCounts()
        self._flushed_s = time.monotonic()
        self._counting = threading.Lock()
        self._comparing = threading.Lock()

    @property
    def state(self) -> GalleryState:
        """Return what answers now; its index and subject_ids are for the owner alone."""
        return self._actor.state

    @property
    def record(self) -> GalleryRecord:
        """Return the settings that answer now."""
        return self._actor.state.record

    @property
    def figures(self) -> SearchFigures:
        """Return what was counted since the gallery was opened."""
        return self._actor.figures

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

    def search(self, probes: ProbeSet | RawProbes, overrides: PolicyOverrides, call: Call) -> SearchAnswer:
        """Identify probes as one batch with whatever else waits."""
        return call.wait(self.begin_search(probes, overrides, call))

    def begin_search(
        self, probes: ProbeSet | RawProbes, overrides: PolicyOverrides, call: Call
    ) -> "Future[SearchAnswer]":
        """Queue a search that the call will wait for; raises Overloaded at the limit."""
        return self._actor.search(probes, overrides, call.deadline_s, call.trace)

    def ask(self, work: Callable[[GalleryState], T], call: Call) -> T:
        """Read something on the owner's thread, between two batches; it should be as short as a batch."""
        return call.wait(self._actor.ask(work))

    def verify(
        self, probe: ProbeSet, reference: ProbeSet, overrides: PolicyOverrides, call: Call
    ) -> tuple[Verification, Applied]:
        """Compare two probes."""

        def compare(state: GalleryState) -> tuple[Verification, Applied]:
            policy = overrides.over(state.policy)
            sides = represent_probes(state, probe), represent_probes(state, reference)
            return self._verified(verify(*sides, policy)), applied_to(state, policy)

        return call.wait(self._actor.ask(compare))

    def verify_subject(
        self, probe: ProbeSet, subject_key: int, overrides: PolicyOverrides, call: Call
    ) -> tuple[Verification, Applied]:
        """Compare a probe with a subject: the best face that passes the gallery gate, or the template."""

        def compare(state: GalleryState) -> tuple[Verification, Applied]:
            policy = overrides.over(state.policy)
            side = represent_probes(state, probe)
            return self._verified(verify_subject(state.index, side, subject_key, policy)), applied_to(state, policy)

        return call.wait(self._actor.ask(compare))

    def _verified(self, found: Verification) -> Verification:
        self._actor.figures.verified(found)
        return found

    def enroll(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        request: tuple[str, bytes] | None,
        encode: Callable[[EnrollmentReport], bytes],
        call: Call,
    ) -> EnrollmentReport | Replay:
        """Store a batch and return once it is searchable.

        Raises as begin_enroll does, and what its `finish` does.
        """
        return self.begin_enroll(items, request, encode, call).finish()

    def begin_enroll(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        request: tuple[str, bytes] | None,
        encode: Callable[[EnrollmentReport], bytes],
        call: Call,
    ) -> BegunEnrollment:
        """Begin to store a batch; batches are stored in the order in which they were begun.

        `request` is (request_id, fingerprint of the body); a repetition returns the first answer as `encode` made it.
        A profile that changes while faces are scored makes the scoring start again. Where faces are compared with the
        other subjects first, a batch is begun when it is to be finished. Raises IndexBehind where the index could not
        take what was stored.
        """
        if request and (first := self._first_answer(*request)):
            return BegunEnrollment(lambda: self._repeat_in_turn(first, call))
        sources = [member.source for item in items if isinstance(item, EnrollmentItem) for member in item.members]
        acquired = self._acquirer.acquire_columns(sources, self.record.settings.several_faces, call)
        counts = count_acquisitions(sources, acquired.others.values())
        return self._begin_batch(EnrollmentBatch(items, acquired, counts, request, encode), call)

    def _begin_batch(self, batch: EnrollmentBatch, call: Call) -> BegunEnrollment:
        state = self.state
        if DuplicateRules.of(state.record) is not None:
            return BegunEnrollment(lambda: self._compare_and_store(batch, call))
        plan, committing = self._store_batch(batch, state)

        def finish() -> EnrollmentReport | Replay:
            try:
                done = committing.finish(call)
            except (ProfileChanged, GalleryMoved):
                now = self._owners_state(call)
                if now.record.version == state.record.version:
                    raise IndexBehind.before_commit(state.record.gallery_id) from None
                return self._begin_batch(batch, call).finish()
            return self._outcome(plan, done, call)

        return BegunEnrollment(finish, committing.stored)

    def _outcome(self, plan: EnrollmentPlan, done: Enrolled | Replay, call: Call) -> EnrollmentReport | Replay:
        if isinstance(done, Replay):
            return self._repeat(done, call)
        report = plan.report(done)
        self._actor.figures.enrolled_all(report)
        return report

    def _compare_and_store(self, batch: EnrollmentBatch, call: Call) -> EnrollmentReport | Replay:
        """Compare a batch with the other subjects and store it before anything else comes; again where something did.

        One batch at a time: another that was compared meanwhile would have to be compared again after this one.
        """
        with call.holding(self._comparing):
            state = self.state
            while (rules := DuplicateRules.of(state.record)) is not None:
                if state.behind_since is not None:
                    raise IndexBehind.before_commit(state.record.gallery_id)
                # It may be compared with something newer than `state`: the store lets only deletions come between.
                comparison = Comparison(rules, lambda work: self.ask(work, call))
                plan, committing = self._store_batch(batch, state, comparison)
                try:
                    done = committing.finish(call)
                except (ProfileChanged, GalleryMoved):
                    pass
                else:
                    return self._outcome(plan, done, call)
                state, before = self._owners_state(call), state
                if state.record.revision == before.record.revision:
                    raise IndexBehind.before_commit(state.record.gallery_id)
        return self._begin_batch(batch, call).finish()

    def _store_batch(
        self,
        batch: EnrollmentBatch,
        state: GalleryState,
        comparison: Comparison | None = None,
    ) -> tuple[EnrollmentPlan, Committing[Enrolled | Replay]]:
        """Score a batch as the gallery is in `state` and begin to store it.

        The store raises ProfileChanged and GalleryMoved where it is no longer so. Raises DeviceFull, before anything is
        stored, where the index has no room.
        """
        gate = state.policy.gamma_gallery
        plan = EnrollmentPlan(batch.items, batch.acquired, state.derivation, state.record.settings, gate, comparison)
        state.index.require_room(len(plan.faces))  # before the commit: a face that is stored must be searchable
        return plan, self._begin_commit(
            lambda transaction: transaction.enroll(
                state.record.key,
                state.record.profile.key,
                plan.faces,
                counts=batch.acquisitions + plan.counts,
                gate=gate,
                request=batch.request,
                respond=lambda enrolled: batch.encode(plan.report(enrolled)),
                pool=self._templates.pool,
                max_faces=self._max_faces,
                compared_at=None if comparison is None else state.record.revision,
            ),
            lambda done: done.revision,
            lambda state, done: state if isinstance(done, Replay) else index_enrolled(state, plan, done),
            lambda done: None if isinstance(done, Replay) else self._note_enrolled(plan, done),
        )

    def write(self, work: Callable[[WriteTransaction], T], call: Call) -> T:
        """Run a transaction that changes nothing in the index, such as a subject's metadata."""
        return call.wait(self._store.submit(work))

    def delete_face(self, subject_id: str, face_id: int, call: Call) -> DeletedFace:
        """Delete a face; return the revision from which no search finds it. Raises FaceNotFound."""
        key = self.record.key
        ids = np.array([face_id], np.int64)
        return self._begin_commit(
            lambda transaction: transaction.delete_face(key, subject_id, face_id, pool=self._templates.pool),
            lambda deleted: deleted.revision,
            lambda state, deleted: (
                change_templates(state, deleted.pooled, deleted.revision)
                if state.by_template
                else remove_faces(state, ids, deleted.revision)
            ),
            lambda deleted: self._templates.remember(deleted.pooled),
            lambda deleted: np.append(ids, deleted.subject_key),
        ).finish(call)

    def delete_subject(self, subject_id: str, call: Call) -> DeletedSubject:
        """Delete a subject; return the revision from which no search finds it. Raises SubjectNotFound."""
        key = self.record.key
        return self._begin_commit(
            lambda transaction: transaction.delete_subject(key, subject_id),
            lambda deleted: deleted.revision,
            lambda state, deleted: remove_subject(state, deleted.subject_key, deleted.face_ids, deleted.revision),
            lambda deleted: self._templates.forget(deleted.subject_key),
            lambda deleted: np.append(deleted.face_ids, deleted.subject_key),
        ).finish(call)

    def _begin_commit(
        self,
        work: Callable[[WriteTransaction], T],
        revision: Callable[[T], int],
        change: Callable[[GalleryState, T], GalleryState],
        committed: Callable[[T], None],
        gone: Callable[[T], NDArray[np.int64]] | None = None,
    ) -> Committing[T]:
        """Begin to store, and let the owner then make the change that follows.

        committed: told first, on the writer's thread. gone: the faces and the subject that were deleted, which are then
        erased in the snapshot, too, before the change is finished.
        """
        done: Future[None] = Future()
        erased: Future[None] = Future()

        def follow(result: T) -> None:
            committed(result)
            if gone is not None:
                ids = gone(result)
                self.saved.note_changes(len(ids) - 1)
                done.add_done_callback(lambda _: self.saved.erase(revision(result), ids, erased))
            self._actor.mutate(revision(result), lambda state: change(state, result), done)

        stored = self._store.submit(work, follow)
        return Committing(stored, (done,) if gone is None else (done, erased))

    def _note_enrolled(self, plan: EnrollmentPlan, enrolled: Enrolled) -> None:
        self._templates.remember(enrolled.pooled)
        self.saved.note_changes(len(plan.faces))

    def take_settings(
        self, record: GalleryRecord, rebuild: Callable[[GalleryRecord], GalleryState], done: "Future[None]"
    ) -> None:
        """Take settings that were committed; on the store's writer thread alone, in the order of the commits.

        `rebuild` makes another state where the present index does not fit them; where it fails, the old state goes on
        answering, and the next settings try again. The settings committed before these are compared, not those that
        answer now: the owner may not have come to them yet. Raises IndexBehind.
        """
        if self.state.behind_since is None and same_vectors(record, self._committed):
            self._actor.mutate(record.revision, lambda state: change_settings(state, record), done)
        else:
            self._templates.clear()
            try:
                rebuilt = rebuild(record)
            except Exception as error:
                raise IndexBehind.after_commit(record.gallery_id) from error
            self._actor.mutate(record.revision, lambda _: rebuilt, done)
            self.saved.drop()
        self._committed = record

    def save(self, pause: Pause) -> bool:
        """Save the index for the next start; False where it was given up. Raises OSError and StoreError."""
        return save_index(self._actor.ask, self.saved, self._store, pause)

    def flush_counts(self) -> None:
        """Hand the probes' acquisition counts to the store."""
        with self._counting:
            counts, self._uncounted = self._uncounted, AcquisitionCounts()
            self._flushed_s = time.monotonic()
        if counts == AcquisitionCounts():
            return
        key = self.record.key
        try:
            self._store.submit(lambda transaction: transaction.add_counts(key, counts))
        except StoreError:  # a search must not fail because its count cannot be written now
            with self._counting:
                self._uncounted += counts

    def close(self, refusal: Callable[[], Exception] = ShuttingDown) -> None:
        """Answer what waits and stop the owner; whoever comes later is refused with this error."""
        self._actor.close(refusal)

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

    def _repeat(self, first: Replay, call: Call) -> Replay:
        """Return a first answer once it holds: what it speaks of is searchable, or was."""
        state = self._owners_state(call)
        if state.behind_since is not None and first.revision >= state.behind_since:
            raise IndexBehind.after_commit(state.record.gallery_id)
        return first

    def _repeat_in_turn(self, first: Replay, call: Call) -> Replay:
        """Return a first answer that was read beside the writer, who may not have told the owner of it yet."""
        call.wait(self._store.submit(lambda _: None))
        return self._repeat(first, call)

    def _owners_state(self, call: Call) -> GalleryState:
        """Return the state after everything that the owner was given before has been done."""
        return call.wait(self._actor.ask(lambda state: state))
