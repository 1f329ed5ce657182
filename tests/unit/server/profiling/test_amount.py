"""As many faces are degraded as a cluster of them needs, and a refusal says what would do."""

import numpy as np
import pytest
from ersgallery_index.calibration import BuildPlan
from ersgallery_index.calibration.faces import CLEAN, NOBODY, FaceSet
from ersgallery_index.errors import CalibrationFailed
from ersgallery_server.profiling.amount import ENOUGH, Degraded, advised, degraded_of, enough_people
from ersgallery_server.profiling.calibration import calibrate
from ersgallery_server.profiling.given_embeddings import choose_faces
from ersgallery_server.profiling.material import Faces, ImageSources, Material, embed_sources
from ersgallery_server.profiling.samples import SamplingPlan, choose_samples

from tests.support.patterns import embed_pattern, pattern_faces


@pytest.mark.parametrize(
    ("people", "share", "wanted"),
    [
        (2873, 0.5, Degraded(1436, 1)),
        (2873, 0.0, Degraded(0, 1)),
        (20_000, None, Degraded(2000, 1)),
        (2873, None, Degraded(1000, 1)),
        (1000, None, Degraded(500, 2)),
        (250, None, Degraded(125, 8)),
        (100, None, Degraded(50, 8)),
        (1, None, Degraded(0, 8)),
    ],
)
def test_fewer_people_give_more_degraded_faces_each_unless_a_share_is_named(
    people: int, share: float | None, wanted: Degraded
) -> None:
    assert degraded_of(people, share) == wanted


def test_the_number_of_people_that_is_advised_gives_enough_faces_and_one_in_a_hundred_fewer_does_not() -> None:
    for share, enough in ((1.0, True), (0.99, False)):
        given = degraded_of(round(enough_people() * share / 2), None)
        assert (given.people * given.views >= ENOUGH) is enough


def test_the_views_of_a_person_differ_in_kind_and_half_of_the_people_stay_clean() -> None:
    samples = choose_samples(pattern_faces(40), SamplingPlan(held_per_level=2), 0)
    views: dict[int, list[object]] = {}
    for one in samples.making:
        if one.kind is not None:
            views.setdefault(one.identity, []).append(one.kind)
    assert len(views) == 10
    assert all(len(set(kinds)) == len(kinds) == 8 for kinds in views.values())
    clean = [one.identity for one in samples.making if one.kind is None]
    assert len(clean) == len(set(clean)) == 20


def labelled(people: int, views: int) -> FaceSet:
    """Return one clean and some degraded faces of each person, all of them far from each other."""
    rng = np.random.default_rng(0)
    kinds = np.tile(np.r_[CLEAN, np.arange(views) % 4], people).astype(np.int16)
    return FaceSet.of_raw(
        rng.normal(size=(len(kinds), 256)).astype(np.float32),
        np.repeat(np.arange(people), views + 1),
        kinds,
        np.where(kinds == CLEAN, 0.0, 0.8),
        ("A", "B", "C", "D"),
    )


def test_of_given_embeddings_several_degraded_faces_of_half_of_the_people_are_taken_too() -> None:
    making = choose_faces(labelled(60, 10), None, 3, 0, None, None).making.faces
    spoilt, views = np.unique(making.identities[making.degraded], return_counts=True)
    assert (len(spoilt), set(views.tolist()), int(making.clean.sum())) == (15, {8}, 30)
    one_each = choose_faces(labelled(60, 10), 0.5, 3, 0, None, None).making.faces
    assert int(one_each.degraded.sum()) == len(np.unique(one_each.identities[one_each.degraded])) == 15


def test_it_is_said_that_more_faces_are_degraded_than_one_of_every_tenth_person() -> None:
    (said,) = choose_faces(labelled(60, 10), None, 3, 0, None, None).notes
    assert said.startswith("120 degraded faces of 15 of the 30 people")
    assert "would be 3" in said
    assert choose_faces(labelled(60, 10), 0.5, 3, 0, None, None).notes == ()
    sources = ImageSources(pattern_faces(40, 1))
    assert (
        "80 degraded faces of 10" in embed_sources(sources, embed_pattern, SamplingPlan(held_per_level=2), 0).notes[0]
    )
    wild = ImageSources(pattern_faces(40, 1), wild=pattern_faces(40).subset(pattern_faces(40).names[:7]))
    assert embed_sources(wild, embed_pattern, SamplingPlan(held_per_level=2), 0).notes == ()


def test_a_refusal_for_want_of_a_cluster_says_how_many_people_would_do() -> None:
    material = choose_faces(labelled(220, 1), None, 3, 0, None, None)
    with pytest.raises(CalibrationFailed) as caught:
        calibrate("mine", material, BuildPlan())
    assert caught.value.reason == "NO_UI_CLUSTER"
    assert "110 people make the profile, with 55 degraded faces; about 1000 are wanted" in str(caught.value)
    for said in (f"{enough_people()} people", "--degraded-share is left out", "--wild"):
        assert said in str(caught.value)


def test_crops_from_the_wild_without_a_cluster_are_advised_on_as_such() -> None:
    faces = labelled(220, 1)
    crops = faces.take(np.arange(30))
    wild = FaceSet.of_raw(crops.rows, np.full(30, NOBODY))
    with pytest.raises(CalibrationFailed, match="30 crops from the wild were clustered: give more"):
        calibrate("mine", choose_faces(faces, None, 3, 0, wild, None), BuildPlan())


def test_more_faces_are_not_advised_where_there_are_enough_or_where_they_would_not_help() -> None:
    found = str(advised(CalibrationFailed("NO_UI_CLUSTER", "none stands out"), ENOUGH, 3000))
    assert found.startswith("none stands out. 3000 people make the profile, with 1000 degraded faces")
    assert "--severity" in found
    assert f"{enough_people()} people" not in found
    chained = CalibrationFailed("CHAINED", "ordinary people are in it")
    assert advised(chained, 10, 100) is chained


def test_material_that_is_not_to_be_clustered_keeps_its_refusal() -> None:
    few = labelled(10, 1)
    material = Material(Faces(few.take(few.identities < 5)), Faces(few.take(few.identities >= 5)))
    with pytest.raises(CalibrationFailed, match="at least 100 are needed") as caught:
        calibrate("mine", material, BuildPlan())
    assert caught.value.reason == "TOO_FEW_IDENTITIES"
