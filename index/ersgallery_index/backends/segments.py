"""The rows of an index on the host: fixed-size segments that are appended to, with tombstones."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.backends.codes import CodeBlock
from ersgallery_index.backends.proposers import Backend, Proposer
from ersgallery_index.backends.rows import Rows
from ersgallery_index.backends.sketches import Sketch, Sketcher, can_sketch
from ersgallery_index.interface import Ids, IndexKind, Usage

_SKETCH_AGAIN = 1.25
"""A segment that is not full is sketched again when it has grown so much."""

_TAIL_SHARE = 8
"""Rows that do not fill a block yet are coded in blocks of this share, so that few are left without codes."""

_COLUMN_BYTES = 25
"""Of a row beside its vector: two ids, the ERS, and whether it lives."""

_LOCATION_SHIFT = 32
"""A location is a segment's number and a position in it, packed into one int64."""


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

    def bare_runs(self, blocks: Sequence[CodeBlock], probes: int = 1) -> Iterator[slice]:
        """Return the runs of rows outside of these blocks, in pieces that one worker takes for so many probes."""
        rows = self._backend.run_rows(probes, self._dimension)
        start = 0
        for block in blocks:
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
        """Return the full blocks that have no codes.

        With `tail` also those that still code rows which were wiped since, and smaller ones of the rows behind them.
        """
        full = self.size - self.size % block_rows
        wanted = [slice(start, start + block_rows) for start in range(0, full, block_rows)]
        if tail:
            small = max(1, block_rows // _TAIL_SHARE)
            wanted += [slice(start, start + small) for start in range(full, self.size - small + 1, small)]
        blocks = self._blocks
        missing = [rows for rows in wanted if rows.start not in blocks or blocks[rows.start].stop < rows.stop]
        coded = [(slice(block.start, block.stop), block.alive) for block in blocks.values() if tail]
        return missing + [rows for rows, alive in coded if self._is_wiped(rows, alive)]

    def _is_wiped(self, rows: slice, alive: NDArray[np.bool_]) -> bool:
        """Tell whether rows were wiped that were alive then."""
        return bool((alive & ~self._alive[rows]).any())

    def coded(self, rows: slice) -> CodeBlock:
        """Return written rows in codes; any thread may ask, for rows that were written are only ever wiped."""
        alive = self._alive[rows].copy()  # first: rows that are wiped from here on are coded again
        part = self._columns.take(rows)
        return CodeBlock.of(rows.start, part.vectors, part.ers, alive)

    def take_codes(self, block: CodeBlock) -> None:
        """Search these rows by their codes from now on; one thread at a time may give them, while others search."""
        blocks = self._blocks.values()
        if any(other.start <= block.start and block.stop < other.stop for other in blocks):
            return
        kept = {other.start: other for other in blocks if other.stop <= block.start or block.stop <= other.start}
        self._blocks = kept | {block.start: block}

    def lacks_sketch(self, *, tail: bool) -> bool:
        """Tell whether the segment is full and has no sketch of all its rows.

        With `tail` also whether a sketch would have many more rows than the present one, or one of rows wiped since.
        """
        if not can_sketch(self.size, self._dimension):
            return False
        have = self.sketch.alive if self.sketch else self._alive[:0]
        if len(have) == self.size:
            return tail and self._is_wiped(slice(len(have)), have)
        return self.room == 0 or (tail and self.size >= _SKETCH_AGAIN * len(have))

    def sketched(self, sketcher: Sketcher) -> Sketch:
        """Return the sketch of all rows; any thread may ask, for rows that were written are only ever wiped."""
        rows = slice(self.size)
        alive = self._alive[rows].copy()
        return sketcher.sketch(self._columns.vectors[rows], alive)

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
        """Mark rows as removed, and wipe their vectors here and on a device; codes of them are made again later."""
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
        before = self._open
        targets = self._with_room(len(rows)) if len(rows) else []
        try:
            for segment in targets:
                chunk = rows.take(slice(start, start + segment.room))
                written.append((segment, segment.append(chunk)))
                start += len(chunk)
        except BaseException:
            for segment, locations in written:
                segment.bury(unpack_locations(locations)[1])
            for segment in targets:
                if segment.size == 0:
                    self.drop(segment)
            self._open = self._open or before
            raise
        return np.concatenate([np.zeros(0, dtype=np.int64), *(locations for _, locations in written)])

    def sparse(self, share: float) -> list[Segment]:
        """Return the segments to be emptied.

        These are the ones of which more than this share is buried, and full ones that are too small to be worth a call
        of their own, where they fit into the one that has room.
        """
        small = self._backend.small_rows(sum(segment.size for segment in self.segments.values()))
        return [
            segment
            for segment in self.segments.values()
            if segment.buried > share * segment.size or (segment.size < small and self._can_take(segment))
        ]

    def set_aside(self, segment: Segment) -> bool:
        """Append nothing more to a segment; return whether it was the one with room."""
        was_open = self._open is segment
        if was_open:
            self._open = None
        return was_open

    def reopen(self, segment: Segment) -> None:
        """Append to a segment again that was set aside, unless another has taken its place."""
        self._open = self._open or segment

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

    def _with_room(self, wanted: int) -> list[Segment]:
        """Return segments with room for so many rows, new ones last. Raises DeviceFull, and then there is none."""
        found = [self._open] if self._open and self._open.room else []
        room = sum(segment.room for segment in found)
        present = sum(segment.size for segment in self.segments.values())
        opened: list[Segment] = []
        while room < wanted:
            rows = self._backend.segment_rows(present + room, wanted - room, self._dimension, self.kind)
            opened.append(Segment(next(self._numbers), self._backend, self._dimension, rows, self.kind))
            room += rows
        for segment in opened:
            self._open = self.segments[segment.number] = segment
        return found + opened


def usage_of(passing: Part, below: Part, dimension: int) -> Usage:
    """Return what both parts of an index hold."""
    segments = [*passing.segments.values(), *below.segments.values()]
    return Usage(
        passing=passing.alive,
        below_gate=below.alive,
        tombstones=sum(segment.buried for segment in segments),
        row_bytes=sum(segment.size for segment in segments) * (4 * dimension + _COLUMN_BYTES),
    )


def unpack_locations(locations: Ids) -> tuple[Ids, Ids]:
    """Return the segment numbers and the positions of locations."""
    return locations >> _LOCATION_SHIFT, locations & ((1 << _LOCATION_SHIFT) - 1)
