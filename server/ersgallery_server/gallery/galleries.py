"""All galleries of a server: loaded at start, made, changed and deleted while it runs."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from ersgallery_index import Derivation, FloatRows, IndexRows, Scores, parse_device

from ersgallery_server.call import Call
from ersgallery_server.errors import ProfileModelMismatch
from ersgallery_server.gallery.acquisition import Acquirer
from ersgallery_server.gallery.actor import IndexActor
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.models import Models
from ersgallery_server.gallery.state import GalleryState, empty_state
from ersgallery_server.store import GalleryNotFound, Store, WriteTransaction
from ersgallery_server.values import GalleryRecord, GallerySettings, ProfileVersion, StoredFaces

LOAD_CHUNK_ROWS = 16_384
PAGE_ROWS = 1000

log = structlog.get_logger()

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
    """Galleries by id; safe for concurrent use. Raises DeviceUnavailable for a device that is not there."""

    def __init__(self, store: Store, models: Models, *, device: str, max_waiting_searches: int) -> None:
        self._store = store
        self._models = models
        self._device = str(parse_device(device))
        self._max_waiting = max_waiting_searches
        self._galleries: dict[str, Gallery] = {}
        self._lock = threading.Lock()

    def load(self, progress: Progress = _silent) -> None:
        """Build the index of every stored gallery."""
        after: str | None = None
        while True:
            page = self._store.list_galleries(PAGE_ROWS, after)
            for record in page.items:
                self._open(self._build(record, progress))
            if (after := page.next_key) is None:
                return

    def get(self, gallery_id: str) -> Gallery:
        """Return a gallery; raises GalleryNotFound."""
        with self._lock:
            gallery = self._galleries.get(gallery_id)
        if gallery is None:
            raise GalleryNotFound(gallery_id)
        return gallery

    def create(self, gallery_id: str, settings: GallerySettings, profile: ProfileVersion, call: Call) -> Gallery:
        """Make an empty gallery; raises GalleryExists, or InvalidPolicy for impossible settings."""
        settings.policy(profile.profile)
        call.wait(
            self._store.submit(
                lambda transaction: transaction.create_gallery(gallery_id, settings, profile.key),
                lambda record: self._open(empty_state(record, {}, self._device)),
            )
        )
        return self.get(gallery_id)

    def update(self, gallery_id: str, change: GalleryChange, version: int | None, call: Call) -> GalleryRecord:
        """Change a gallery's settings; where its profile or enhancement changes, re-score and rebuild first.

        The rebuild runs on the store's writer thread: nothing else can be written until it has read all faces, and
        searches are answered from the old index until the new one is swapped in.
        Raises GalleryNotFound, VersionMismatch, ProfileModelMismatch, InvalidPolicy.
        """
        gallery = self.get(gallery_id)
        _require_same_model(gallery.record, change)

        def changed(settings: GallerySettings) -> GallerySettings:
            settings = replace(settings, **change.fields)
            settings.policy((change.profile or gallery.record.profile).profile)
            return settings

        def work(transaction: WriteTransaction) -> GalleryRecord:
            record = transaction.update_gallery(gallery_id, changed, version)
            if change.profile and change.profile.key != record.profile.key:
                transaction.rescore(record.key, change.profile.key, partial(_score, Derivation(change.profile.profile)))
            return transaction.gallery(gallery_id)

        done: Future[None] = Future()

        def index(record: GalleryRecord) -> None:
            gallery.take_settings(record, self._build, done)

        record = call.wait(self._store.submit(work, index))
        done.result()
        return record

    def delete(self, gallery_id: str, version: int | None, call: Call) -> int:
        """Delete a gallery with all that it holds; return how many faces it had."""
        self.get(gallery_id)
        return call.wait(
            self._store.submit(
                lambda transaction: transaction.delete_gallery(gallery_id, version),
                lambda _: self._forget(gallery_id),
            )
        )

    def close(self) -> None:
        """Flush the counts, answer what waits and stop every owner."""
        with self._lock:
            galleries, self._galleries = self._galleries, {}
        flushes = [gallery.flush_counts() for gallery in galleries.values()]
        for flush in flushes:
            if flush is not None:
                flush.result()
        for gallery in galleries.values():
            gallery.close()

    def _open(self, state: GalleryState) -> None:
        profile = state.record.profile.profile
        actor = IndexActor(state, max_waiting=self._max_waiting)
        gallery = Gallery(self._store, actor, Acquirer(profile.model, profile.dimension, self._models))
        with self._lock:
            self._galleries[state.record.gallery_id] = gallery

    def _forget(self, gallery_id: str) -> None:
        with self._lock:
            gallery = self._galleries.pop(gallery_id)
        threading.Thread(target=gallery.close, name=f"close-{gallery_id}").start()

    def _build(self, record: GalleryRecord, progress: Progress = _silent) -> GalleryState:
        """Build a gallery's index from the store; nothing else may write meanwhile."""
        with self._store.snapshot(record.key, LOAD_CHUNK_ROWS) as snapshot:
            state = empty_state(snapshot.gallery, self._store.subject_ids(record.key), self._device)
            state.index.restore(snapshot.gallery.revision, _derived(state, snapshot.chunks, progress))
        return state


def _derived(state: GalleryState, chunks: Iterable[StoredFaces], progress: Progress) -> Iterator[IndexRows]:
    loaded = 0
    for chunk in chunks:
        loaded += len(chunk.face_ids)
        yield state.searchable(chunk)
        progress(state.record, loaded)


def _score(derivation: Derivation, embeddings: FloatRows) -> tuple[Scores, Scores]:
    derived = derivation.derive(embeddings)
    return derived.ers, derived.raw_ers


def _require_same_model(record: GalleryRecord, change: GalleryChange) -> None:
    wanted = record.profile.profile.model
    if change.profile and change.profile.profile.model != wanted:
        raise ProfileModelMismatch(change.profile.reference, change.profile.profile.model, wanted)
