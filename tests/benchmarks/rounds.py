"""Rounds in turn, so that other load on the machine falls on everything that is compared."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Work = Callable[[], object]


def in_turn(works: Mapping[str, Work], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds that one call of each takes, in every round.

    Each is called once to warm up; in every round each of them is repeated for `seconds`, at least once.
    """
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        names = list(works)
        # The order changes, so that nobody always comes after the same neighbour.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken[name].append(per_call_s(works[name], seconds))
    return taken


def per_call_s(work: Work, seconds: float) -> float:
    """Return the seconds that one call takes, on average over `seconds`."""
    begun, calls = time.perf_counter(), 0
    while True:
        work()
        calls += 1
        elapsed = time.perf_counter() - begun
        if elapsed >= seconds:
            return elapsed / calls


def ratios(numerator: list[float], denominator: list[float]) -> list[float]:
    """Return the ratio of every round."""
    return [above / below for above, below in zip(numerator, denominator, strict=True)]


def median(values: list[float]) -> float:
    """Return the middle of some values."""
    return statistics.median(values)


def busy_threads(work: Work, seconds: float) -> int:
    """Return how many threads of this process a work keeps busy (Linux): a quarter as busy as the busiest one.

    Processor time over time passed would say too little on a machine that is busy with other things.
    """
    before = _processor_ns()
    per_call_s(work, seconds)
    used = [spent - before.get(thread, 0) for thread, spent in _processor_ns().items()]
    return sum(spent >= max(used) / 4 for spent in used)


def _processor_ns() -> dict[str, int]:
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in Path("/proc/self/task").iterdir()}


def calls_per_s(work: Callable[[int, int], object], threads: int, seconds: float) -> float:
    """Return how often a second threads together do something for `seconds`: work(thread, number of the call).

    Raises what the first of them raised.
    """
    counts = [0] * threads
    failures: list[BaseException] = []
    stop = time.perf_counter() + seconds

    def run(thread: int) -> None:
        try:
            while time.perf_counter() < stop and not failures:
                work(thread, counts[thread])
                counts[thread] += 1
        except BaseException as failure:  # noqa: BLE001  (raised by the caller's thread)
            failures.append(failure)

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - begun)
