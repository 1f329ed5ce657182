"""The unrecognizable identity is found where degraded people gather, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from ersgallery_index.calibration import FaceSet, UiClusters, UiRules, find_ui
from ersgallery_index.errors import CalibrationFailed

from tests.support.synthetic_faces import people, together, ui_direction, unit, unrecognizable

ORDINARY = people(150)


def find(faces: FaceSet, rules: UiRules | None = None) -> UiClusters:
    return find_ui(faces, faces.rows.astype(np.float64), rules or UiRules())


def unlabelled(faces: FaceSet) -> FaceSet:
    return FaceSet.of_raw(faces.rows)


def test_the_cluster_is_where_degraded_people_gather() -> None:
    found = find(together(ORDINARY, unrecognizable(60, first=1000)))
    assert found.members[0].tolist() == [False] * 150 + [True] * 60
    assert found.centroids.shape == (1, 128)
    assert found.centroids[0] @ ui_direction() > 0.98
    assert found.sizes[:2] == (60, 1)
    assert found.identities == 60
    assert found.by_kind == {"BLUR": 15, "NOISE": 15, "DARK": 15, "SMALL": 15}
    assert all(check.passed is not False for check in found.checks)
    assert [one.max_distance for one in found.by_distance] == [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]


def test_a_second_place_is_taken_where_both_dwarf_the_third_and_are_not_alike() -> None:
    found = find(together(ORDINARY, unrecognizable(60, first=1000), unrecognizable(25, 2, first=2000, place=1)))
    assert [int(inside.sum()) for inside in found.members] == [60, 25]
    assert found.everyone.sum() == 85
    assert found.centroids[1] @ ui_direction(1) > 0.95


def test_what_needs_labels_is_reported_as_not_checked_without_them() -> None:
    found = find(unlabelled(together(ORDINARY, unrecognizable(60))))
    outcome = {check.name: check.passed for check in found.checks}
    assert outcome["degraded_share"] is None
    assert outcome["kinds"] is None
    assert outcome["joins_ordinary_faces"] is True
    assert found.members[0].sum() == 60


def chain(length: int) -> FaceSet:
    """Return clean faces of many people, each near the next: an arc."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2.5, length)
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ np.linalg.qr(rng.normal(size=(128, 2)))[0].T
    wide = plane + 0.02 * rng.normal(size=plane.shape)
    faces = people(length, first=3000)
    rows = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return FaceSet(rows, faces.identities, faces.kinds, faces.severities, faces.kind_names)


@pytest.mark.parametrize(
    ("faces", "reason", "said"),
    [
        (ORDINARY.take(np.arange(1)), "ONE_IMAGE", "1 face was given"),
        (ORDINARY, "NO_UI_CLUSTER", "10 times as many"),
        (together(ORDINARY, unrecognizable(9, first=1000)), "NO_UI_CLUSTER", "the largest have 9, 1"),
        (
            together(ORDINARY, unrecognizable(40, first=1000), unrecognizable(39, 2, first=2000, place=1)),
            "EQUAL_CLUSTERS",
            "40, 39, 1",
        ),
        (together(ORDINARY, chain(60)), "CHAINED", "0 .*known to be degraded"),
        (together(ORDINARY, people(1, images=40, first=4000), unrecognizable(3)), "CHAINED", "one clean image"),
        (unlabelled(together(people(20), unrecognizable(80))), "CHAINED", "0.8 .*joined"),
        (together(ORDINARY, unrecognizable(60, first=1000, kinds=1)), "TOO_NARROW", "kinds of degradation"),
    ],
)
def test_what_is_no_unrecognizable_identity_is_refused(faces: FaceSet, reason: str, said: str) -> None:
    with pytest.raises(CalibrationFailed, match=said) as caught:
        find(faces)
    assert caught.value.reason == reason


def test_degraded_faces_of_few_people_are_too_narrow() -> None:
    few = unrecognizable(60)
    few = FaceSet(few.rows, few.identities % 5 + 1000, few.kinds, few.severities, few.kind_names)
    with pytest.raises(CalibrationFailed, match=r"5 \(at least 10 wanted\): people") as caught:
        find(together(ORDINARY, few))
    assert caught.value.reason == "TOO_NARROW"


def test_a_cluster_whose_halves_point_apart_is_unstable() -> None:
    with pytest.raises(CalibrationFailed, match="two halves") as caught:
        find(together(ORDINARY, unrecognizable(60, first=1000)), UiRules(min_stability=0.9999))
    assert caught.value.reason == "UNSTABLE"


def test_a_cluster_that_no_other_distance_shows_is_unstable() -> None:
    rng = np.random.default_rng(3)
    loose = unrecognizable(60, first=1000)
    # Two of these are about 1.02 apart: they cling together at 1.0 and not at 0.9, where another place is larger.
    rows = unit(0.693 * ui_direction() + 0.721 * unit(rng.normal(size=(60, 128)))).astype(np.float32)
    faces = together(ORDINARY, replace(loose, rows=rows), unrecognizable(25, 2, first=2000, place=1))
    with pytest.raises(CalibrationFailed, match=r"distance 0\.1 less or more") as caught:
        find(faces, UiRules(grid=(0.9,)))
    assert caught.value.reason == "UNSTABLE"
    assert find(faces).members[0].sum() == 60
