"""Hours of mixed load on galleries of constant size: nothing that the server holds may grow."""

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery_client import Enrollment, GalleryClient

from tests.load.broken import require
from tests.load.gallery import DIMENSION, GALLERY, MODEL, make_gallery
from tests.load.process import LoadedServer, Vitals

COUNT = 1_000
SAMPLES = 60
WARM_UP = 1 / 3
"""Of the time, in which caches fill and allocators find their size; it is not looked at."""

RSS_MIB, FILES, THREADS, DATABASE_MIB = 32.0, 8.0, 4.0, 16.0
"""What the fitted line may rise from the warm-up to the end; an allocator's noise is some MiB. A database gains one
entry of its log of changes for each change, some 200 bytes, and pages that are free."""

LATENCY = 1.0
"""By so much of itself may the median latency rise: other work of the machine comes and goes."""

TOMBSTONES = 0.5
"""Most of a gallery's rows that may be buried at the end: compaction keeps up."""


class Soak:
    """Does everything again and again, each on a thread of its own at a low rate, and counts it."""

    def __init__(self, address: str, rows: Any, rate: float) -> None:
        self.done: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self._client = GalleryClient(address)
        self._rows = rows
        self._rate = rate
        self._end = threading.Event()
        self._number = 0
        kinds: tuple[tuple[Callable[[], None], float], ...] = (
            (self._identify, 10.0), (self._batch, 1.0), (self._churn, 2.0), (self._stream, 0.5), (self._look, 0.5),
            (self._calibrate, 0.05), (self._profile, 0.02),
        )  # fmt: skip
        self._threads = [threading.Thread(target=self._repeat, args=kind) for kind in kinds]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what runs and close the client."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    def _repeat(self, work: Callable[[], None], per_s: float) -> None:
        name = work.__name__.strip("_")
        while not self._end.wait(random.uniform(0.5, 1.5) / (per_s * self._rate)):
            try:
                work()
            except Exception as error:  # noqa: BLE001 - any failure is what is looked for
                self.failures[f"{name}: {type(error).__name__}: {error}"] += 1
            else:
                self.done[name] += 1

    def _identify(self) -> None:
        begun_s = time.monotonic()
        self._client.identify(GALLERY, self._rows[random.randrange(COUNT)])
        self.latencies_s.append(time.monotonic() - begun_s)

    def _batch(self) -> None:
        self._client.identify_batch(GALLERY, self._rows[:100])

    def _churn(self) -> None:
        """Enrol ten subjects and delete them: the gallery stays as large as it was."""
        self._number += 1
        names = [f"passing-{self._number}-{n}" for n in range(10)]
        drawn = np.random.default_rng().standard_normal((10, DIMENSION))
        self._client.enroll(GALLERY, [Enrollment(name, row) for name, row in zip(names, drawn, strict=True)])
        for name in names:
            self._client.delete_subject(GALLERY, name)

    def _stream(self) -> None:
        for _ in self._client.identify_stream(GALLERY, [self._rows[:20]] * 3):
            pass

    def _look(self) -> None:
        self._client.get_gallery(GALLERY)
        next(iter(self._client.list_subjects(GALLERY)))

    def _calibrate(self) -> None:
        self._client.preview_gamma_gallery(GALLERY, 0.5)

    def _profile(self) -> None:
        """Give the gallery the next version of its profile: all faces are scored again, and the index is built anew."""
        centroid = np.eye(1, DIMENSION) + np.random.default_rng().normal(0.0, 0.01, (1, DIMENSION))
        unit = centroid / np.linalg.norm(centroid)
        profile = self._client.create_profile(MODEL, model=MODEL, centroids=unit, gamma=0.5)
        self._client.update_gallery(GALLERY, profile=f"{profile.id}@{profile.version}")


def soak(
    folder: Path, *, minutes: float, rate: float = 1.0, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Load a server for so long and fit lines to what it holds. Raises Broken."""
    with LoadedServer(folder / "data", "--snapshot-changed-faces", "200", "--changes-kept", "1000") as server:
        with GalleryClient(server.address) as client:
            rows = make_gallery(client, COUNT)
        load = Soak(server.address, rows, rate)
        samples: list[Vitals] = []
        medians_ms: list[float] = []
        load.start()
        try:
            for number in range(SAMPLES):
                time.sleep(60 * minutes / SAMPLES)
                samples.append(server.vitals())
                taken_s, load.latencies_s = load.latencies_s, []
                medians_ms.append(1000 * statistics.median(taken_s or [0.0]))
                if number % 10 == 9:
                    say(f"{(number + 1) * minutes / SAMPLES:.1f} min: {asdict(samples[-1])}, {medians_ms[-1]:.1f} ms")
        finally:
            load.stop()
        warm = int(SAMPLES * WARM_UP)
        names = ("rss_mib", "files", "threads", "database_mib")
        rises = {name: _rise([getattr(each, name) for each in samples[warm:]]) for name in names}
        figures = {
            "minutes": minutes,
            "done": dict(load.done),
            "failures": dict(load.failures),
            "after_warm_up": {name: round(getattr(samples[warm], name), 1) for name in names},
            "rises": {name: round(value, 2) for name, value in rises.items()},
            "median_ms": [
                round(statistics.median(part), 2) for part in (medians_ms[warm : 2 * warm], medians_ms[2 * warm :])
            ],
            "rows": server.metric("ersgallery_index_faces"),
            "tombstones": server.metric("ersgallery_index_faces", 'state="tombstone"'),
        }
        _check(figures)
        return figures


def _rise(values: list[float]) -> float:
    """Return what a straight line fitted to the values rises from the first to the last."""
    return float(np.polyfit(np.linspace(0.0, 1.0, len(values)), values, 1)[0])


def _check(figures: dict[str, Any]) -> None:
    limits = {"rss_mib": RSS_MIB, "files": FILES, "threads": THREADS, "database_mib": DATABASE_MIB}
    require(not figures["failures"], "nothing fails", figures)
    for name, most in limits.items():
        require(figures["rises"][name] <= most, f"{name} does not grow by more than {most:g}", figures)
    before_ms, after_ms = figures["median_ms"]
    require(after_ms <= before_ms * (1 + LATENCY) + 5, "latency does not grow", figures)
    require(figures["tombstones"] <= TOMBSTONES * figures["rows"], "compaction keeps up", figures)
