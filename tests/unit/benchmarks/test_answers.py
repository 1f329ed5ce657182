"""The worth of an index's answers beside a brute force."""

import numpy as np
import pytest
from ersgallery_index import IndexRows

from tests.benchmarks.answers import Best, Trial, brute_force, first_of, judge, trial_of
from tests.benchmarks.geometry import Crowd, Geometry
from tests.benchmarks.kinds import IN_MEMORY, ON_DISK, Kind, fill
from tests.benchmarks.raw_flat import Batches, RawFlat


def axes(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.eye(8, dtype=np.float32)[list(numbers)]


def test_brute_force_goes_over_all_blocks_and_leaves_out_what_is_below_the_gate() -> None:
    ids = np.arange(3)
    parts = [
        IndexRows(ids, ids + 10, np.array([0.9, 0.9, 0.1]), axes(0, 1, 2)),
        IndexRows(ids + 3, ids + 20, np.array([0.9, 0.9, 0.9]), axes(3, 4, 5)),
    ]
    best = brute_force(parts, axes(1, 4, 2), gamma=0.5)
    assert best.subjects.tolist()[:2] == [11, 21]
    assert best.scores.tolist() == [1.0, 1.0, 0.0]
    assert best.subjects[2] != 12


def test_a_mate_that_an_index_does_not_return_first_is_lost() -> None:
    mates = np.array([1, 2, 3, 4])
    exact = Best(mates, np.array([0.9, 0.8, 0.7, 0.1]))
    strangers = Best(np.array([1, 1]), np.array([0.2, 0.3]))
    trial = Trial(mates, axes(0, 1, 2, 3), axes(4, 5), exact, strangers, 0.5)
    assert trial.tau == 0.3
    assert trial.identified.tolist() == [True, True, True, False]
    found = Best(np.array([1, 9, 3, 4]), exact.scores)
    result = judge("answers/x/10", "x", trial, found, strangers)
    assert result.ratio == 1 - 1 / 3
    assert result.figures == {"identified": 3, "lost": 1, "fnir_exact": 0.25, "fnir": 0.5, "fpir": 0.5}


@pytest.mark.parametrize("kind", [*IN_MEMORY[:2], ON_DISK[0]], ids=lambda kind: kind.label)
def test_an_exact_kind_loses_no_mate_of_a_generated_gallery(kind: Kind) -> None:
    crowd = Crowd(Geometry.load(), 1500)
    trial = trial_of(crowd, mated=150, strangers=100)
    assert trial.identified.sum() > 50
    index = fill(kind, crowd)
    found = first_of(index, trial.mated, trial.gamma)
    np.testing.assert_array_equal(found.subjects[trial.identified], trial.mates[trial.identified])
    np.testing.assert_allclose(found.scores, trial.exact_mated.scores, atol=1e-5)


def test_the_raw_index_finds_each_row_for_itself_tuned_or_not() -> None:
    rows = axes(0, 1, 2, 3, 4, 5)
    flat = RawFlat.of(8, [rows[:2], rows[2:]])
    for tuned in (True, False):
        scores, positions = flat.search(rows, 1, tuned=tuned)
        assert positions.ravel().tolist() == list(range(6))
        np.testing.assert_array_equal(scores, 1.0)


def test_batches_come_in_turn_and_whole() -> None:
    batches = Batches(axes(0, 1, 2, 3, 4), 2)
    taken = [batches.take().argmax(axis=1).tolist() for _ in range(3)]
    assert taken == [[2, 3], [0, 1], [2, 3]]
