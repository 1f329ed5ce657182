"""Gives the full blocks of an index their codes, behind the searches."""

import functools
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from ersgallery_index.backends.segments import Segment


class Coder:
    """Codes the segments of one index block by block on a thread that all indexes share.

    A block is searched by its codes as soon as it has them; until then its rows are searched as they are, so no search
    waits and none changes its answer.
    """

    def __init__(self, block_rows: int) -> None:
        self._block_rows = block_rows
        self._lock = threading.Lock()
        self._on = False
        self._under_way: dict[tuple[int, int], Future[None]] = {}

    @property
    def on(self) -> bool:
        """Tell whether blocks are being coded."""
        return self._on

    def follow(self, segments: Iterable[Segment], *, on: bool) -> None:
        """Code every full block that has no codes yet, or, when turned off, give all codes up."""
        segments = list(segments)
        with self._lock:
            if self._on and not on:
                self._under_way = {}
                for segment in segments:
                    segment.forget_codes()
            self._on = on
            for segment in segments if on else ():
                for start in segment.uncoded(self._block_rows):
                    key = (segment.number, start)
                    if key not in self._under_way:
                        self._under_way[key] = _thread().submit(self._code, key, weakref.ref(segment))

    def finish(self) -> None:
        """Wait until all that is to be coded is."""
        with self._lock:
            waiting = list(self._under_way.values())
        for future in waiting:
            future.result()

    def _code(self, key: tuple[int, int], found: "weakref.ref[Segment]") -> None:
        with self._lock:
            wanted = key in self._under_way
        segment = found() if wanted else None
        block = segment.coded(key[1], self._block_rows) if segment else None
        with self._lock:
            still_wanted = self._under_way.pop(key, None) is not None
            if still_wanted and segment and block:
                segment.take_codes(block)


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="index-coder")
