"""The steps of `python -m tests.benchmarks`."""

import pytest

from tests.benchmarks import memory
from tests.benchmarks.__main__ import DOCUMENT, STEPS, Step
from tests.benchmarks.document import with_parts
from tests.benchmarks.goals import GOALS
from tests.benchmarks.memory import GIB


def test_sizes_that_memory_is_too_small_for_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 4 * GIB)
    step = Step("restart", "tests.benchmarks.restart", (1_000_000, 2_000_000), (10,), bytes_per_face=3 << 10)
    assert step.arguments(quick=False) == ["tests.benchmarks.restart", "--faces", "1000000"]
    (omitted,) = step.left_out(quick=False)
    assert (omitted.key, omitted.note) == ("restart/2000000", "left out: needs 6.7 GiB, 4.0 are available")
    assert step.arguments(quick=True)[:3] == ["tests.benchmarks.restart", "--faces", "10"]
    assert step.left_out(quick=True) == []


def test_every_goal_is_measured_by_a_step_and_every_step_has_its_place_in_the_document() -> None:
    names = {step.name for step in STEPS}
    assert {goal.step for goal in GOALS} <= names
    document = DOCUMENT.read_text(encoding="utf-8")
    assert with_parts(document, dict.fromkeys([*names, "goals"], "new")).count("\nnew\n") == len(names) + 1
