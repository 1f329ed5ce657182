"""All galleries of a server: loaded at start, made, changed and deleted while it runs."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ersgallery_index import Derivation, FloatRows, IndexRows, Scores

from ersgallery_server.call import Call
from ersgallery_server.errors import ProfileModelMismatch
from ersgallery_server.gallery.acquisition import Acquirer
from ersgallery_server.gallery.actor import IndexActor
from ersgallery_server.gallery.contents import face_rows, template_rows
from ersgallery_server.gallery.following import SettingsFollower
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.models import Models
from ersgallery_server.gallery.restarting import restored_state
from ersgallery_server.gallery.saver import SnapshotSaver
from ersgallery_server.gallery.state import GalleryState, IndexPlace, new_index, state_of
from ersgallery_server.snapshots import SavedIndex, SnapshotFolder
from ersgallery_server.store import DeletedGallery, GalleryNotFound, GallerySnapshot, Store, WriteTransaction
from ersgallery_server.values import UNLIMITED, Capacity, GalleryRecord, GallerySettings, ProfileVersion

LOAD_CHUNK_ROWS = 16_384
PAGE_ROWS = 1000

Progress = Callable[[GalleryRecord, int], None]
"""Gets a gallery's record and the number of its faces loaded so far."""


def _silent(_record: GalleryRecord, _faces: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class GalleryChange:
    """What an update changes: fields of GallerySettings by name, and the profile."""

    fields: Mapping[str, Any]
    profile: ProfileVersion | None = None


class Galleries:
    """Galleries by id; safe for concurrent use.

    snapshot_changed_faces: see SnapshotSaver; 0 saves none and removes those that are there.
    """

    def __init__(
        self,
        store: Store,
        models: Models,
        snapshots: SnapshotFolder,
        *,
        place: IndexPlace,
        max_waiting_searches: int,
        snapshot_changed_faces: int,
        capacity: Capacity = UNLIMITED,
    ) -> None:
        self._store = store
        self._models = models
        self._place = place
        self._max_waiting = max_waiting_searches
        self._snapshots = snapshots
        self._snapshot_changed_faces = snapshot_changed_faces
        self._capacity = capacity
        self._saver: SnapshotSaver | None = None
        self._galleries: dict[str, Gallery] = {}
        self._follower = SettingsFollower(store, self._build)
        self._lock = threading.Lock()

    def load(self, progress: Progress = _silent) -> None:
        """Restore the index of every stored gallery from its snapshot, or build it from the store."""
        if not self._snapshot_changed_faces:
            self._snapshots.sweep(())
        after: str | None = None
        while True:
            page = self._store.list_galleries(PAGE_ROWS, after)
            for record in page.items:
                self._open(*self._loaded(record, progress))
            if (after := page.next_key) is None:
                break
        self._snapshots.sweep([gallery.record.key for gallery in self.all()])
        if self._snapshot_changed_faces:
            self._saver = SnapshotSaver(self.all, self._snapshot_changed_faces)

    def all(self) -> list[Gallery]:
        """Return the galleries that there are now."""
        with self._lock:
            return list(self._galleries.values())

    def get(self, gallery_id: str) -> Gallery:
        """Return a gallery; raises GalleryNotFound."""
        with self._lock:
            gallery = self._galleries.get(gallery_id)
        if gallery is None:
            raise GalleryNotFound(gallery_id)
        return gallery

    def serving(self, record: GalleryRecord) -> Gallery | None:
        """Return the gallery of a record that was read; None where it was deleted since, or is just being made."""
        with self._lock:
            gallery = self._galleries.get(record.gallery_id)
        return gallery if gallery is not None and gallery.record.key == record.key else None

    def create(self, gallery_id: str, settings: GallerySettings, profile: ProfileVersion, call: Call) -> Gallery:
        """Make an empty gallery.

        Raises GalleryExists, TooManyGalleries, InvalidPolicy for impossible settings, and DeviceFull.
        """
        # Before the commit: a gallery in the store without an index would answer nothing until the next start.
        index = new_index(settings, profile.profile, self._place)
        opened: list[Gallery] = []
        call.wait(
            self._store.submit(
                lambda transaction: transaction.create_gallery(
                    gallery_id, settings, profile.key, max_galleries=self._capacity.galleries
                ),
                lambda record: opened.append(self._open(state_of(record, index, {}), self._saved(record))),
            )
        )
        return opened[0]

    def update(self, gallery: Gallery, change: GalleryChange, version: int | None, call: Call) -> GalleryRecord:
        """Change a gallery's settings; where its profile or enhancement changes, re-score and rebuild first.

        The rebuild runs on the store's writer thread: nothing else can be written until it has read all faces, and
        searches are answered from the old index until the new one is swapped in.
        Raises GalleryNotFound, VersionMismatch, ProfileModelMismatch, InvalidPolicy, and IndexBehind where the settings
        are stored and the index could not follow.
        """
        gallery_id = gallery.record.gallery_id

        def work(transaction: WriteTransaction) -> GalleryRecord:
            present = transaction.gallery(gallery_id)
            if present.key != gallery.record.key:  # deleted and made anew since it was looked up
                raise GalleryNotFound(gallery_id)
            _require_same_model(present, change)
            transaction.update_gallery(gallery_id, lambda settings: _changed(settings, change, present), version)
            if change.profile and change.profile.key != present.profile.key:
                score = partial(_score, Derivation(change.profile.profile))
                transaction.rescore(present.key, change.profile.key, score)
            return transaction.gallery(gallery_id)

        done: Future[None] = Future()
        record = call.wait(
            self._store.submit(work, lambda record: self._follower.take(gallery, record, done)),
        )
        done.result()
        return record

    def delete(self, gallery_id: str, version: int | None, call: Call) -> DeletedGallery:
        """Delete a gallery with all that it holds and return how much that was.

        Raises GalleryNotFound and VersionMismatch.
        """
        removed: Future[None] = Future()
        deleted = call.wait(
            self._store.submit(
                lambda transaction: transaction.delete_gallery(gallery_id, version),
                lambda _: self._forget(gallery_id, removed),
            )
        )
        removed.result()
        return deleted

    def close(self, save_until_s: float = 0.0) -> None:
        """Save indexes as far as time allows, flush the counts, answer what waits and stop every owner.

        save_until_s: as of time.monotonic(); the past saves none.
        """
        self._follower.close()
        if self._saver is not None:
            self._saver.stop()
            self._saver.save_rest(save_until_s)
        with self._lock:
            galleries, self._galleries = self._galleries, {}
        for gallery in galleries.values():
            gallery.flush_counts()
        for gallery in galleries.values():
            gallery.close()
        # Only now is all known that is to be erased in their files.
        self._snapshots.close()
        for gallery in galleries.values():
            gallery.saved.close()

    def _saved(self, record: GalleryRecord) -> SavedIndex:
        return self._snapshots.saved_index(record.key)

    def _loaded(self, record: GalleryRecord, progress: Progress) -> tuple[GalleryState, SavedIndex]:
        saved = self._saved(record)
        state = restored_state(self._store, saved, record, self._place, progress)
        if state is None:
            state = self._build(record, progress)
            saved.note_changes(state.index.count())
        return state, saved

    def _open(self, state: GalleryState, saved: SavedIndex) -> Gallery:
        profile = state.record.profile.profile
        actor = IndexActor(state, max_waiting=self._max_waiting)
        acquirer = Acquirer(profile.model, profile.dimension, self._models)
        gallery = Gallery(self._store, actor, acquirer, saved, max_faces=self._capacity.faces_per_gallery)
        with self._lock:
            self._galleries[state.record.gallery_id] = gallery
        return gallery

    def _forget(self, gallery_id: str, removed: "Future[None]") -> None:
        with self._lock:
            gallery = self._galleries.pop(gallery_id)

        def close() -> None:
            try:
                gallery.saved.close(drop=True)
            except OSError as error:
                removed.set_exception(error)
            else:
                removed.set_result(None)
            gallery.close(partial(GalleryNotFound, gallery_id))

        # On a thread of its own: the writer must not wait for the disk, nor for searches that are still to be answered.
        threading.Thread(target=close, name=f"close-{gallery_id}").start()

    def _build(self, record: GalleryRecord, progress: Progress = _silent) -> GalleryState:
        """Build a gallery's index from the store; nothing else may write meanwhile."""
        with self._store.snapshot(record.key, LOAD_CHUNK_ROWS) as snapshot:
            found = snapshot.gallery
            index = new_index(found.settings, found.profile.profile, self._place)
            state = state_of(found, index, self._store.subject_ids(record.key))
            state.index.restore(found.revision, _derived(state, snapshot, progress))
        return state


def _derived(state: GalleryState, snapshot: GallerySnapshot, progress: Progress) -> Iterator[IndexRows]:
    """Derive all rows of a gallery, a part at a time."""
    loaded = 0
    if state.by_template:
        for subjects in snapshot.subjects:
            loaded += sum(len(subject.media) for subject in subjects)
            yield template_rows(state.derivation, state.record.settings, subjects)
            progress(state.record, loaded)
        return
    for chunk in snapshot.chunks:
        loaded += len(chunk.face_ids)
        yield face_rows(state.derivation, chunk)
        progress(state.record, loaded)


def _score(derivation: Derivation, embeddings: FloatRows) -> tuple[Scores, Scores]:
    derived = derivation.derive(embeddings)
    return derived.ers, derived.raw_ers


def _changed(settings: GallerySettings, change: GalleryChange, present: GalleryRecord) -> GallerySettings:
    """Return changed settings; raises InvalidPolicy for impossible ones."""
    settings = replace(settings, **change.fields)
    settings.policy((change.profile or present.profile).profile)
    return settings


def _require_same_model(present: GalleryRecord, change: GalleryChange) -> None:
    if change.profile is None:
        return
    wanted, given = present.profile.profile, change.profile.profile
    if (given.model, given.dimension) != (wanted.model, wanted.dimension):
        raise ProfileModelMismatch(
            change.profile.reference,
            f"{given.model!r} with {given.dimension} numbers",
            f"{wanted.model!r} with {wanted.dimension}",
        )
