"""Gives the rows of an index their codes and sketches, behind the searches."""

import functools
import logging
import queue
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future

from ersgallery_index.backends.memory import give_memory_back
from ersgallery_index.backends.segments import Segment
from ersgallery_index.backends.sketches import Sketcher

log = logging.getLogger(__name__)

_Key = tuple[int, int, int]
"""A segment's number with the first row of a block and the one behind its last."""

_SKETCH = (-1, -1)
"""Stands for the sketch of a segment where others have the rows of a block."""


class Coder:
    """Codes the segments of one index block by block on a thread that all indexes share.

    A block is searched by its codes as soon as it has them; until then its rows are searched as they are, so no search
    waits. Sketches are made segment by segment.
    """

    def __init__(self, block_rows: int) -> None:
        self._block_rows = block_rows
        self._lock = threading.Lock()
        self._sketcher = Sketcher()
        self._under_way: dict[_Key, Future[None]] = {}
        self.codes = False
        self.sketches = False

    def follow(self, segments: Iterable[Segment], *, codes: bool, sketches: bool, tail: bool = False) -> None:
        """Make what is wanted and missing, and give up what is no longer wanted.

        tail: also code rows that do not fill a block, which will be coded again when they do.
        """
        segments = list(segments)
        with self._lock:
            if (self.codes and not codes) or (self.sketches and not sketches):
                self._under_way = {}
                for segment in segments:
                    segment.forget_codes(codes=not codes, sketch=not sketches)
            self.codes, self.sketches = codes, sketches
            for segment in segments:
                for rows in self._missing(segment, tail=tail):
                    key = (segment.number, *rows)
                    if key not in self._under_way:
                        self._under_way[key] = _thread().submit(
                            functools.partial(self._make, key, weakref.ref(segment))
                        )

    def finish(self) -> None:
        """Wait until all that is to be made is."""
        with self._lock:
            waiting = list(self._under_way.values())
        for future in waiting:
            future.result()

    def _missing(self, segment: Segment, *, tail: bool) -> Iterator[tuple[int, int]]:
        if self.codes:
            yield from ((rows.start, rows.stop) for rows in segment.uncoded(self._block_rows, tail=tail))
        if self.sketches and segment.lacks_sketch(tail=tail):
            yield _SKETCH

    def _make(self, key: _Key, found: "weakref.ref[Segment]") -> None:
        with self._lock:
            wanted = key in self._under_way
        segment = found() if wanted else None
        if segment is None:
            with self._lock:
                self._under_way.pop(key, None)
            return
        sketch = block = None
        try:
            if key[1:] == _SKETCH:
                sketch = segment.sketched(self._sketcher)
            else:
                block = segment.coded(slice(*key[1:]))
        except Exception:
            # Searches are right without it, and it is tried again after the next mutation.
            log.exception("rows of an index could not be coded")
        finally:
            with self._lock:
                wanted = self._under_way.pop(key, None) is not None
                if wanted and sketch:
                    segment.take_sketch(sketch)
                if wanted and block:
                    segment.take_codes(block)


class _Thread:
    """One thread for all indexes; it does not keep a process alive, for nothing is lost with what it was making."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="index-coder", daemon=True).start()

    def submit(self, task: Callable[[], None]) -> "Future[None]":
        """Let the thread do something when it has done all that came before."""
        done: Future[None] = Future()
        self._tasks.put((task, done))
        return done

    def _run(self) -> None:
        while True:
            task, done = self._tasks.get()
            try:
                task()
            finally:
                done.set_result(None)
            if self._tasks.empty():
                give_memory_back()


@functools.cache
def _thread() -> _Thread:
    return _Thread()
