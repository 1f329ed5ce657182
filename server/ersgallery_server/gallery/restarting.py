"""The index of a gallery at the start: its snapshot and what the store changed since, else all that the store has.

Either way it holds the same rows. A snapshot that cannot be trusted to that is refused, loudly, and removed.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import structlog
from ersgallery_index import IndexKind, IndexRows, InvalidEmbedding
from numpy.typing import NDArray

from ersgallery_server.gallery.contents import face_rows, template_rows
from ersgallery_server.gallery.origins import origin_of
from ersgallery_server.gallery.state import GalleryState, IndexPlace, new_index, state_of
from ersgallery_server.snapshots import Header, RowFile, SavedIndex, SnapshotRefused, read_rows
from ersgallery_server.store import GallerySince, Store
from ersgallery_server.values import GalleryRecord

Progress = Callable[[GalleryRecord, int], None]
Ids = NDArray[np.int64]

PROGRESS_ROWS = 65_536

log = structlog.get_logger(__name__)


def restored_state(
    store: Store, saved: SavedIndex, record: GalleryRecord, place: IndexPlace, progress: Progress
) -> GalleryState | None:
    """Return a gallery as its snapshot and the store have it; None where there is no snapshot or it was refused.

    Raises DeviceFull, and GalleryNotFound for one that was deleted since.
    """
    try:
        if (opened := saved.open()) is None:
            return None
        file, header = opened
        try:
            state = _state_from(store, saved, file, header, record, place, progress)
        except BaseException:
            file.close()
            raise
    except (SnapshotRefused, OSError, InvalidEmbedding, ValueError) as error:
        log.warning(
            "a snapshot is refused and removed; the gallery is read from the database instead",
            gallery=record.gallery_id,
            path=str(saved.path),
            reason=f"the snapshot {error}" if isinstance(error, SnapshotRefused) else str(error),
        )
        saved.drop()
        return None
    return state


def _state_from(
    store: Store,
    saved: SavedIndex,
    file: RowFile,
    header: Header,
    record: GalleryRecord,
    place: IndexPlace,
    progress: Progress,
) -> GalleryState:
    with store.since(record.key, header.revision) as since:
        _require_fitting(header, since)
        found = since.gallery
        index = new_index(found.settings, found.profile.profile, place)
        if index.device == "cpu":  # codes can be made behind the first searches
            index.set_kind(IndexKind.EXACT)
        state = state_of(found, index, {})
        catching_up = _CatchingUp(state, since)
        # Names come meanwhile: to read a million of them takes about as long as to read their faces.
        with ThreadPoolExecutor(1, thread_name_prefix="subject-ids") as names:
            found_names = names.submit(store.subject_ids, record.key)
            index.restore(found.revision, _counted(catching_up.rows(file), state, progress))
        state.subject_ids.update(found_names.result())
        index.set_kind(found.settings.index_kind)
    # A server that was killed between a delete and its erasure left this to do.
    file.erase(np.union1d(since.removed_ids, since.lost_keys))
    saved.adopt(file)
    saved.note_changes(catching_up.changed_faces)
    log.info(
        "restored a snapshot",
        gallery=found.gallery_id,
        rows=index.count(),
        snapshot_revision=header.revision,
        revision=found.revision,
        changed_faces=saved.changed_faces,
    )
    return state


def _require_fitting(header: Header, since: GallerySince) -> None:
    """Raise SnapshotRefused unless a snapshot and what happened since make the gallery."""
    if (name := header.origin.difference(origin_of(since.gallery))) is not None:
        raise SnapshotRefused(f"is of another {name.replace('_', ' ')}")
    if header.revision > since.gallery.revision:
        raise SnapshotRefused(
            f"is ahead of the database: revision {header.revision}, there {since.gallery.revision}; was it restored?"
        )
    if not since.is_complete or since.mark is None:
        raise SnapshotRefused("is older than the log of changes reaches back, so it cannot be caught up")
    if since.mark != header.mark:
        raise SnapshotRefused("is of another history of this gallery")


class _CatchingUp:
    """Joins the rows of a snapshot with those that changed since."""

    def __init__(self, state: GalleryState, since: GallerySince) -> None:
        self._state = state
        self._since = since
        self.changed_faces = len(since.removed_ids)

    def rows(self, file: RowFile) -> Iterator[IndexRows]:
        """Yield every row of the gallery once."""
        if self._state.by_template:
            touched = self._since.touched_keys()
            yield from self._kept(file, touched, None)
            for subjects in self._since.subjects(touched):
                self.changed_faces += sum(len(subject.media) for subject in subjects)
                yield template_rows(self._state.derivation, self._state.record.settings, subjects)
            return
        yield from self._kept(file, self._since.removed_ids, self._since.first_added_id)
        for chunk in self._since.added_faces():
            self.changed_faces += len(chunk.face_ids)
            yield face_rows(self._state.derivation, chunk)

    def _kept(self, file: RowFile, gone: Ids, end: int | None) -> Iterator[IndexRows]:
        """Yield rows without those that are gone or come again: faces from `end` on came while the file grew."""
        for rows in read_rows(file):
            kept = ~np.isin(rows.face_ids, gone)
            if end is not None:
                kept &= rows.face_ids < end
            if kept.all():
                yield rows
            elif kept.any():
                yield IndexRows(rows.face_ids[kept], rows.subject_ids[kept], rows.ers[kept], rows.vectors[kept])


def _counted(parts: Iterator[IndexRows], state: GalleryState, progress: Progress) -> Iterator[IndexRows]:
    loaded = told = 0
    for rows in parts:
        yield rows
        loaded += len(rows.face_ids)
        if loaded - told >= PROGRESS_ROWS:
            progress(state.record, loaded)
            told = loaded
