"""Results, goals, and what a later run replaces."""

import json
from pathlib import Path

from tests.benchmarks.derived import derived
from tests.benchmarks.goals import GOALS, Goal, judged
from tests.benchmarks.results import Result, describe, left_out, ratio_of
from tests.benchmarks.summary import Measured, as_json, load, merged

GOAL = Goal("fast enough", "index/exact/{faces}/64/flat-tuned", 2.0, 100_000)


def measured(*results: Result) -> list[Measured]:
    return [Measured(result, "2026-01-01", "python -m one", "two cores") for result in results]


def test_a_ratio_is_the_median_of_the_rounds_with_its_quartiles() -> None:
    result = ratio_of("a/b", "ours", "theirs", [1.0, 2.0, 3.0, 4.0, 100.0], ms=1.5)
    assert (result.low, result.ratio, result.high) == (2.0, 3.0, 4.0)
    assert describe(result) == "ours: 3 x theirs [2, 4]; ms 1.5"
    assert Result.from_json(result.to_json()) == result


def test_what_was_left_out_says_why() -> None:
    assert describe(left_out("a", "ten million", "needs 40 GiB")) == "ten million: left out: needs 40 GiB"


def test_a_goal_is_met_at_its_own_size_alone() -> None:
    at_size = ratio_of("index/exact/100000/64/flat-tuned", "", "", [2.5])
    smaller = ratio_of("index/exact/10000/64/flat-tuned", "", "", [9.0])
    assert [outcome.met for outcome in judged([at_size, smaller], [GOAL])] == [True]
    (outcome,) = judged([smaller], [GOAL])
    assert (outcome.met, outcome.faces, outcome.why_not) == (None, 10_000, "not measured")
    assert outcome.measured == "9.0 at 10,000; not measured at its own size"


def test_a_goal_that_was_left_out_says_why() -> None:
    (outcome,) = judged([left_out("index/exact/100000", "exact", "needs 40 GiB")], [GOAL])
    assert (outcome.result, outcome.why_not) == (None, "left out: needs 40 GiB")


def test_a_goal_at_most_is_missed_above() -> None:
    goal = Goal("short", "restart/{faces}", 2.0, 100_000, at_most=True)
    assert [goal.met_by(ratio) for ratio in (1.9, 2.0, 2.1)] == [True, True, False]


def test_every_goal_can_be_told_from_every_other() -> None:
    assert len({(goal.key, goal.faces) for goal in GOALS}) == len(GOALS)


def test_a_new_result_replaces_the_old_one_and_a_left_out_one_replaces_no_figure() -> None:
    old = measured(ratio_of("a", "", "", [1.0]), ratio_of("b", "", "", [1.0]), left_out("c", "", "no room"))
    new = measured(ratio_of("a", "", "", [2.0]), left_out("b", "", "no room"), left_out("c", "", "still no room"))
    found = {entry.result.key: entry.result for entry in merged(old, new)}
    assert (found["a"].ratio, found["b"].ratio, found["c"].note) == (2.0, 1.0, "left out: still no room")


def test_a_summary_that_is_read_again_is_the_same(tmp_path: Path) -> None:
    entries = measured(ratio_of("index/exact/10000/64/flat-tuned", "exact", "FlatIP", [1.0], ms=2.0))
    path = tmp_path / "summary.json"
    path.write_text(as_json(entries, "python -m tests.benchmarks"))
    assert load(path) == entries
    assert len(json.loads(path.read_text())["goals"]) == len(GOALS)


def test_the_fastest_kind_is_held_against_figures_that_were_measured_apart() -> None:
    results = [
        ratio_of("index/exact/100000/1/flat-tuned", "exact", "FlatIP", [1.0], probes_per_s=100.0),
        ratio_of("index/fast/100000/1/flat-tuned", "fast", "FlatIP", [9.0], probes_per_s=992.0),
        ratio_of("index/fast/100000/64/flat-tuned", "fast", "FlatIP", [9.0], probes_per_s=5000.0),
    ]
    found = {result.key: result.ratio for result in derived(results)}
    assert found == {"insightface/100000/faces": 2.0, "insightface/100000/grouped": 33.0667}
