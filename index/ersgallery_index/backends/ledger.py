"""Who was promised how much of a device's memory, so that two galleries cannot both be promised the last of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ersgallery_index.errors import DeviceFull

_KEPT_S = 60.0
"""How long a promise holds that nobody comes for: the commit that it was asked for has failed by then."""

_GRANULE_BYTES = 2 << 20
"""A device gives memory in pieces of this size."""


@dataclass(frozen=True, slots=True)
class _Promise:
    owner: object
    size: int
    until_s: float


class Ledger:
    """Promises of one device's memory, and all that is taken from it; any thread may call.

    free_bytes tells what nobody has taken, spare_bytes what is never given away.
    """

    def __init__(
        self,
        name: str,
        free_bytes: Callable[[], int],
        spare_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._free_bytes = free_bytes
        self._spare_bytes = spare_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._promises: list[_Promise] = []

    def free(self) -> int:
        """Return how many bytes nobody has taken or was promised."""
        with self._lock:
            return self._free(None)

    def promise(self, owner: object, size: int) -> None:
        """Keep so many bytes for one owner for a minute. Raises DeviceFull where there are not as many."""
        with self._lock:
            free = self._free(None)
            if size > free:
                raise self._full(size, free)
            self._promises.append(_Promise(owner, size, self._clock() + _KEPT_S))

    def redeem(self, owner: object, size: int) -> None:
        """Forget as much as this of what the owner was promised, the oldest first: it has what it came for."""
        with self._lock:
            kept = []
            for promise in self._promises:
                used = min(size, promise.size) if promise.owner is owner else 0
                size -= used
                if promise.size > used:
                    kept.append(_Promise(promise.owner, promise.size - used, promise.until_s))
            self._promises = kept

    def take(self, owner: object, size: int, allocate: Callable[[int], int]) -> int:
        """Allocate bytes, if need be from what the owner was promised. Raises DeviceFull."""
        with self._lock:
            free = self._free(owner)
            if rounded(size) > free:
                raise self._full(size, free)
            return allocate(size)

    def _free(self, owner: object) -> int:
        """Return what is neither taken nor promised to anybody but this owner."""
        now = self._clock()
        self._promises = [promise for promise in self._promises if promise.until_s > now]
        others = sum(promise.size for promise in self._promises if promise.owner is not owner)
        return max(0, self._free_bytes() - self._spare_bytes - others)

    def _full(self, size: int, free: int) -> DeviceFull:
        return DeviceFull(f"{self._name} has {free >> 20} MiB free, but {-(-size >> 20)} are needed")


def rounded(size: int) -> int:
    """Return what a block of this size really takes."""
    return -(-size // _GRANULE_BYTES) * _GRANULE_BYTES
