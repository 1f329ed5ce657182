"""What is made of another engine: its answers, its absence, and the fastest of those that keep the answers."""

import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.benchmarks.answers import Trial, trial_of
from tests.benchmarks.geometry import Crowd, FloatRows, Geometry
from tests.benchmarks.kinds import derived_parts
from tests.benchmarks.peers import compare
from tests.benchmarks.peers.compare import EQUAL, answers, open_peer, slowest_of_equals
from tests.benchmarks.peers.installed import OPENERS
from tests.benchmarks.peers.peer import Mode
from tests.benchmarks.results import Result, ratio_of


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return Crowd(Geometry.load(), 1000)


@pytest.fixture(scope="module")
def trial(crowd: Crowd) -> Trial:
    return trial_of(crowd, mated=120, strangers=100)


@pytest.fixture(scope="module")
def search(crowd: Crowd) -> Callable[[NDArray[np.float32], int], list[int]]:
    (part,) = derived_parts(crowd)
    rows: FloatRows = part.vectors[part.ers >= crowd.geometry.gamma]
    ids = part.subject_ids[part.ers >= crowd.geometry.gamma]
    return lambda probe, k: ids[np.argsort(-(rows @ probe))[:k]].tolist()


def test_an_engine_that_scans_all_rows_keeps_every_mate(
    trial: Trial, search: Callable[[NDArray[np.float32], int], list[int]]
) -> None:
    assert answers(Mode("exact", "", search), trial, 60.0) == {"mate1": 1.0, "of": float(trial.identified.sum())}


def test_an_engine_that_returns_the_second_best_keeps_no_mate(
    trial: Trial, search: Callable[[NDArray[np.float32], int], list[int]]
) -> None:
    assert answers(Mode("second", "", lambda probe, k: search(probe, k)[1:]), trial, 60.0)["mate1"] == 0.0


def test_a_slow_engine_answers_fewer_probes(
    trial: Trial, search: Callable[[NDArray[np.float32], int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_LEAST_ANSWERS", 10)

    def slow(probe: NDArray[np.float32], k: int) -> list[int]:
        time.sleep(0.002)
        return search(probe, k)

    figures = answers(Mode("slow", "", slow), trial, 0.01)
    assert figures["mate1"] == 1.0
    assert figures["of"] < trial.identified.sum()


def test_an_engine_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(OPENERS, "usearch", lambda _folder, _dimension: import_module("no_such_engine"))
    assert open_peer("usearch", tmp_path, 8) == "no_such_engine is not installed"


def test_of_the_engines_that_keep_the_answers_the_fastest_counts() -> None:
    def found(name: str, ratio: float, mate1: float) -> Result:
        return ratio_of(f"peers/1000/{name}/1", "ours", f"{name}, 1 client", [ratio], mate1=mate1)

    results = [found("scan", 6.0, 1.0), found("graph", 2.0, EQUAL - 0.01), found("codes", 5.0, EQUAL)]
    (worst,) = slowest_of_equals(1000, results)
    assert (worst.key, worst.ratio, worst.note) == ("peers/1000/any/1", 5.0, "codes, 1 client")
