"""ERS, centring and enhancement."""

import numpy as np
import pytest
from ersgallery_index import Derivation, InvalidEmbedding, InvalidProfile, Profile
from ersgallery_index.sums import row_dots

from tests.support.indexes import unit_rows


def profile(centroids: object, mean: object = None, gamma: float = 0.5) -> Profile:
    rows = unit_rows(centroids).astype(np.float64)
    return Profile("model", rows, gamma, None if mean is None else np.asarray(mean, dtype=np.float64))


def test_ers_is_one_less_the_similarity_to_the_nearest_centroid_capped_to_its_range() -> None:
    derived = Derivation(profile([[1, 0, 0], [0, 1, 0]])).derive(
        unit_rows([[1, 0, 0], [0, 0, 1], [-1, -1, 0], [3, 4, 0]])
    )
    assert derived.raw_ers == pytest.approx([0.0, 1.0, 1.0 + 0.5**0.5, 0.2])
    assert derived.ers == pytest.approx([0.0, 1.0, 1.0, 0.2])
    assert derived.usable.all()


def test_without_mean_and_enhancement_the_stored_row_is_used_bit_for_bit() -> None:
    stored = unit_rows(np.random.default_rng(0).standard_normal((50, 128)))
    derived = Derivation(profile(np.eye(128)[:1])).derive(stored)
    assert np.array_equal(derived.vectors, stored)


def test_the_mean_is_subtracted_and_the_row_normalised_again_before_its_ers_is_taken() -> None:
    derived = Derivation(profile([[0, 1]], mean=[0.5, 0.0])).derive(unit_rows([[0, 1], [1, 0]]))
    assert derived.vectors == pytest.approx(unit_rows([[-0.5, 1], [1, 0]]))
    assert derived.ers == pytest.approx([1 - 1 / 1.25**0.5, 1.0])


def test_a_row_equal_to_the_mean_has_no_direction_and_ers_zero() -> None:
    stored = unit_rows([[3, 4], [1, 0]])
    derived = Derivation(profile([[1, 0]], mean=stored[0])).derive(stored)
    assert derived.usable.tolist() == [False, True]
    assert derived.ers[0] == derived.raw_ers[0] == 0.0
    assert derived.vectors[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_enhancement_removes_the_span_of_all_centroids_and_leaves_ers_alone(count: int) -> None:
    random = np.random.default_rng(count)
    centroids = unit_rows(random.standard_normal((count, 16))).astype(np.float64)
    stored = unit_rows(random.standard_normal((30, 16)))
    plain = Derivation(Profile("model", centroids, 0.5)).derive(stored)
    enhanced = Derivation(Profile("model", centroids, 0.5), enhance=True).derive(stored)
    shares, *_ = np.linalg.lstsq(centroids.T, stored.T.astype(np.float64), rcond=None)
    assert enhanced.vectors == pytest.approx(unit_rows(stored - (centroids.T @ shares).T), abs=1e-7)
    assert np.array_equal(enhanced.ers, plain.ers)
    assert np.array_equal(enhanced.raw_ers, plain.raw_ers)


def test_equal_centroids_span_one_direction_only() -> None:
    enhanced = Derivation(profile([[1, 0, 0], [1, 0, 0], [1, 1e-9, 0]]), enhance=True).derive(unit_rows([[1, 1, 1]]))
    assert enhanced.vectors[0] == pytest.approx(unit_rows([0, 1, 1]))


def test_a_row_within_the_span_of_the_centroids_is_not_usable_when_enhanced() -> None:
    derived = Derivation(profile([[1, 0, 0], [1, 1, 0]]), enhance=True).derive(unit_rows([[1, -3, 0], [0, 0, 1]]))
    assert derived.usable.tolist() == [False, True]
    assert derived.vectors[0].tolist() == [0.0, 0.0, 0.0]
    assert derived.ers[0] == pytest.approx(1 - 1 / 10**0.5)


def test_the_nearest_of_many_centroids_is_found_exactly_also_where_several_are_as_near() -> None:
    random = np.random.default_rng(8)
    stored = unit_rows(random.standard_normal((200, 64)))
    close = [stored[:4], np.nextafter(stored[:4], np.float32(2)), unit_rows(stored[4:6] + stored[6:8]), stored[:1]]
    of_many = profile(np.concatenate([*close, random.standard_normal((6, 64))]))
    rows = np.concatenate([stored, np.zeros((1, 64), np.float32)])
    products = [row_dots(rows.astype(np.float64), centroid) for centroid in of_many.centroids]
    assert np.array_equal(Derivation(of_many).derive(rows).raw_ers, 1.0 - np.max(products, axis=0))


def test_a_row_derives_to_the_same_in_every_batch() -> None:
    random = np.random.default_rng(5)
    stored = unit_rows(random.standard_normal((150, 512)))
    centroids = unit_rows(random.standard_normal((2, 512))).astype(np.float64)
    derivation = Derivation(Profile("model", centroids, 0.5, mean=0.02 * random.standard_normal(512)), enhance=True)
    together = derivation.derive(stored)
    alone = [derivation.derive(stored[i : i + 1]) for i in range(150)]
    assert np.array_equal(together.vectors, np.concatenate([one.vectors for one in alone]))
    assert together.ers.tolist() == [float(one.ers[0]) for one in alone]


@pytest.mark.parametrize("stored", [np.ones((1, 3)), np.array([[np.nan, 1.0]]), np.ones(2)])
def test_rows_that_are_no_stored_rows_are_refused(stored: np.ndarray) -> None:
    with pytest.raises(InvalidEmbedding):
        Derivation(profile([[1, 0]])).derive(stored.astype(np.float32))


@pytest.mark.parametrize(
    ("centroids", "mean", "gamma"),
    [
        (np.zeros((0, 2)), None, 0.5),
        (np.zeros((1, 0)), None, 0.5),
        (np.array([1.0, 0.0]), None, 0.5),
        (np.array([[1.0, 0.1]]), None, 0.5),
        (np.array([[0.0, 0.0]]), None, 0.5),
        (np.array([[np.nan, 1.0]]), None, 0.5),
        (np.array([[1.0, 0.0]]), np.zeros(3), 0.5),
        (np.array([[1.0, 0.0]]), np.array([np.inf, 0.0]), 0.5),
        (np.array([[1.0, 0.0]]), None, 1.01),
        (np.array([[1.0, 0.0]]), None, float("nan")),
    ],
)
def test_a_profile_that_defines_no_ers_is_refused(centroids: np.ndarray, mean: np.ndarray | None, gamma: float) -> None:
    with pytest.raises(InvalidProfile):
        Profile("model", centroids, gamma, mean)


def test_centroids_are_made_unit_once_and_then_survive_being_saved() -> None:
    random = np.random.default_rng(6)
    rough = unit_rows(random.standard_normal((40, 512))).astype(np.float64)
    first = Profile("model", rough, 0.5)
    assert np.linalg.norm(first.centroids, axis=1) == pytest.approx(np.ones(40), abs=1e-14)
    assert np.array_equal(Profile("model", first.centroids, 0.5).centroids, first.centroids)


def test_a_profile_cannot_be_changed_through_its_arrays_or_the_ones_it_was_made_from() -> None:
    given = np.array([[1.0, 0.0]])
    made = Profile("model", given, 0.5, mean=np.zeros(2))
    given[0] = [0.0, 1.0]
    assert made.centroids.tolist() == [[1.0, 0.0]]
    with pytest.raises(ValueError, match="read-only"):
        made.centroids[0, 0] = 0.0
