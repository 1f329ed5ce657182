"""Limits of the machine and its memory."""

import numpy as np
import pytest

from tests.benchmarks import memory
from tests.benchmarks.footprint import per_face
from tests.benchmarks.kinds import IN_MEMORY, ON_DISK
from tests.benchmarks.machine import Limits, measure_limits
from tests.benchmarks.memory import GIB, held_bytes, lacking


def test_a_search_reads_once_or_multiplies_whichever_takes_longer() -> None:
    limits = Limits(1, 20e9, 100e9, 0.0)
    assert limits.search_s(1_000_000, 1) == pytest.approx(2.048e9 / 20e9)
    assert limits.search_s(1_000_000, 64) == pytest.approx(65.536e9 / 100e9)


def test_limits_are_measured_with_real_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.machine._STREAM_BYTES", 1 << 22)
    monkeypatch.setattr("tests.benchmarks.machine._SIDE", 128)
    limits = measure_limits(1, rounds=1)
    assert limits.read_bytes_per_s > 0
    assert limits.float32_ops_per_s > 0


def test_memory_that_is_not_there_is_said_in_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 5 * GIB)
    assert lacking(4 * GIB) == ""
    assert lacking(4.5 * GIB) == "needs 5.5 GiB, 5.0 are available"


def test_memory_that_is_taken_shows_in_the_process() -> None:
    before = held_bytes()
    taken = np.ones(8 << 20)
    grown = held_bytes() - before
    assert grown > 0.9 * taken.nbytes


def test_a_growth_is_held_against_vectors_and_codes_or_against_compressed_rows() -> None:
    assert per_face("memory/exact/1", "exact", 2252.8, IN_MEMORY[0]).ratio == 1.1
    assert per_face("memory/fast-rows-on-disk/1", "fast", 576, ON_DISK[0]).ratio == 0.5
