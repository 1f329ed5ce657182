"""Figures of separation are what their definitions say."""

import math

import numpy as np
import pytest
from ersgallery_index.calibration import auc, histogram, largest_gamma
from ersgallery_index.calibration.separation import cross_checked, figures, pair_accuracy

from tests.support.synthetic_faces import people, together, unrecognizable


def test_the_auc_counts_pairs_and_ties_half() -> None:
    rng = np.random.default_rng(0)
    higher, lower = rng.integers(0, 9, 40) / 8, rng.integers(0, 7, 30) / 8
    pairs = [(high > low) + 0.5 * (high == low) for high in higher for low in lower]
    assert math.isclose(auc(higher, lower), float(np.mean(pairs)))
    assert math.isnan(auc(higher, lower[:0]))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 1.0])
def test_gamma_loses_no_more_clean_faces_than_allowed_and_a_larger_one_would(share: float) -> None:
    ers = np.random.default_rng(0).uniform(0.2, 0.9, 200)
    gamma = largest_gamma(ers, share)
    assert (ers < gamma).sum() <= share * 200
    if share < 1:
        assert (ers < gamma + 0.0002).sum() > share * 200


def test_gamma_never_leaves_the_range_of_ers() -> None:
    assert largest_gamma(np.full(5, 1.4), 0.0) == 1.0
    assert largest_gamma(np.full(5, -0.1), 0.0) == 0.0


def test_pair_accuracy_equals_the_best_tau_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    faces = people(12, images=3, dimension=4)
    measured = pair_accuracy(faces.rows.astype(np.float64), faces.identities, rng)
    assert measured is not None
    accuracy, pairs = measured
    assert pairs == 12 * 3
    assert 0.5 < accuracy <= 1.0
    perfect = pair_accuracy(np.repeat(np.eye(5), 2, axis=0), np.repeat(np.arange(5), 2), rng)
    assert perfect == (1.0, 5)
    reversed_ = pair_accuracy(np.tile(np.eye(2), (2, 1)), np.array([0, 0, 1, 1]), rng)
    assert reversed_ == (0.5, 2)


def test_there_is_no_pair_accuracy_without_two_faces_of_a_person() -> None:
    rng = np.random.default_rng(0)
    assert pair_accuracy(np.eye(4), np.arange(4), rng) is None
    assert pair_accuracy(np.eye(4), np.full(4, -1), rng) is None
    assert pair_accuracy(np.eye(4), np.zeros(4, np.int64), rng) is None


def test_the_histogram_loses_no_face() -> None:
    faces = together(people(30), unrecognizable(10))
    counted = histogram(faces, np.linspace(-0.5, 2.5, 40))
    assert (counted.clean.sum(), counted.degraded.sum()) == (30, 10)
    assert len(counted.edges) == len(counted.clean) + 1


def test_figures_are_shares_of_labelled_faces_by_kind_and_level() -> None:
    faces = together(people(4), unrecognizable(4))
    shown = figures(faces, np.array([0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9]), 0.5)
    assert shown["clean_below_gamma"] == 0.25
    assert shown["degraded_below_gamma"] == 0.75
    assert shown["degraded_below_gamma_by_kind_and_severity"] == {
        "BLUR": {"1": 1.0},
        "NOISE": {"1": 1.0},
        "DARK": {"1": 1.0},
        "SMALL": {"1": 0.0},
    }


def test_a_gamma_of_other_people_is_checked_on_both_halves() -> None:
    ers = np.random.default_rng(0).uniform(size=1000)
    share = cross_checked(ers, np.arange(1000), 0.1)
    assert share is not None
    assert share == pytest.approx(0.1, abs=0.03)
    assert cross_checked(ers[:5], np.zeros(5, np.int64), 0.1) is None
