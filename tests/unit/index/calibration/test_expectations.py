"""Faces that cannot give a sound profile are refused, and what a profile does to other people is checked."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index import Derivation
from ersgallery_index.calibration import (
    BuildPlan,
    CalibrationFailed,
    FaceSet,
    build_profile,
    build_profile_from_ui_set,
)

from tests.support.synthetic_faces import people, together, ui_direction, unrecognizable

PLAN = BuildPlan(max_clean_below=0.02)
MAKING = together(people(200), unrecognizable(60, first=1000))
TESTING = together(people(120, 5, images=2, first=5000), unrecognizable(60, 6, first=6000))


def without_kinds(faces: FaceSet) -> FaceSet:
    return replace(faces, kinds=np.full(len(faces), -2, np.int16), severities=np.full(len(faces), np.nan))


def with_nan(faces: FaceSet) -> FaceSet:
    rows = faces.rows.copy()
    rows[3, 4] = np.nan
    return replace(faces, rows=rows)


def test_all_checks_pass_where_degraded_faces_gather_and_clean_ones_do_not() -> None:
    built = build_profile("toy", MAKING, TESTING, PLAN)
    assert built.profile.centroids[0] @ ui_direction() > 0.98
    assert {check.name for check in built.checks} >= {
        "dominance",
        "separates",
        "gamma_support",
        "away_from_recognizable",
    }
    assert all(check.passed is not False for check in built.checks)
    derived = Derivation(built.profile).derive(TESTING.rows)
    assert (derived.ers[TESTING.degraded] < built.profile.gamma).all()


def test_the_figures_are_of_people_whom_no_choice_saw() -> None:
    built = build_profile("toy", MAKING, TESTING, PLAN)
    counted = built.histogram.clean.sum()
    assert built.figures["clean"] == counted
    assert abs(counted - TESTING.clean.sum() / 2) < 20


def test_crops_from_the_wild_can_be_centred_by_their_own_mean_and_ask_for_no_degraded_test_faces() -> None:
    clean = people(240, 5, images=2, first=5000)
    built = build_profile("toy", without_kinds(MAKING), clean, replace(PLAN, centring=True))
    assert built.profile.mean is not None
    np.testing.assert_allclose(built.profile.mean, MAKING.rows.mean(axis=0), atol=1e-6)
    assert built.ui_members.sum() == 60
    outcome = {check.name: check.passed for check in built.checks}
    assert outcome["separates"] is None
    assert outcome["away_from_recognizable"] is None
    measured = build_profile("toy", without_kinds(MAKING), clean, PLAN)
    assert measured.profile.mean is None
    assert "not measured" in measured.choices[0].reason
    assert "not measured" in measured.choices[1].reason


def test_a_gamma_that_stands_on_few_faces_is_told() -> None:
    built = build_profile("toy", MAKING, TESTING, replace(PLAN, max_clean_below=0.001))
    support = next(check for check in built.checks if check.name == "gamma_support")
    assert support.passed is False
    assert "happened to be" in support.text


@pytest.mark.parametrize(
    ("making", "testing", "reason"),
    [
        (lambda: MAKING.take(np.arange(0)), lambda: TESTING, "ONE_IMAGE"),
        (lambda: MAKING, lambda: without_kinds(TESTING), "ALL_DEGRADED"),
        (lambda: MAKING, lambda: people(10, first=5000), "TOO_FEW_IDENTITIES"),
        (lambda: with_nan(MAKING), lambda: TESTING, "NOT_FINITE"),
        (lambda: MAKING, lambda: with_nan(TESTING), "NOT_FINITE"),
        (lambda: together(MAKING, unrecognizable(55, 3, first=2000, place=1)), lambda: TESTING, "EQUAL_CLUSTERS"),
    ],
)
def test_bad_faces_are_refused_with_their_own_reason(
    making: Callable[[], FaceSet], testing: Callable[[], FaceSet], reason: str
) -> None:
    with pytest.raises(CalibrationFailed) as caught:
        build_profile("toy", making(), testing(), PLAN)
    assert caught.value.reason == reason
    assert len(caught.value.message) > 20


def test_a_profile_that_separates_nothing_is_refused() -> None:
    clean_ones_called_degraded = replace(people(300, 7, first=7000), kinds=np.zeros(300, np.int16))
    testing = together(people(120, 5, images=2, first=5000), clean_ones_called_degraded)
    with pytest.raises(CalibrationFailed, match="AUC") as caught:
        build_profile("toy", MAKING, testing, PLAN)
    assert caught.value.reason == "NO_SEPARATION"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (unrecognizable(5, first=900), "TOO_FEW_FACES"),
        (people(40, 12, first=900), "UNSTABLE"),
        (with_nan(unrecognizable(40, first=900)), "NOT_FINITE"),
        (unrecognizable(40, first=900, dimension=64), "MIXED_DIMENSIONS"),
    ],
)
def test_a_given_set_that_is_none_of_unrecognizable_faces_is_refused(given: FaceSet, reason: str) -> None:
    with pytest.raises(CalibrationFailed) as caught:
        build_profile_from_ui_set("toy", given, people(200), TESTING, PLAN)
    assert caught.value.reason == reason


def test_a_given_set_whose_mean_is_that_of_clean_faces_is_refused() -> None:
    clean, given = people(200, common=3.0), people(1, 12, images=60, first=900, common=3.0)
    with pytest.raises(CalibrationFailed, match="mean of unrecognizable and of clean") as caught:
        build_profile_from_ui_set("toy", given, clean, TESTING, replace(PLAN, centring=False))
    assert caught.value.reason == "CHAINED"


def test_one_centroid_is_the_largest_clusters_and_more_are_taken_only_where_they_separate_better() -> None:
    making = together(people(200), unrecognizable(60, first=1000), unrecognizable(25, 2, first=2000, place=1))
    one_place = together(people(240, 5, images=2, first=5000), unrecognizable(120, 6, first=6000))
    built = build_profile("toy", making, one_place, PLAN)
    assert built.ui is not None
    assert len(built.ui.centroids) == 2
    assert len(built.profile.centroids) == 1
    assert built.ui_members.sum() == 60
    assert built.profile.centroids[0] @ ui_direction() > 0.98
    two_places = together(one_place, unrecognizable(120, 8, first=8000, place=1))
    assert len(build_profile("toy", making, two_places, PLAN).profile.centroids) == 2
    asked = build_profile("toy", making, two_places, replace(PLAN, centroids=1))
    np.testing.assert_array_equal(asked.profile.centroids, built.profile.centroids)


def test_centring_is_decided_by_separation_alone_where_no_person_has_two_clean_faces_and_says_so() -> None:
    testing = together(people(240, 5, first=5000), unrecognizable(60, 6, first=6000))
    built = build_profile("toy", MAKING, testing, PLAN)
    assert built.choices[0].chosen.accuracy is None
    assert "by that alone" in built.choices[0].reason
    assert "accuracy of clean pairs" in build_profile("toy", MAKING, TESTING, PLAN).choices[0].reason
