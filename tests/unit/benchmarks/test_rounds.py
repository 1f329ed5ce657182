"""Everything that is compared takes its turn in every round."""

import threading
import time

import pytest

from tests.benchmarks.rounds import busy_threads, calls_per_s, in_turn, per_call_s, ratios


def test_every_round_has_every_work_once_and_another_one_first() -> None:
    calls: list[str] = []
    taken = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, seconds=0.0)
    assert calls == ["a", "b", "a", "b", "b", "a"]
    assert [len(seconds) for seconds in taken.values()] == [2, 2]


def test_a_call_is_repeated_until_the_time_is_over() -> None:
    calls: list[int] = []

    def work() -> None:
        time.sleep(0.002)
        calls.append(1)

    one = per_call_s(work, 0.02)
    assert one * len(calls) >= 0.02


def test_ratios_are_those_of_the_rounds() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_threads_share_the_calls_and_each_has_its_number() -> None:
    seen: set[int] = set()

    def work(thread: int, _call: int) -> None:
        seen.add(thread)
        time.sleep(0.001)

    assert calls_per_s(work, threads=3, seconds=0.05) > 0
    assert seen == {0, 1, 2}


def test_a_failure_of_a_thread_is_raised() -> None:
    def work(_thread: int, _call: int) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        calls_per_s(work, threads=2, seconds=5.0)


def test_threads_that_work_are_counted_and_one_that_waits_is_not() -> None:
    stop = threading.Event()
    waiting = threading.Thread(target=stop.wait)
    waiting.start()
    try:
        assert busy_threads(lambda: sum(range(20_000)), 0.1) == 1
    finally:
        stop.set()
        waiting.join()
