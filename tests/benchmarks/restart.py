"""How soon galleries are ready after a restart, beside reading the snapshot. `python -m tests.benchmarks.restart`.

Ready is: the database open, the index restored with what came after its snapshot, and the subjects named. The start
of Python itself is left out, for it has nothing to do with the faces. In every round the file is read from its start
to its end: into new memory, where rows must be in the end, and through one small buffer, which tells what the disk does
and what taking memory costs; then the galleries are loaded. Before each, all files leave the page cache, as after a
restart of the machine. At last galleries are loaded from the database alone.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.results import Result, ratio_of
from tests.support.cores import Core, enroll, save

BUFFER_BYTES = 8 << 20
PIECE_BYTES = 1 << 30

T = TypeVar("T")


@dataclass(slots=True)
class _Times:
    """How long works took by the clock and on all processors."""

    elapsed_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], T]) -> T:
        """Do a piece of work and note how long it took."""
        begun_s, processor_s = time.perf_counter(), time.process_time()
        done = work()
        self.elapsed_s.append(time.perf_counter() - begun_s)
        self.processor_s.append(time.process_time() - processor_s)
        return done


def measure(options: Options) -> Iterator[Result]:
    """Measure how soon galleries are ready after a restart, beside reading the file of the snapshot."""
    for faces in options.faces:
        with tempfile.TemporaryDirectory() as folder:
            saved_s = _fill(Path(folder), faces)
            yield from _compare(Path(folder), faces, options.rounds, saved_s)


def _fill(folder: Path, faces: int) -> float:
    """Enrol a crowd, save it before its last thousands come, and return how long the saving took."""
    core = _start(folder)
    crowd = Crowd(Geometry.load(), faces)
    gallery = core.create("people", core.add_profile("generated", crowd.profile), tau=0.3)
    saving = _Times()
    for block in crowd.blocks():
        if block.subject_ids[-1] == faces:
            saving.take(partial(save, gallery))
        enroll(gallery, [f"subject-{number}" for number in block.subject_ids.tolist()], block.rows)
    core.close()
    return saving.elapsed_s[0]


def _compare(folder: Path, faces: int, rounds: int, saved_s: float) -> Iterator[Result]:
    (path,) = (folder / "snapshots").glob("*.snapshot")
    streaming, reading, ready = _Times(), _Times(), _Times()
    for _ in range(rounds):
        for times, work in ((streaming, _stream), (reading, _read)):
            _leave_cache(folder)
            times.take(partial(work, path))
        _leave_cache(folder)
        core = ready.take(partial(_start, folder))
        core.close()
    yield ratio_of(
        f"restart/{faces}",
        f"ready after a restart, {faces:,} faces",
        "reading the snapshot into memory",
        [after / read for after, read in zip(ready.elapsed_s, reading.elapsed_s, strict=True)],
        ready_s=min(ready.elapsed_s),
        reading_s=min(reading.elapsed_s),
        through_one_buffer_s=min(streaming.elapsed_s),
        ready_processor_s=min(ready.processor_s),
        reading_processor_s=min(reading.processor_s),
        saving_s=saved_s,
        file_gb=path.stat().st_size / 1e9,
    )
    aside = path.rename(path.with_suffix(".aside"))
    from_store = _Times()
    from_store.take(partial(_start, folder)).close()
    aside.rename(path)
    yield ratio_of(
        f"restart/{faces}/database",
        f"ready after a restart, {faces:,} faces, from the database alone",
        "from the snapshot",
        [from_store.elapsed_s[0] / min(ready.elapsed_s)],
        database_s=from_store.elapsed_s[0],
        database_processor_s=from_store.processor_s[0],
    )


def _start(folder: Path) -> Core:
    return Core(f"sqlite:///{folder / 'gallery.db'}", folder)


def _stream(path: Path) -> None:
    buffer = bytearray(BUFFER_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _read(path: Path) -> None:
    """Read into memory that was not there before, a piece at a time, since the whole may not fit beside the cache."""
    with path.open("rb", buffering=0) as file:
        while len(np.fromfile(file, np.uint8, PIECE_BYTES)):
            pass


def _leave_cache(folder: Path) -> None:
    """Let go of the cached pages of all files, which must be on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


if __name__ == "__main__":
    run(measure, faces=(100_000,))
