"""The rows of an index on the host: fixed-size segments that are appended to, with tombstones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.codes import CodeBlock
from ersgallery_index.backends.proposers import Backend, Proposer
from ersgallery_index.backends.sketches import Sketch, can_sketch
from ersgallery_index.interface import FloatRows, Ids, IndexKind, Scores

_TAIL_SHARE = 8
"""Rows that do not fill a block yet are coded in blocks of this share, so that few are left without codes."""

_LOCATION_SHIFT = 32
"""A location is a segment's number and a position in it, packed into one int64."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Faces in columns: ids (n,), ers (n,), vectors (n, d)."""

    face_ids: Ids
    subject_ids: Ids
    ers: Scores
    vectors: FloatRows

    def __len__(self) -> int:
        return len(self.face_ids)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Return the chosen rows."""
        return type(self)(self.face_ids[rows], self.subject_ids[rows], self.ers[rows], self.vectors[rows])

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """Return no rows."""
        ids = np.zeros(0, dtype=np.int64)
        return cls(ids, ids, np.zeros(0), np.zeros((0, dimension), dtype=np.float32))

    @classmethod
    def concatenate(cls, parts: list[Self], dimension: int) -> Self:
        """Return the rows of all parts."""
        parts = [cls.empty(dimension), *parts]
        return cls(
            np.concatenate([part.face_ids for part in parts]),
            np.concatenate([part.subject_ids for part in parts]),
            np.concatenate([part.ers for part in parts]),
            np.concatenate([part.vectors for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows a search may see: lowest <= ERS < below."""

    lowest: float
    below: float

    def admits(self, ers: Scores) -> NDArray[np.bool_]:
        """Return which ERS lie in the window."""
        return (ers >= self.lowest) & (ers < self.below)


class Segment:
    """Up to `capacity` rows. Rows are appended and buried, never moved: compaction writes them elsewhere.

    The host arrays are the truth; the proposer may hold a copy of the vectors.
    """

    def __init__(
        self, number: int, backend: Backend, dimension: int, capacity: int, kind: IndexKind = IndexKind.EXACT
    ) -> None:
        self.proposer = backend.open_proposer(dimension, capacity, kind)  # a device may have no room
        self._successor: Proposer | None = None
        self._handed_over = 0
        # Pages that were never written take no memory, so a small gallery stays small.
        self._columns = Rows(
            face_ids=np.empty(capacity, dtype=np.int64),
            subject_ids=np.empty(capacity, dtype=np.int64),
            ers=np.empty(capacity, dtype=np.float64),
            vectors=backend.empty_rows(capacity, dimension),
        )
        self._alive = np.zeros(capacity, dtype=np.bool_)
        self._blocks: dict[int, CodeBlock] = {}
        self.sketch: Sketch | None = None
        self.number = number
        self._backend = backend
        self._dimension = dimension
        self.size = 0
        self.buried = 0

    @property
    def rows(self) -> Rows:
        """All rows written so far, buried ones included, without copying."""
        return self._columns.take(slice(0, self.size))

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which of the rows are not buried."""
        return self._alive[: self.size]

    @property
    def blocks(self) -> list[CodeBlock]:
        """The coded parts of the rows, in their order."""
        blocks = self._blocks
        return [blocks[start] for start in sorted(blocks)]

    @property
    def error(self) -> float:
        """How far a proposed score can be from the real one."""
        return self.proposer.error(self._dimension)

    def bare_runs(self, probes: int = 1) -> Iterator[slice]:
        """Return the runs of rows that have no codes, in pieces that one worker takes for so many probes."""
        rows = self._backend.run_rows(probes, self._dimension)
        start = 0
        for block in self.blocks:
            yield from _pieces(start, block.start, rows)
            start = block.stop
        yield from _pieces(start, self.size, rows)

    @property
    def capacity(self) -> int:
        """How many rows fit in all."""
        return len(self._alive)

    @property
    def room(self) -> int:
        """How many more rows fit."""
        return len(self._alive) - self.size

    def append(self, rows: Rows) -> Ids:
        """Write rows, which must fit, and return their locations."""
        self.proposer.append(rows.vectors)
        target = slice(self.size, self.size + len(rows))
        self._columns.face_ids[target] = rows.face_ids
        self._columns.subject_ids[target] = rows.subject_ids
        self._columns.ers[target] = rows.ers
        self._columns.vectors[target] = rows.vectors
        self._alive[target] = True
        positions = np.arange(self.size, self.size + len(rows))
        self.size += len(rows)
        return (self.number << _LOCATION_SHIFT) | positions

    def uncoded(self, block_rows: int, *, tail: bool) -> list[slice]:
        """Return the full blocks that have no codes, and with `tail` smaller ones of the rows behind them."""
        full = self.size - self.size % block_rows
        wanted = [slice(start, start + block_rows) for start in range(0, full, block_rows)]
        if tail:
            small = max(1, block_rows // _TAIL_SHARE)
            wanted += [slice(start, start + small) for start in range(full, self.size - small + 1, small)]
        blocks = self._blocks
        return [rows for rows in wanted if rows.start not in blocks or blocks[rows.start].stop < rows.stop]

    def coded(self, rows: slice) -> CodeBlock:
        """Return written rows in codes; any thread may ask, for rows that were written are only ever wiped."""
        part = self._columns.take(rows)
        return CodeBlock.of(rows.start, part.vectors, part.ers)

    def take_codes(self, block: CodeBlock) -> None:
        """Search these rows by their codes from now on; one thread at a time may give them, while others search."""
        blocks = self._blocks.values()
        if any(other.start <= block.start and block.stop <= other.stop for other in blocks):
            return
        kept = {other.start: other for other in blocks if other.stop <= block.start or block.stop <= other.start}
        self._blocks = kept | {block.start: block}

    @property
    def can_have_sketch(self) -> bool:
        """Tell whether the segment is full, and has no sketch yet."""
        return self.sketch is None and self.room == 0 and can_sketch(self.size, self._columns.vectors.shape[1])

    def take_sketch(self, sketch: Sketch) -> None:
        """Let searches that may be approximate use this sketch; any thread may give it."""
        self.sketch = sketch

    def forget_codes(self, *, codes: bool, sketch: bool) -> None:
        """Search all rows without these from now on."""
        if codes:
            self._blocks = {}
        if sketch:
            self.sketch = None

    def is_of(self, kind: IndexKind) -> bool:
        """Tell whether its proposer is of this kind and will stay it."""
        return self.proposer.kind is kind and self._successor is None

    def hand_over(self, kind: IndexKind, most: int) -> None:
        """Copy so many more rows to a proposer of another kind, which takes over when it has them all.

        Raises DeviceFull where there is no room for it beside the present one.
        """
        if self.proposer.kind is kind:
            self._successor = None
            return
        if self._successor is None:
            self._successor, self._handed_over = self._backend.open_proposer(self._dimension, len(self._alive), kind), 0
        stop = min(self.size, self._handed_over + most)
        self._successor.append(self._columns.vectors[self._handed_over : stop])
        self._handed_over = stop
        if stop == self.size:
            self.proposer, self._successor = self._successor, None

    def bury(self, positions: NDArray[np.intp]) -> None:
        """Mark rows as removed, and wipe their vectors so that a deleted face is gone from all memory at once."""
        self._alive[positions] = False
        self._columns.vectors[positions] = 0.0
        self.proposer.wipe(positions)
        if self._successor:
            self._successor.wipe(positions)
        self.buried += len(positions)


def _pieces(start: int, stop: int, rows: int) -> Iterator[slice]:
    for first in range(start, stop, rows):
        yield slice(first, min(first + rows, stop))


class Part:
    """The segments of one side of the usual gate; only the last one has room. kind: of the segments to come."""

    def __init__(self, backend: Backend, dimension: int, numbers: Iterator[int]) -> None:
        self._backend = backend
        self._dimension = dimension
        self._numbers = numbers
        self.kind = IndexKind.EXACT
        self.segments: dict[int, Segment] = {}
        self._open: Segment | None = None

    @property
    def alive(self) -> int:
        """How many rows are not buried."""
        return sum(segment.size - segment.buried for segment in list(self.segments.values()))

    def append(self, rows: Rows) -> Ids:
        """Write rows behind the others and return their locations; all of them or, when a device is full, none."""
        written: list[tuple[Segment, Ids]] = []
        start = 0
        try:
            while start < len(rows):
                segment = self._segment_with_room(len(rows) - start)
                chunk = rows.take(slice(start, start + segment.room))
                written.append((segment, segment.append(chunk)))
                start += len(chunk)
        except BaseException:
            for segment, locations in written:
                segment.bury(unpack_locations(locations)[1])
            raise
        return np.concatenate([np.zeros(0, dtype=np.int64), *(locations for _, locations in written)])

    def sparse(self, share: float) -> list[Segment]:
        """Return the segments to be emptied; nothing is appended to them any more.

        These are the ones of which more than this share is buried, and full ones that are too small to be worth a call
        of their own, where they fit into the one that has room.
        """
        small = self._backend.small_rows(sum(segment.size for segment in self.segments.values()))
        found = [
            segment
            for segment in self.segments.values()
            if segment.buried > share * segment.size or (segment.size < small and self._can_take(segment))
        ]
        if self._open in found:
            self._open = None
        return found

    def _can_take(self, segment: Segment) -> bool:
        """Tell whether the segment with room takes all of another, smaller one: after that there is one less."""
        target = self._open
        if target is None or target is segment:
            return False
        return target.room >= segment.size - segment.buried and target.capacity > segment.capacity

    def drop(self, segment: Segment) -> None:
        """Forget a segment whose living rows are elsewhere."""
        del self.segments[segment.number]
        if self._open is segment:
            self._open = None

    def _segment_with_room(self, wanted: int) -> Segment:
        if self._open is None or self._open.room == 0:
            present = sum(segment.size for segment in self.segments.values())
            rows = self._backend.segment_rows(present, wanted, self._dimension, self.kind)
            self._open = Segment(next(self._numbers), self._backend, self._dimension, rows, self.kind)
            self.segments[self._open.number] = self._open
        return self._open


def unpack_locations(locations: Ids) -> tuple[Ids, Ids]:
    """Return the segment numbers and the positions of locations."""
    return locations >> _LOCATION_SHIFT, locations & ((1 << _LOCATION_SHIFT) - 1)
