"""Restarts under load: what clients with the default retry policy see of them, and whether anything was lost."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ersgallery_client import Enrollment, GalleryClient

from tests.load.broken import require
from tests.load.gallery import DIMENSION, GALLERY, faces, make_gallery
from tests.load.process import LoadedServer

COUNT = 2_000
IDENTIFYING, ENROLLING = 3, 2
PAUSE_S = 0.005


class _Worker(threading.Thread):
    """Repeats one thing until it is stopped, and keeps what failed and the longest that one took."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name=name)
        self.done, self.longest_s, self.failures = 0, 0.0, Counter[str]()
        self._work, self._end = work, threading.Event()

    def run(self) -> None:
        while not self._end.wait(PAUSE_S):
            begun_s = time.monotonic()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - any failure is what is looked for
                self.failures[f"{type(error).__name__}: {error}"] += 1
            else:
                self.done += 1
            self.longest_s = max(self.longest_s, time.monotonic() - begun_s)

    def stop(self) -> None:
        """Let what runs be the last."""
        self._end.set()


def rolling(folder: Path, *, restarts: int, between_s: float = 3.0) -> dict[str, Any]:
    """Restart a server so often under identifications, enrolments and a bulk stream. Raises Broken."""
    with LoadedServer(folder / "data") as server, GalleryClient(server.address) as client:
        rows = make_gallery(client, COUNT)
        workers, told = _workers(client, rows)
        bulk = _Bulk(server.address)
        for each in (*workers, bulk):
            each.start()
        times_s, exits = [], []
        for _ in range(restarts):
            time.sleep(between_s)
            seconds, status = server.restart()
            times_s.append(seconds)
            exits.append(status)
        time.sleep(between_s)
        for each in (*workers, bulk):
            each.stop()
        for each in (*workers, bulk):
            each.join()
        figures = {
            "restarts": restarts,
            "exits": exits,
            "restart_s": [round(seconds, 2) for seconds in times_s],
            "done": dict(Counter({each.name: each.done for each in (*workers, bulk)})),
            "longest_s": {each.name: round(each.longest_s, 2) for each in (*workers, bulk)},
            "failures": {each.name: dict(each.failures) for each in (*workers, bulk) if each.failures},
        }
        _check(figures, client, told, bulk)
        return figures


def _workers(client: GalleryClient, rows: Any) -> tuple[list[_Worker], set[str]]:
    told: set[str] = set()
    numbers = itertools.count()

    def identify() -> None:
        number = int(np.random.default_rng().integers(COUNT))
        answer = client.identify(GALLERY, rows[number])
        require(answer.match is not None and answer.match.subject_id == f"subject-{number}", "the right one is found")

    def enrol() -> None:
        name = f"enrolled-{next(numbers)}"
        client.enroll(GALLERY, [Enrollment(name, np.random.default_rng().standard_normal(DIMENSION))])
        told.add(name)

    names = [("identify", identify)] * IDENTIFYING + [("enrol", enrol)] * ENROLLING
    return [_Worker(f"{name} {number}", work) for number, (name, work) in enumerate(names)], told


class _Bulk(_Worker):
    """One stream of enrolments without end, over all restarts."""

    def __init__(self, address: str) -> None:
        super().__init__("stream", lambda: None)
        self.names: list[str] = []
        self._address = address

    def run(self) -> None:
        """Enrol until stopped; the outcome of each item is what was told."""
        last_s = time.monotonic()
        try:
            with GalleryClient(self._address) as client:
                for outcome in client.enroll_stream(GALLERY, self._items(), batch_size=20):
                    self.names.append(outcome.subject_id)
                    self.done += 1
                    self.longest_s, last_s = max(self.longest_s, time.monotonic() - last_s), time.monotonic()
        except Exception as error:  # noqa: BLE001 - as above
            self.failures[f"{type(error).__name__}: {error}"] += 1

    def _items(self) -> Iterator[Enrollment]:
        rows = faces(1000, seed=2)
        for number in itertools.count():
            if self._end.wait(PAUSE_S):
                return
            yield Enrollment(f"bulk-{number}", rows[number % len(rows)])


def _check(figures: dict[str, Any], client: GalleryClient, told: set[str], bulk: _Bulk) -> None:
    require(not figures["failures"], "no request fails", figures)
    require(set(figures["exits"]) <= {0}, "a drain ends well", figures)
    require(all(figures["done"].values()), "everybody got on", figures)
    stored = Counter(face.subject_id for face in client.list_faces(GALLERY))
    told_faces = [*(f"subject-{number}" for number in range(COUNT)), *told, *bulk.names]
    require(stored == Counter(told_faces), "what was acknowledged is stored, once, and nothing else", figures)
