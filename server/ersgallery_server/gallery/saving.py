"""Saves the index of a gallery for the next start, block by block, while it is searched and changed.

The owner of the index is asked for a block between two batches, and left alone for as long again as a block took. The
walk goes from face id to face id, so whatever moves, comes or goes meanwhile, every row that stays is met once; what
changed is in the store's log after the revision at which the walk began.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import structlog
from ersgallery_index import IndexRows

from ersgallery_server.errors import Overloaded, ShuttingDown
from ersgallery_server.gallery.origins import origin_of, same_vectors
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.snapshots import Header, RowFile, SavedIndex, usual_block_rows
from ersgallery_server.store import GalleryNotFound, Store
from ersgallery_server.values import GalleryRecord

T = TypeVar("T")

OVERLOADED_REST_S = 0.05

log = structlog.get_logger(__name__)

Pause = Callable[[float], bool]
"""Rests for so many seconds, or not at all where there is no time; True says to give up."""


class Ask(Protocol):
    """Has something read by the owner of an index."""

    def __call__(self, work: Callable[[GalleryState], T]) -> Future[T]:
        """Queue it; raises Overloaded and ShuttingDown."""
        ...


def save_index(ask: Ask, saved: SavedIndex, store: Store, pause: Pause) -> bool:
    """Write a snapshot and put it in the place of the former; False where it was given up, and the former stays.

    Raises OSError, for instance where the disk is full; the former stays then, too.
    """
    begun = _asked(ask, lambda state: _begin(state, saved), pause)
    if begun is None:
        return False
    finished = False
    try:
        finished = _write(begun, store.last_key(), ask, pause) and _finish(begun, saved, store)
    finally:
        if not finished:
            saved.abandon(begun.file)
    return finished


@dataclass(frozen=True, slots=True)
class _Begun:
    """A snapshot that grows, of the gallery as it was when that began."""

    file: RowFile
    record: GalleryRecord
    revision: int


def _begin(state: GalleryState, saved: SavedIndex) -> _Begun | None:
    """Begin where the index has anything and all that is stored; on the owner's thread."""
    if state.index.count() == 0 or state.behind_since is not None:
        return None
    file = saved.begin(state.index.revision, state.index.dimension)
    return None if file is None else _Begun(file, state.record, state.index.revision)


def _write(begun: _Begun, last_key: int, ask: Ask, pause: Pause) -> bool:
    """Write blocks up to the last key there was after the beginning; rows that came since are not needed."""
    block_rows = usual_block_rows(begun.record.profile.profile.dimension)
    after = -1
    while after < last_key:
        begun_s = time.monotonic()
        rows = _asked(ask, partial(_block, record=begun.record, after=after, limit=block_rows), pause)
        if rows is None:
            return False
        count = len(rows.face_ids)
        if count and not begun.file.append(rows):
            return False
        if count < block_rows:
            return True
        if pause(time.monotonic() - begun_s):
            return False
        after = int(rows.face_ids[-1])
    return True


def _block(state: GalleryState, record: GalleryRecord, after: int, limit: int) -> IndexRows | None:
    """Return the next rows; None where the index is not what it was."""
    if state.behind_since is not None or not same_vectors(state.record, record):
        return None
    return state.index.rows_after(after, limit)


def _finish(begun: _Begun, saved: SavedIndex, store: Store) -> bool:
    mark = store.mark(begun.record.key, begun.revision)
    if mark is None:  # deleted since, or its log was cut
        return False
    block_rows = usual_block_rows(begun.record.profile.profile.dimension)
    seal = begun.file.seal
    sealed_by = ("", "") if seal is None else (seal.key_id, seal.salt)
    header = Header(origin_of(begun.record), begun.revision, mark, block_rows, begun.file.rows, *sealed_by)
    if not saved.finish(begun.file, header):
        return False
    log.info(
        "saved a snapshot",
        gallery=begun.record.gallery_id,
        rows=header.rows,
        bytes=header.file_bytes,
        revision=header.revision,
    )
    return True


def _asked(ask: Ask, work: Callable[[GalleryState], T | None], pause: Pause) -> T | None:
    """Return what the owner says, whenever its queue has room; None where it is to be given up."""
    while True:
        try:
            return ask(work).result()
        except Overloaded:
            if pause(OVERLOADED_REST_S):
                return None
        except (ShuttingDown, GalleryNotFound):
            return None
