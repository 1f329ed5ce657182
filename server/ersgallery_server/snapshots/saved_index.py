"""The snapshot of one gallery's index: the complete file, the one that grows to replace it, and what must leave both.

A delete is answered after its rows are zero on the disk in every snapshot that could hold them. A file whose walk over
the index began at the revision of the delete, or later, never met them.
"""

import os
import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from ersgallery_server.keys import NO_KEYS, KeyRing
from ersgallery_server.snapshots.layout import Header, usual_block_rows
from ersgallery_server.snapshots.row_file import RowFile
from ersgallery_server.snapshots.sealed_blocks import BlockSeal

Ids = NDArray[np.int64]

log = structlog.get_logger(__name__)


class SavedIndex:
    """The snapshot of a gallery, if it has one; safe for concurrent use."""

    def __init__(self, path: Path, eraser: ThreadPoolExecutor, keys: KeyRing = NO_KEYS) -> None:
        self.path = path
        self._keys = keys
        self._eraser = eraser
        self._complete: RowFile | None = None
        self._growing: RowFile | None = None
        self._waiting: list[tuple[int, Ids, Future[None]]] = []
        self._rows = 0
        self._changed_faces = 0
        self._changed_when_begun = 0
        self._closed = False
        self._lock = threading.Lock()

    @property
    def rows(self) -> int:
        """Return how many rows the complete snapshot has; 0 where there is none."""
        return self._rows

    @property
    def changed_faces(self) -> int:
        """Return how many faces came or went since it was begun."""
        return self._changed_faces

    def note_changes(self, faces: int) -> None:
        """Tell that faces came or went."""
        with self._lock:
            self._changed_faces += faces

    def open(self) -> tuple[RowFile, Header] | None:
        """Open the file that an earlier server left, None where there is none; raises SnapshotRefused."""
        try:
            return RowFile.open(self.path, self._keys)
        except FileNotFoundError:
            return None

    def adopt(self, file: RowFile) -> None:
        """Keep an opened file, which an index was restored from: what is deleted from now on is erased in it."""
        with self._lock:
            self._complete, self._rows = file, file.rows

    def begin(self, revision: int, dimension: int) -> RowFile | None:
        """Make a file to grow beside the complete one; None when closed. On the thread that owns the index alone.

        Mutations that the owner makes after it are erased in the new file, those before are not in the index any more.
        """
        with self._lock:
            if self._closed:
                return None
            self._temporary.unlink(missing_ok=True)
            self._changed_when_begun = self._changed_faces
            seal = BlockSeal.new(self._keys)
            self._growing = RowFile.create(self._temporary, revision, usual_block_rows(dimension), dimension, seal)
            return self._growing

    def finish(self, file: RowFile, header: Header) -> bool:
        """Put a file that has grown in the place of the complete one; False where it was dropped meanwhile."""
        if not file.complete(header):
            return False
        with self._lock:
            if self._growing is not file:
                return False
            self._temporary.replace(self.path)
            former, self._complete, self._growing = self._complete, file, None
            self._rows = file.rows
            self._changed_faces -= self._changed_when_begun
        _sync_folder(self.path.parent)
        if former is not None:
            former.close()
        return True

    def abandon(self, file: RowFile) -> None:
        """Throw a growing file away."""
        with self._lock:
            if self._growing is file:
                self._growing = None
                self._temporary.unlink(missing_ok=True)
        file.close()

    def erase(self, revision: int, ids: Ids, done: "Future[None]") -> None:
        """Erase rows that a mutation has taken out of the index; `done` resolves once they are in no file any more.

        Returns at once. Deletions that wait together share their writes to the disk.
        """
        with self._lock:
            needed = bool(self._files(revision))
            if needed:
                self._waiting.append((revision, ids, done))
        if not needed:
            done.set_result(None)
            return
        try:
            self._eraser.submit(self._erase_waiting)
        except RuntimeError:  # the server stops, and its eraser has
            self._erase_waiting()

    def drop(self) -> None:
        """Remove all files, whoever works on them."""
        with self._lock:
            files = [file for file in (self._complete, self._growing) if file is not None]
            self._complete = self._growing = None
            self._changed_faces += self._rows
            self._rows = 0
            self.path.unlink(missing_ok=True)
            self._temporary.unlink(missing_ok=True)
        for file in files:
            file.close()

    def close(self, *, drop: bool = False) -> None:
        """Begin no more files; keep the complete one for the next start, or remove it with the gallery."""
        with self._lock:
            self._closed = True
        if drop:
            self.drop()
        elif (complete := self._complete) is not None:
            complete.close()

    @property
    def _temporary(self) -> Path:
        return self.path.with_suffix(".growing")

    def _files(self, revision: int) -> list[RowFile]:
        """Return the files that may hold what a revision deleted."""
        return [each for each in (self._complete, self._growing) if each is not None and each.revision < revision]

    def _erase_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            files = self._files(max((revision for revision, _, _ in waiting), default=0))
        try:
            for file in files:
                ids = [ids for revision, ids, _ in waiting if revision > file.revision]
                file.erase(np.unique(np.concatenate(ids)))
        except Exception:
            log.exception("rows could not be erased in a snapshot; it is removed instead", path=str(self.path))
            self._drop_for(waiting)
            return
        for _, _, done in waiting:
            done.set_result(None)

    def _drop_for(self, waiting: list[tuple[int, Ids, "Future[None]"]]) -> None:
        try:
            self.drop()
        except OSError as error:
            log.critical("a snapshot with deleted faces could not be removed", path=str(self.path), exc_info=error)
            for _, _, done in waiting:
                done.set_exception(error)
            return
        for _, _, done in waiting:
            done.set_result(None)


class SnapshotFolder:
    """The snapshots of all galleries of a server, one file for each, by the gallery's key; encrypted where keys are."""

    def __init__(self, path: Path, keys: KeyRing = NO_KEYS) -> None:
        self._path = path
        self._keys = keys
        self._eraser = ThreadPoolExecutor(1, thread_name_prefix="snapshot-eraser")

    def saved_index(self, gallery_key: int) -> SavedIndex:
        """Return the place of a gallery's snapshot."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SavedIndex(self._path / f"{gallery_key}.snapshot", self._eraser, self._keys)

    def sweep(self, gallery_keys: Collection[int]) -> None:
        """Remove what a killed server did not finish, and the snapshots of galleries that are gone."""
        known = {f"{key}.snapshot" for key in gallery_keys}
        for file in self._path.glob("*"):
            if file.suffix == ".growing" or (file.suffix == ".snapshot" and file.name not in known):
                log.info("removing a snapshot that no gallery needs", path=str(file))
                with suppress(FileNotFoundError):
                    file.unlink()

    def close(self) -> None:
        """Finish what is to be erased."""
        self._eraser.shutdown()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
