"""When the indexes of galleries are saved: one thread watches what changes and writes one snapshot at a time."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ersgallery_server.gallery.saving import Pause
from ersgallery_server.snapshots import SavedIndex
from ersgallery_server.store import StoreError

TICK_S = 1.0
CHANGED_SHARE = 0.1
"""A snapshot that lacks a tenth of the faces is caught up with about as fast as it is read."""

MOST_CHANGED_FACES = 500_000
"""So many make a snapshot due in the largest galleries, too: the store's log keeps a million changes by default."""

CHANGED_SHARE_AT_THE_END = 0.01
SETTLED_SHARE = 0.05
"""While more than this share of what makes a snapshot due comes in each second, a bulk enrolment is under way."""

FAILED_REST_S = 60.0

log = structlog.get_logger(__name__)


class Saveable(Protocol):
    """A gallery whose index can be saved."""

    @property
    def saved(self) -> SavedIndex:
        """Its snapshot."""
        ...

    def save(self, pause: Pause) -> bool:
        """Write a snapshot; False where it was given up. Raises OSError and StoreError."""
        ...


class SnapshotSaver:
    """Saves galleries of which enough has changed, and the rest at the end.

    changed_faces: so many faces at least, and a tenth of what the last snapshot has, make a snapshot due once changes
    come slowly; where they keep coming, as many as the last snapshot has. Rewriting all for each tenth of a bulk
    enrolment would cost more than the enrolment.
    """

    def __init__(self, galleries: Callable[[], Sequence[Saveable]], changed_faces: int) -> None:
        self._galleries = galleries
        self._changed_faces = changed_faces
        self._stop = threading.Event()
        self._seen: dict[SavedIndex, int] = {}
        self._rest_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="snapshot-saver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give up what is being written and begin nothing more."""
        self._stop.set()
        self._thread.join()

    def save_rest(self, deadline_s: float) -> None:
        """Save, after `stop`, what would take long to catch up with; until deadline_s as of time.monotonic()."""
        for gallery in self._galleries():
            least = max(self._changed_faces, CHANGED_SHARE_AT_THE_END * gallery.saved.rows)
            if gallery.saved.changed_faces >= least:
                self._save(gallery, lambda _: time.monotonic() > deadline_s)

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            galleries = self._galleries()
            for gallery in galleries:
                if self._is_due(gallery.saved):
                    self._save(gallery, self._stop.wait)
            self._seen = {each.saved: each.saved.changed_faces for each in galleries}

    def _is_due(self, saved: SavedIndex) -> bool:
        changed = saved.changed_faces
        least = max(self._changed_faces, min(MOST_CHANGED_FACES, CHANGED_SHARE * saved.rows))
        if changed < least or time.monotonic() < self._rest_until_s:
            return False
        return changed - self._seen.get(saved, 0) <= SETTLED_SHARE * least or changed >= saved.rows

    def _save(self, gallery: Saveable, pause: Pause) -> None:
        try:
            gallery.save(pause)
        except (OSError, StoreError):
            self._rest_until_s = time.monotonic() + FAILED_REST_S
            log.exception("a snapshot could not be written; the former one stays", path=str(gallery.saved.path))
