"""Directions of sets of faces."""

from dataclasses import replace

import numpy as np
from ersgallery_index.calibration import compare_centroids
from ersgallery_index.calibration.centres import mean_cosine_distance
from ersgallery_index.calibration.split import lost_identity, split_ui

from tests.support.synthetic_faces import people, together, ui_direction, unit, unrecognizable


def test_the_mean_cosine_distance_is_that_over_all_pairs() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(30, 6)))
    cosines = (rows @ rows.T)[np.triu_indices(30, 1)]
    assert np.isclose(mean_cosine_distance(rows), 1 - cosines.mean())
    assert mean_cosine_distance(rows[:1]) == 0.0


def test_centroid_sets_are_as_far_apart_as_their_loneliest_centroid() -> None:
    axes = np.eye(4)
    assert compare_centroids(axes[:2], axes[[1, 0]]).greatest == 0.0
    lonely = compare_centroids(axes[:1], axes[:2])
    assert (lonely.greatest, lonely.nearest) == (1.0, 0.0)
    assert compare_centroids(axes[0], -axes[0]).greatest == 2.0


def test_k_means_finds_the_places_where_faces_gather_in_any_order() -> None:
    rows = together(*(unrecognizable(40, place, place=place) for place in range(3))).rows.astype(np.float64)
    places = np.stack([ui_direction(place) for place in range(3)])
    found = split_ui(np.random.default_rng(1).permutation(rows), 3, np.random.default_rng(0))
    assert compare_centroids(found, places).greatest < 0.02
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)


def test_k_means_of_fewer_places_than_centroids_stays_finite() -> None:
    same = np.tile(unit(np.ones(5)), (4, 1))
    found = split_ui(same, 3, np.random.default_rng(0))
    assert np.isfinite(found).all()
    assert compare_centroids(found, same[:1]).greatest < 1e-9


def test_degraded_faces_far_from_their_own_clean_face_have_lost_their_identity() -> None:
    clean, lost, unknown = people(300), unrecognizable(20, first=50), unrecognizable(5, seed=9, first=5000)
    still_similar = replace(clean.take(np.arange(10)), kinds=np.zeros(10, np.int16))
    faces = together(clean, still_similar, lost, unknown)
    found = lost_identity(faces, faces.rows.astype(np.float64))
    assert found[310:330].all()
    assert not found[:310].any()
    assert not found[330:].any()


def test_nobody_has_lost_an_identity_where_no_clean_view_is_known() -> None:
    faces = unrecognizable(20)
    assert not lost_identity(faces, faces.rows.astype(np.float64)).any()
