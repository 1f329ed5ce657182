"""The exact index: FAISS proposes in float32, float64 decides."""

import itertools
import math
import time
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.coder import Coder
from ersgallery_index.backends.exact_search import Request, search_exactly
from ersgallery_index.backends.lookup import NOWHERE, Lookup
from ersgallery_index.backends.proposers import Backend
from ersgallery_index.backends.rows import Rows, Window, checked_rows
from ersgallery_index.backends.segments import Part, Segment, unpack_locations, usage_of
from ersgallery_index.backends.widths import Tuning, first_widths
from ersgallery_index.embeddings import require_unit_rows
from ersgallery_index.errors import DeviceFull, InvalidPolicy
from ersgallery_index.hits import Found, by_probe, to_hits
from ersgallery_index.interface import By, FloatRows, Hits, Ids, IndexKind, IndexRows, Scores, Side, Snapshot, Usage

_STUCK_S, _QUIET_S = 1.0, 0.5
"""When rows that found no room are moved again, and when rows that do not fill a block are coded."""

_HANDED_OVER_AT_ONCE = 16_384
_MOVED_AT_ONCE = 32_768
"""Rows that one piece of tidying copies, so that a search need not wait long for it."""

NO_IDS: Ids = np.empty(0, dtype=np.int64)


class ExactIndex:
    """Implements VectorIndex: scores are float64 dot products of the float32 rows, ties go to the lower face id.

    Faces below the usual gate live in a part of their own, so that a search under that gate never meets them. Removed
    rows stay as tombstones until a segment has too many, then its living rows are appended elsewhere.
    Searches change nothing, so on a CPU several threads may search while nobody applies.
    """

    def __init__(self, dimension: int, backend: Backend, tuning: Tuning | None = None) -> None:
        self._dimension = dimension
        self._backend = backend
        self._tuning = tuning or Tuning()
        self._revision, self._gate = 0, 0.0
        self._sorted = True
        """Whether every face is in the part of the usual gate that it belongs to."""
        numbers = itertools.count()
        self._passing = Part(backend, dimension, numbers)
        self._below = Part(backend, dimension, numbers)
        self._lookup = Lookup()
        self._kind = IndexKind.EXACT
        self._coder = Coder(backend.code_rows) if backend.code_rows else None
        self._row_kind = self._present_kind = IndexKind.EXACT
        self._stuck_until_s = -math.inf
        """When rows that found no room are tried again, unless something changes before."""
        self._changed_s: float | None = None
        """When rows changed last; None: all that can have codes is being coded."""

    @property
    def dimension(self) -> int:
        """The dimension of the vectors."""
        return self._dimension

    @property
    def revision(self) -> int:
        """The revision of the last mutation applied."""
        return self._revision

    @property
    def precision(self) -> str:
        """What a score is worth, and whether a better one can have been missed."""
        return "approximate-float64" if self.kind is IndexKind.APPROXIMATE else "exact-float64"

    @property
    def kind(self) -> IndexKind:
        """How the rows are searched now."""
        if self._coder is None:
            return self._present_kind
        if not self._coder.codes:
            return IndexKind.EXACT
        return IndexKind.APPROXIMATE if self._coder.sketches else IndexKind.FAST

    @property
    def coded(self) -> int:
        """How many rows are searched by their codes."""
        return sum(block.stop - block.start for segment in self._segments() for block in segment.blocks)

    @property
    def batch_rows(self) -> int:
        """How many probes one search takes at once."""
        return self._backend.probes_at_once

    @property
    def capacity(self) -> int | None:
        """How many faces fit, those that are there included; None: nobody knows."""
        free = self._backend.free_rows(self._dimension, self._row_kind)
        return None if free is None else self.count() + free

    @property
    def device(self) -> str:
        """Where the rows are searched."""
        return self._backend.name

    def apply(
        self,
        revision: int,
        removed_ids: Ids,
        ids: Ids,
        subject_ids: Ids,
        ers: Scores,
        vectors: FloatRows,
    ) -> None:
        """Remove, then add or replace faces, as one step; everything is checked before anything changes.

        A revision at or below the present one changes nothing. Raises InvalidEmbedding for vectors of another
        dimension, NaN, infinity or no unit length; ValueError for columns that do not fit together, a face id given
        twice or an ERS outside 0..1; DeviceFull when the rows do not fit on the device.
        """
        if revision <= self._revision:
            return
        try:
            self._add(checked_rows(self._dimension, Rows(ids, subject_ids, ers, vectors)), removed_ids)
        finally:
            self._backend.redeem(len(ids), self._dimension, self._row_kind)
        self._follow()
        self._revision = revision

    def restore(self, revision: int, parts: Iterable[IndexRows]) -> None:
        """Fill an empty index part by part, then take the revision; raises as apply does, ValueError when not empty.

        After an error the index is of no use.
        """
        if len(self._segments()) or self._revision:
            raise ValueError("only an empty index can be restored")
        found: list[tuple[Ids, Ids, Ids]] = []
        for part in parts:
            rows = checked_rows(self._dimension, Rows(part.face_ids, part.subject_ids, part.ers, part.vectors))
            self._backend.require_room(len(rows), self._dimension)
            found.append((rows.face_ids.copy(), rows.subject_ids.copy(), self._write(rows)))
            self._follow()
        self._lookup.fill(found)
        self._follow(tail=True)
        self._revision = revision

    def search(self, vectors: FloatRows, gates: Scores, k: int, by: By, side: Side = Side.PASSING) -> Hits:
        """Return the k best of each probe among the faces on the wanted side of its gate, exactly.

        Raises InvalidEmbedding for probes of another dimension, NaN, infinity or no unit length, InvalidPolicy for a
        gate that is no number or k < 1, ValueError when probes and gates differ in number.
        """
        probes = np.ascontiguousarray(vectors, dtype=np.float32)
        require_unit_rows(probes, self._dimension)
        if len(gates) != len(probes):
            raise ValueError(f"{len(probes)} probes need as many gates, not {len(gates)}")
        if k < 1:
            raise InvalidPolicy("k", "must be at least 1")
        if np.isnan(gates).any():
            raise InvalidPolicy("gate", "must be a number")
        found = []
        for gate in np.unique(gates):
            rows = np.flatnonzero(gates == gate)
            some = self._search_group(probes[rows], float(gate), k, by, side)
            found.append(some.of_probes(rows.astype(np.int64)))
        return to_hits(by_probe(found), len(probes))

    def subject_faces(self, subject_id: int) -> Snapshot:
        """Return the rows of one subject by face id."""
        face_ids = self._lookup.faces_of(subject_id)
        locations = self._lookup.locate(face_ids)
        rows = self._read(locations[locations != NOWHERE])
        return self._as_snapshot(rows.take(rows.subject_ids == subject_id))

    def count(self, gate: float = 0.0) -> int:
        """Return how many faces have ERS >= gate."""
        if gate == self._gate and self._sorted:
            return self._passing.alive
        if gate <= 0.0:
            return self._passing.alive + self._below.alive
        window = Window(gate, math.inf)
        return sum(int(np.count_nonzero(each.alive & window.admits(each.rows.ers))) for each in self._segments())

    def usage(self) -> Usage:
        """Return what the index holds; any thread may ask."""
        return usage_of(self._passing, self._below, self._dimension)

    def set_gate(self, gate: float) -> None:
        """Make this the usual gate; the faces between the old and the new one move to the other part as tidy is called.

        Raises InvalidPolicy for a gate outside 0..1.
        """
        if not 0.0 <= gate <= 1.0:
            raise InvalidPolicy("gate", "must lie in 0..1")
        if gate != self._gate:
            self._gate = gate
            self._stuck_until_s = -math.inf
            self._sorted = not self._segments()

    def tidy(self) -> bool:
        """Put the faces of one segment where they belong, or compact one; return whether there may be more to do.

        No step touches more than one segment, so that searches need not wait long.
        """
        # Another kind of rows may take less memory, so it is tried where moving rows found none.
        for piece in (self._tidy_rows, self._tidy_kinds):
            try:
                done = piece()
            except DeviceFull:
                continue
            if done:
                self._follow()
                return True
        self._code_tail()
        return False

    def set_kind(self, kind: IndexKind) -> None:
        """Search by codes or not from now on, on a device by float16 rows or not.

        Codes are made behind the searches, block by block; rows of a device are copied segment by segment as tidy is
        called, beside the present ones.
        """
        self._kind = kind
        self._follow(tail=True)

    def require_room(self, faces: int) -> None:
        """Raise DeviceFull unless so many more faces fit; any thread may ask."""
        free = self._backend.free_rows(self._dimension, self._row_kind)
        if free is not None and faces > free:
            raise DeviceFull(f"{self.device} has memory for {free} more faces of this gallery, not for {faces}")
        self._backend.promise(faces, self._dimension, self._row_kind)

    def settle(self) -> None:
        """Wait for the codes that are being made."""
        if self._coder:
            self._coder.finish()

    def snapshot(self) -> Snapshot:
        """Return a copy of all rows by face id."""
        living = [segment.rows.take(segment.alive) for segment in self._segments()]
        return self._as_snapshot(Rows.concatenate(living, self._dimension))

    def rows_after(self, face_id: int, limit: int) -> IndexRows:
        """Return a copy of the rows with the lowest face ids above one, by face id, at most `limit`."""
        return self._as_snapshot(self._read(self._lookup.locate(self._lookup.faces_after(face_id, limit))))

    def _search_group(self, probes: FloatRows, gate: float, k: int, by: By, side: Side) -> Found:
        """Search probes that share a gate, in the parts that can hold an answer."""
        both = [self._passing, self._below]
        if side is Side.PASSING:
            window = Window(gate, math.inf)
            parts = [self._passing] if self._sorted and gate >= self._gate else both
        else:
            window = Window(-math.inf, gate)
            parts = [self._below] if self._sorted and gate <= self._gate else both
        segments = [segment for part in parts for segment in part.segments.values()]
        usual = self._sorted and gate == self._gate
        widths = first_widths(segments, window, len(probes), k, self._tuning, self._backend.widest, all_alive=usual)
        request = Request(window, k, by)
        found = []
        step = self._backend.probes_at_once
        for start in range(0, len(probes), step):
            some = search_exactly(segments, probes[start : start + step], request, widths, self._backend.widest)
            found.append(some.of_probes(np.arange(start, start + step)))
        return by_probe(found)

    def _code_tail(self) -> None:
        """Code the last rows too, once nothing has changed for a while."""
        if self._changed_s is not None and time.monotonic() - self._changed_s > _QUIET_S:
            self._follow(tail=True)

    def _follow(self, *, tail: bool = False) -> None:
        """Keep codes, or rows on a device, as the kind asks, which for AUTO depends on how many faces there are."""
        self._changed_s = None if tail else time.monotonic()
        self._stuck_until_s = -math.inf
        if self._coder:
            codes = self._fast(self._tuning.fast_from, now=self._coder.codes)
            sketches = self._kind is IndexKind.APPROXIMATE
            if codes or self._coder.codes:
                self._coder.follow(self._segments(), codes=codes, sketches=sketches, tail=tail)
        elif self._backend.fast_from is not None:
            fast = self._fast(self._backend.fast_from, now=self._row_kind is IndexKind.FAST)
            self._row_kind = IndexKind.FAST if fast else IndexKind.EXACT
            for part in (self._passing, self._below):
                part.kind = self._row_kind
            present = {segment.proposer.kind for segment in self._segments()} or {self._row_kind}
            self._present_kind = IndexKind.FAST if present == {IndexKind.FAST} else IndexKind.EXACT

    def _fast(self, from_faces: int, *, now: bool) -> bool:
        if self._kind is not IndexKind.AUTO:
            return self._kind is not IndexKind.EXACT
        return self.count() >= from_faces // (2 if now else 1)  # a gallery at the limit must not waver

    def _segments(self) -> list[Segment]:
        return [*self._passing.segments.values(), *self._below.segments.values()]

    def _add(self, rows: Rows, removed_ids: Ids = NO_IDS) -> None:
        self._backend.require_room(len(rows), self._dimension)
        # Written first: a device that turns out to be full has then changed nothing.
        locations = self._write(rows)
        self._bury(np.concatenate([np.asarray(removed_ids, dtype=np.int64), rows.face_ids]))
        self._lookup.place(rows.face_ids, locations)
        self._lookup.enlist(rows.subject_ids, rows.face_ids)

    def _write(self, rows: Rows) -> Ids:
        """Write rows into the part of their ERS and return their locations."""
        passing = rows.ers >= self._gate
        locations = np.empty(len(rows), dtype=np.int64)
        locations[passing] = self._passing.append(rows.take(passing))
        try:
            locations[~passing] = self._below.append(rows.take(~passing))
        except BaseException:
            self._bury_at(locations[passing])
            raise
        return locations

    def _bury(self, face_ids: Ids) -> None:
        """Remove the faces that are there."""
        face_ids = np.unique(face_ids)
        locations = self._lookup.locate(face_ids)
        known = locations != NOWHERE
        self._bury_at(locations[known])
        self._lookup.place(face_ids[known], np.full(int(known.sum()), NOWHERE, dtype=np.int64))

    def _bury_at(self, locations: Ids) -> None:
        for segment, positions in self._located(locations):
            segment.bury(positions)

    def _tidy_rows(self) -> bool:
        """Move rows of one segment; return whether there were any to move."""
        if time.monotonic() < self._stuck_until_s:
            return False
        segment = self._next_misplaced() or self._next_sparse()
        if segment:
            self._empty(*segment)
        return segment is not None

    def _tidy_kinds(self) -> bool:
        """Copy rows of one segment to a proposer of the wanted kind; return whether there were any to copy."""
        segment = self._next_of_other_kind()
        if segment:
            segment.hand_over(self._row_kind, _HANDED_OVER_AT_ONCE)
        return segment is not None

    def _next_misplaced(self) -> tuple[Segment, NDArray[np.intp]] | None:
        """Return a segment with living rows that belong to the other part of the gate, and these rows."""
        if self._sorted:
            return None
        low, high = Window(-math.inf, self._gate), Window(self._gate, math.inf)
        for part, window in ((self._passing, low), (self._below, high)):
            for segment in part.segments.values():
                rows = np.flatnonzero(segment.alive & window.admits(segment.rows.ers))
                if len(rows):
                    return segment, rows[:_MOVED_AT_ONCE]
        self._sorted = True
        return None

    def _next_sparse(self) -> tuple[Segment, NDArray[np.intp]] | None:
        """Return a segment of which too much is buried, taken out of use for new rows, and its living rows."""
        for part in (self._passing, self._below):
            for segment in part.sparse(self._tuning.sparse_share):
                return segment, np.flatnonzero(segment.alive)[:_MOVED_AT_ONCE]
        return None

    def _next_of_other_kind(self) -> Segment | None:
        """Return a segment whose rows on the device are not of the kind that is wanted."""
        if self._backend.fast_from is None:
            return None
        return next((segment for segment in self._segments() if not segment.is_of(self._row_kind)), None)

    def _empty(self, segment: Segment, positions: NDArray[np.intp]) -> None:
        """Write rows of a segment elsewhere and bury them there; a segment without living rows is dropped."""
        rows = segment.rows.take(positions)
        both = (self._passing, self._below)
        was_open = [part for part in both if part.set_aside(segment)]
        try:
            locations = self._write(rows)
        except DeviceFull:
            self._stuck_until_s = time.monotonic() + _STUCK_S
            raise
        finally:
            for part in was_open:
                part.reopen(segment)
        self._lookup.place(rows.face_ids, locations)
        segment.bury(positions)
        for part in both:
            if segment.buried == segment.size and segment.number in part.segments:
                part.drop(segment)

    def _read(self, locations: Ids) -> Rows:
        return Rows.concatenate([each.rows.take(rows) for each, rows in self._located(locations)], self._dimension)

    def _located(self, locations: Ids) -> list[tuple[Segment, NDArray[np.intp]]]:
        """Return the positions in each segment that locations name."""
        numbers, positions = unpack_locations(locations)
        every = self._passing.segments | self._below.segments
        return [(every[number], positions[numbers == number]) for number in np.unique(numbers).tolist()]

    def _as_snapshot(self, rows: Rows) -> Snapshot:
        ordered = rows.take(np.argsort(rows.face_ids))
        return Snapshot(ordered.face_ids, ordered.subject_ids, ordered.ers, ordered.vectors, revision=self._revision)
