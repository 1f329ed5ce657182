"""One index over several devices: each segment lives on one of them, and all are asked at once."""

import threading
from collections.abc import Sequence

from ersgallery_index.backends.proposers import Backend, Proposer
from ersgallery_index.errors import DeviceFull
from ersgallery_index.interface import FloatRows, IndexKind


class ShardedBackend:
    """Puts each segment on the device with the most room; of devices with as much, on the one with fewest segments.

    name: for example `cuda:0,1`. host: where the float32 rows are kept for all of them. Raises ValueError without any.
    """

    def __init__(self, name: str, shards: Sequence[Backend], host: Backend) -> None:
        if not shards:
            raise ValueError("there must be at least one device")
        self.name = name
        self.code_rows = None
        self.widest = min(shard.widest for shard in shards)
        self.probes_at_once = min(shard.probes_at_once for shard in shards)
        self.fast_from = shards[0].fast_from
        self._shards = tuple(shards)
        self._host = host
        self._opened = dict.fromkeys(range(len(shards)), 0)
        self._lock = threading.Lock()
        self._promised: list[tuple[Backend, int]] = []

    def run_rows(self, probes: int, dimension: int) -> int:
        """Return how many rows suit all devices."""
        return min(shard.run_rows(probes, dimension) for shard in self._shards)

    def segment_rows(self, present: int, wanted: int, dimension: int, kind: IndexKind) -> int:
        """Return what suits the device whose turn it is: a share of the rows that come, so that all get some."""
        devices = len(self._shards)
        first = self._shards[self._by_room(dimension, kind)[0]]
        return first.segment_rows(present // devices, -(-wanted // devices), dimension, kind)

    def small_rows(self, present: int) -> int:
        """Return what suits the rows of each device."""
        return self._shards[0].small_rows(present // len(self._shards))

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:
        """Return the proposer of a new segment. Raises DeviceFull when no device has room for it."""
        for place in self._by_room(dimension, kind):
            try:
                proposer = self._shards[place].open_proposer(dimension, rows, kind)
            except DeviceFull:
                continue
            self._opened[place] += 1
            return proposer
        raise DeviceFull(f"no device of {self.name} has memory for {rows} more faces")

    def empty_rows(self, rows: int, dimension: int) -> FloatRows:
        """Return a place on the host."""
        return self._host.empty_rows(rows, dimension)

    def require_room(self, rows: int, dimension: int) -> None:
        """Leave it to the segments, which have their memory before a row is written."""

    def free_rows(self, dimension: int, kind: IndexKind) -> int | None:
        """Return how many more rows fit on all devices together, and on the host."""
        free = [shard.free_rows(dimension, kind) for shard in self._shards]
        known = [rows for rows in free if rows is not None]
        on_host = self._host.free_rows(dimension, kind)
        if len(known) < len(free):
            return on_host
        return sum(known) if on_host is None else min(sum(known), on_host)

    def promise(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Keep memory on one device after the other. Raises DeviceFull, and then keeps none."""
        kept: list[tuple[Backend, int]] = []
        for place in self._by_room(dimension, kind):
            shard, free = self._shards[place], self._shards[place].free_rows(dimension, kind)
            some = rows if free is None else min(rows, free)
            try:
                shard.promise(some, dimension, kind)
            except DeviceFull:  # somebody was faster
                continue
            kept.append((shard, some))
            rows -= some
        if rows > 0:
            for shard, some in kept:
                shard.redeem(some, dimension, kind)
            raise DeviceFull(f"{self.name} has no memory for {rows} of the faces")
        with self._lock:
            self._promised += kept

    def redeem(self, rows: int, dimension: int, kind: IndexKind) -> None:
        """Take the oldest promises back, on the devices where they were given."""
        with self._lock:
            left = []
            for shard, promised in self._promised:
                used = min(rows, promised)
                shard.redeem(used, dimension, kind)
                rows -= used
                if promised > used:
                    left.append((shard, promised - used))
            self._promised = left

    def _by_room(self, dimension: int, kind: IndexKind) -> list[int]:
        """Return the places of the devices, that with the most room first."""
        free = [shard.free_rows(dimension, kind) or 0 for shard in self._shards]
        return sorted(range(len(free)), key=lambda place: (-free[place], self._opened[place]))
