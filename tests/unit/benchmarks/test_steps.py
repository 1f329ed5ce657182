"""The steps of `python -m tests.benchmarks`."""

import pytest

from tests.benchmarks import memory
from tests.benchmarks.__main__ import DOCUMENT
from tests.benchmarks.document import with_parts
from tests.benchmarks.goals import GOALS
from tests.benchmarks.memory import GIB
from tests.benchmarks.steps import STEPS, Extent, Step


def test_sizes_that_memory_is_too_small_for_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * GIB)
    step = Step("restart", "tests.benchmarks.restart", (1_000_000, 2_000_000), (10,), bytes_per_face=3 << 10)
    assert step.arguments(Extent()) == ["tests.benchmarks.restart", "--faces", "1000000"]
    (omitted,) = step.left_out(Extent())
    assert (omitted.key, omitted.note) == ("restart/2000000", "left out: needs 6.7 GiB, 4.0 are available")
    assert step.arguments(Extent(quick=True))[:3] == ["tests.benchmarks.restart", "--faces", "10"]
    assert step.left_out(Extent(quick=True)) == []


def test_a_run_goes_no_further_than_it_is_told() -> None:
    step = Step("index", "tests.benchmarks.index", (10_000, 100_000, 1_000_000), (1000,))
    extent = Extent(most_faces=100_000, rounds=3, seconds=0.5)
    assert step.arguments(extent) == [
        *("tests.benchmarks.index", "--faces", "10000", "--faces", "100000", "--rounds", "3", "--seconds", "0.5")
    ]
    assert step.arguments(Extent(quick=True))[1:] == ["--faces", "1000", "--rounds", "2", "--seconds", "0.3"]
    assert step.arguments(Extent(most_faces=10))[1:] == ["--faces", "10000"]


def test_every_goal_is_measured_by_a_step_and_every_step_has_its_place_in_the_document() -> None:
    names = {step.name for step in STEPS}
    assert {goal.step for goal in GOALS} <= names
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_parts(document, dict.fromkeys([*names, "goals"], "new")).count("\nnew\n") == len(names) + 1
