"""Searches of a gallery's own faces among the faces of all other subjects, in blocks that give way to callers."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from ersgallery_index import IndexRows
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.hits import Found, from_hits
from ersgallery_index.interface import By, FloatRows, Ids
from numpy.typing import NDArray

from ersgallery_server.calibrations.giving_way import GivingWay
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.origins import same_vectors
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.operations import Progress
from ersgallery_server.values import GalleryRecord

READ_ROWS = 1024
"""Rows that are copied out of the index at once; at 512 dimensions they are 2 MiB."""

FIRST_OTHERS, WIDENED = 4, 8
"""Most faces resemble nobody: few subjects are asked for first, and so many times more where all were similar."""

STRANGER = -1
"""Whose a probe is that shows nobody who is enrolled."""

T = TypeVar("T")


class OtherSubjects:
    """Reads a gallery's index and searches it, as long as it holds the vectors that it held at first.

    Raises CalibrationFailed (GALLERY_CHANGED) once it does not, for scores would be of two kinds.
    """

    def __init__(self, gallery: Gallery, record: GalleryRecord, progress: Progress) -> None:
        self._record = record
        self._progress = progress
        self._owner = GivingWay(gallery, progress)
        self._told = 0, 0

    def ask(self, work: Callable[[GalleryState], T]) -> T:
        """Return what some work on the index gives."""

        def checked(state: GalleryState) -> T:
            if not same_vectors(state.record, self._record):
                raise CalibrationFailed(
                    "GALLERY_CHANGED",
                    "the gallery got another profile, enhancement or kind of search while it was searched",
                )
            return work(state)

        return self._owner.ask(checked)

    def rows(self) -> Iterator[IndexRows]:
        """Yield all rows by their ids, and for certain those that are there throughout."""
        total = self.ask(lambda state: state.index.count())
        done, last = 0, 0
        while True:
            self.tell(done, max(done, total))
            rows = self.ask(lambda state, last=last: state.index.rows_after(last, READ_ROWS))  # type: ignore[misc]
            if not len(rows.face_ids):
                return
            yield rows
            done, last = done + len(rows.face_ids), int(rows.face_ids[-1])

    def tell(self, done: int, total: int) -> None:
        """Tell the progress, which each block of a search repeats, so that it can be cancelled there."""
        self._told = done, total
        self._progress(done, total)

    def nearest(self, vectors: FloatRows, owners: Ids, gate: float, k: int) -> Found:
        """Return the k nearest other subjects of each row (n, d), each by its best face at or above the gate.

        owners (n,): the subject of each, which is left out, or STRANGER.
        """
        parts: list[Found] = []
        start = 0
        while start < len(vectors):
            self._progress(*self._told)
            some = np.arange(start, min(start + self._owner.rows, len(vectors)))
            parts.append(self._search(vectors[some], owners[some], gate, k).of_probes(some))
            start += len(some)
        return Found.concatenate(parts)

    def from_score(self, vectors: FloatRows, owners: Ids, gate: float, threshold: float, most: int) -> Found:
        """Return the other subjects of each row from a similarity on, of each row the `most` best; as `nearest`."""
        found: list[Found] = []
        left, k = np.arange(len(vectors)), min(FIRST_OTHERS, most)
        while len(left):
            some = self.nearest(vectors[left], owners[left], gate, k)
            similar = some.take(some.scores >= threshold)
            full = np.bincount(similar.probes, minlength=len(left)) >= k if k < most else _none(len(left))
            found.append(similar.take(~full[similar.probes]).of_probes(left))
            left, k = left[full], min(k * WIDENED, most)
        return Found.concatenate(found)

    def _search(self, vectors: FloatRows, owners: Ids, gate: float, k: int) -> Found:
        gates = np.full(len(vectors), gate)
        hits = self.ask(lambda state: state.index.search(vectors, gates, k + 1, By.SUBJECT))
        found = from_hits(hits)
        others = found.take(found.subject_ids != owners[found.probes])
        ranks = np.arange(len(others)) - np.searchsorted(others.probes, others.probes, side="left")
        return others.take(ranks < k)


def _none(count: int) -> NDArray[np.bool_]:
    return np.zeros(count, np.bool_)
