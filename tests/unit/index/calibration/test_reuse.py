"""Sources of unrecognizable faces are compared in one space."""

import numpy as np
import pytest
from ersgallery_index.calibration import UiRules, UiSource, compare_sources, stability_over_seeds
from ersgallery_index.errors import CalibrationFailed

from tests.support.synthetic_faces import people, together, unrecognizable


def test_sources_of_one_place_are_near_and_of_another_far() -> None:
    same, also, other = (
        UiSource("one", unrecognizable(60).rows),
        UiSource("also", unrecognizable(60, 2).rows),
        UiSource("other", unrecognizable(60, 3, place=1).rows),
    )
    figures = {each.name: each for each in compare_sources([same, also, other])}
    assert figures["one"].distances["also"] < 0.03
    assert figures["one"].distances["other"] > 0.7
    assert figures["one"].distances["other"] == pytest.approx(figures["other"].distances["one"])
    assert figures["one"].faces == 60
    assert 0.1 < figures["one"].inside < 0.5


def test_sources_are_compared_in_the_centred_space_where_a_mean_is_given() -> None:
    sources = [UiSource("one", unrecognizable(60).rows), UiSource("other", unrecognizable(60, 3, place=1).rows)]
    mean = np.random.default_rng(0).normal(size=128) * 0.1
    plain, centred = compare_sources(sources), compare_sources(sources, mean)
    assert plain[0].distances["other"] != pytest.approx(centred[0].distances["other"], abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [(unrecognizable(9, dimension=64).rows, "MIXED_DIMENSIONS"), (unrecognizable(0).rows, "TOO_FEW_FACES")],
)
def test_sources_that_cannot_be_compared_are_refused(rows: np.ndarray, reason: str) -> None:
    with pytest.raises(CalibrationFailed) as caught:
        compare_sources([UiSource("one", unrecognizable(9).rows), UiSource("bad", rows)])
    assert caught.value.reason == reason


def test_clustering_some_of_the_people_again_gives_the_same_centroid_or_says_why_not() -> None:
    pool = together(people(100), unrecognizable(60, first=1000))
    vectors = pool.rows.astype(np.float64)
    again = stability_over_seeds(pool, vectors, UiRules(), range(3))
    assert [one.seed for one in again] == [0, 1, 2]
    assert min(one.cosine or 0 for one in again) > 0.97
    assert len({one.largest for one in again}) > 1
    few = stability_over_seeds(pool, vectors, UiRules(), [0], share=0.1)
    assert few[0].cosine is None
    assert few[0].failed
