"""How soon galleries are ready after a restart, beside reading the snapshot. `python -m tests.benchmarks.restart`.

Ready is: the database open, the index restored with what came after its snapshot, and the subjects named. The start
of Python itself is left out, for it has nothing to do with the faces. In every round the file is read from its start
to its end into one buffer, then the galleries are loaded from it. Before each of the two all files leave the page
cache, as after a restart of the machine; then the same again from the cache, and from the database alone.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks.command import Options, run
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.results import Result, ratio_of
from tests.support.cores import Core, enroll, save

READ_BYTES = 8 << 20


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
    saved_s = 0.0
    for block in crowd.blocks():
        if block.subject_ids[-1] == faces:
            saved_s = _seconds(partial(save, gallery))
        enroll(gallery, [f"subject-{number}" for number in block.subject_ids.tolist()], block.rows)
    core.close()
    return saved_s


def _compare(folder: Path, faces: int, rounds: int, saved_s: float) -> Iterator[Result]:
    (path,) = (folder / "snapshots").glob("*.snapshot")
    prepare: dict[str, Callable[[], None]] = {"": lambda: _leave_cache(folder), "/cached": lambda: None}
    for name, before in prepare.items():
        reading, ready = [], []
        for _ in range(rounds):
            before()
            reading.append(_seconds(lambda: _read(path)))
            before()
            ready.append(_restart(folder))
        ratios = [after / read for after, read in zip(ready, reading, strict=True)]
        yield ratio_of(
            f"restart/{faces}{name}",
            f"ready after a restart, {faces:,} faces" + (", files in the page cache" if name else ""),
            "reading the snapshot",
            ratios,
            ready_s=min(ready),
            reading_s=min(reading),
            gb_per_s=path.stat().st_size / 1e9 / min(reading),
            saving_s=saved_s,
        )
    aside = path.rename(path.with_suffix(".aside"))
    from_store = [_restart(folder) for _ in range(min(rounds, 2))]
    aside.rename(path)
    snapshot = [_restart(folder) for _ in range(min(rounds, 2))]
    yield ratio_of(
        f"restart/{faces}/database",
        f"ready after a restart, {faces:,} faces, from the database alone",
        "from the snapshot",
        [alone / with_it for alone, with_it in zip(from_store, snapshot, strict=True)],
        database_s=min(from_store),
        snapshot_s=min(snapshot),
    )


def _start(folder: Path) -> Core:
    return Core(f"sqlite:///{folder / 'gallery.db'}", folder)


def _restart(folder: Path) -> float:
    """Return the seconds until galleries are ready."""
    begun_s = time.perf_counter()
    core = _start(folder)
    took_s = time.perf_counter() - begun_s
    core.close()
    return took_s


def _read(path: Path) -> None:
    buffer = bytearray(READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _leave_cache(folder: Path) -> None:
    """Let go of the cached pages of all files, which must be on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _seconds(work: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    work()
    return time.perf_counter() - begun_s


if __name__ == "__main__":
    run(measure, faces=(100_000,))
