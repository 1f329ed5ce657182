"""Profiles are built by measurement, and refused where the faces cannot give one."""

from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index.calibration import (
    CLEAN,
    UNKNOWN,
    BuildPlan,
    CalibrationFailed,
    FaceSet,
    UiRules,
    build_profile,
    build_profile_from_ui_set,
    find_ui,
    largest_gamma,
    lost_identity,
    split_ui,
)

from tests.support.calibration_faces import World

PLAN = BuildPlan(rules=UiRules(min_identities=5), min_identities=20)
MAKING, TESTING = range(300), range(1000, 1300)


def sets(world: World) -> tuple[FaceSet, FaceSet]:
    return world.draw(MAKING, degraded=150), world.draw(TESTING, images=2, degraded=300)


def reason_of(making: FaceSet, testing: FaceSet, plan: BuildPlan = PLAN) -> str:
    with pytest.raises(CalibrationFailed) as failed:
        build_profile("toy", making, testing, plan)
    return failed.value.reason


def test_the_centroid_is_the_place_where_degraded_faces_gather_and_gamma_lets_clean_ones_pass() -> None:
    built = build_profile("toy", *sets(World()), PLAN)
    place = np.random.default_rng(0).normal(size=(2, 64))[0]
    assert (built.profile.centroids[0] @ place) / np.linalg.norm(place) > 0.98
    assert built.figures["clean_below_gamma"] == pytest.approx(0.005, abs=0.02)
    assert built.figures["degraded_below_gamma"] == 1.0
    assert built.profile.mean is None
    assert len(built.profile.centroids) == 1
    assert built.ui is not None
    assert {check.name for check in built.ui.checks if check.passed} >= {"dominance", "degraded_share", "kinds"}


def test_a_common_offset_is_subtracted_because_it_was_measured_to_help() -> None:
    built = build_profile("toy", *sets(World(offset=0.9, dimension=32)), replace(PLAN, rules=UiRules(max_distance=0.8)))
    assert built.profile.mean is not None
    assert built.choices[0].chosen.centred


def test_two_places_take_two_centroids_because_one_tells_less() -> None:
    built = build_profile("toy", *sets(World(places=2)), replace(PLAN, rules=UiRules(max_distance=1.0, dominance=2)))
    assert len(built.profile.centroids) == 2
    assert built.choices[1].chosen.centroids == 2
    single = build_profile(
        "toy", *sets(World(places=2)), replace(PLAN, centroids=1, rules=UiRules(max_distance=1.0, dominance=2))
    )
    assert len(single.choices[1].among) >= 1


def test_the_same_faces_give_the_same_profile() -> None:
    first, again = (build_profile("toy", *sets(World(places=2)), replace(PLAN, centroids=2)) for _ in range(2))
    np.testing.assert_array_equal(first.profile.centroids, again.profile.centroids)
    assert first.profile.gamma == again.profile.gamma


def test_a_given_ui_set_needs_no_clustering() -> None:
    making, testing = sets(World())
    by_linkage = build_profile("toy", making, testing, PLAN)
    built = build_profile_from_ui_set("toy", making.take(making.degraded), making.take(making.clean), testing, PLAN)
    assert built.ui is None
    assert built.profile.centroids[0] @ by_linkage.profile.centroids[0] > 0.99


def test_crops_from_the_wild_need_no_labels_but_some_checks_then_say_so() -> None:
    making, testing = sets(World())
    pooled = making.take(making.degraded | (making.identities >= 100))
    wild = FaceSet(
        pooled.rows,
        np.full(len(pooled), -1),
        np.full(len(pooled), UNKNOWN, np.int16),
        np.full(len(pooled), np.nan),
        pooled.kind_names,
    )
    built = build_profile("toy", wild, testing, PLAN)
    assert built.ui is not None
    unchecked = {check.name for check in built.ui.checks if check.passed is None}
    assert {"degraded_share", "kinds", "images_per_identity"} <= unchecked
    assert built.figures["degraded_below_gamma"] == 1.0


def test_progress_reaches_its_end() -> None:
    seen: list[tuple[int, int]] = []
    build_profile("toy", *sets(World()), PLAN, lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("making", "expected"),
    [
        (World().draw(range(1)), "ONE_IMAGE"),
        (World().draw(range(300)), "ALL_CLEAN"),
        (World().draw(range(300), images=0, degraded=300), "ALL_DEGRADED"),
        (World().draw(range(10), degraded=5), "TOO_FEW_IDENTITIES"),
        (World().draw(range(300), degraded=40, pull=0.2), "NO_UI_CLUSTER"),
        (World(places=2, even=True).draw(range(300), degraded=150), "EQUAL_CLUSTERS"),
        (World(dimension=32).draw(range(300), degraded=150), "MIXED_DIMENSIONS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "faces",
)
def test_faces_that_cannot_give_a_profile_are_refused_with_a_reason(making: FaceSet, expected: str) -> None:
    testing = World().draw(TESTING, images=2, degraded=300)
    plan = replace(PLAN, rules=UiRules(min_identities=5, max_clusters=1))
    assert reason_of(making, testing, plan) == expected


def test_a_cluster_of_one_persons_many_photographs_is_no_ui() -> None:
    crowd = World().draw(range(300), degraded=40, pull=0.2)
    star = World().draw(range(5000, 5001), images=200)
    assert reason_of(FaceSet.concatenate([crowd, star]), World().draw(TESTING, images=2, degraded=300)) == "CHAINED"


def test_people_who_make_a_profile_do_not_test_it() -> None:
    making, _ = sets(World())
    assert reason_of(making, making) == "LABELS_MISMATCH"


def test_degraded_faces_alone_set_no_gamma() -> None:
    making, testing = sets(World())
    assert reason_of(making, testing.take(testing.degraded)) == "ALL_DEGRADED"


def test_embeddings_that_are_none_are_refused_with_the_row() -> None:
    raw = np.ones((3, 4), np.float32)
    raw[1, 2] = np.nan
    with pytest.raises(CalibrationFailed, match="row 1") as failed:
        FaceSet.of_raw(raw)
    assert failed.value.reason == "NOT_FINITE"
    with pytest.raises(CalibrationFailed) as failed:
        FaceSet.of_raw(np.zeros((3, 4), np.float32))
    assert failed.value.reason == "ZERO_NORM"


def test_labels_that_do_not_match_are_refused() -> None:
    with pytest.raises(CalibrationFailed) as failed:
        FaceSet.of_raw(np.ones((3, 4), np.float32), np.zeros(2, np.int64))
    assert failed.value.reason == "LABELS_MISMATCH"


def test_an_empty_ui_set_is_refused() -> None:
    making, testing = sets(World())
    empty = making.take(np.zeros(len(making), np.bool_))
    with pytest.raises(CalibrationFailed, match="is empty"):
        build_profile_from_ui_set("toy", empty, making.take(making.clean), testing, PLAN)


def test_lost_identities_are_degraded_faces_unlike_their_own_clean_view() -> None:
    world = World()
    gone, kept = world.draw(range(50), degraded=50, pull=30), world.draw(range(50, 100), degraded=50, pull=0.1)
    faces = FaceSet.concatenate([gone, kept])
    lost = lost_identity(faces, faces.rows.astype(np.float64))
    assert lost[: len(gone)][gone.degraded].mean() > 0.9
    assert not lost[faces.kinds == CLEAN].any()
    assert not lost[len(gone) :].any()


def test_spherical_k_means_finds_separate_places() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(8)[:3]
    vectors = centres[rng.integers(0, 3, 300)] + 0.05 * rng.normal(size=(300, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = split_ui(vectors, 3, rng)
    np.testing.assert_allclose((found @ centres.T).max(axis=0), 1.0, atol=0.01)


def test_a_ui_cluster_reports_how_it_changes_with_the_distance() -> None:
    making, _ = sets(World())
    pool = making.take(making.degraded | (making.identities >= 150))
    found = find_ui(pool, pool.rows.astype(np.float64), UiRules(min_identities=5))
    at = {each.max_distance: each for each in found.by_distance}
    assert at[1.0].largest == found.sizes[0] == 150
    assert at[1.0].cosine == pytest.approx(1.0)


def test_gamma_is_the_largest_that_lets_the_wanted_share_pass() -> None:
    ers = np.linspace(0.5, 1.0, 1001)
    gamma = largest_gamma(ers, 0.005)
    assert (ers < gamma).mean() <= 0.005
    assert (ers < gamma + 0.001).mean() > 0.005
