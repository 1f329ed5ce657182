"""Who makes a profile and who tests it are different people, and every choice comes from the seed."""

import dataclasses

import numpy as np
import pytest
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling.aligned_faces import AlignedFaces
from ersgallery_server.profiling.material import ImageSources, embed_sources
from ersgallery_server.profiling.samples import SamplingPlan, choose_samples
from numpy.typing import NDArray

from tests.support.patterns import embed_pattern, pattern_faces

PLAN = SamplingPlan(degraded_share=0.25, held_per_level=2, held_severities=(0.5, 1.0))


def test_one_clean_face_of_each_person_makes_the_profile_and_a_share_is_degraded_too() -> None:
    samples = choose_samples(pattern_faces(40), PLAN, 0)
    clean = [one for one in samples.making if one.kind is None]
    degraded = [one for one in samples.making if one.kind is not None]
    assert len({one.identity for one in clean}) == len(clean) == 20
    assert len(degraded) == 5
    assert {one.name for one in degraded} <= {one.name for one in clean}
    assert all(0.2 <= one.severity <= 1.0 for one in degraded)
    assert samples.unused == 20
    assert {one.identity for one in samples.making} & {one.identity for one in samples.testing} == set()


def test_every_kind_and_level_is_tested() -> None:
    tested = [one for one in choose_samples(pattern_faces(40), PLAN, 0).testing if one.kind]
    assert {(one.kind, one.severity) for one in tested} == {
        (kind, level) for kind in Degradation for level in (0.5, 1.0)
    }
    assert len(tested) == 2 * 2 * len(Degradation)


def test_only_the_kinds_asked_for_are_used() -> None:
    plan = dataclasses.replace(PLAN, kinds=(Degradation.NOISE, Degradation.AFFINE))
    samples = choose_samples(pattern_faces(40), plan, 0)
    assert {one.kind for one in samples.making + samples.testing} == {None, Degradation.NOISE, Degradation.AFFINE}


def test_another_seed_chooses_others_and_the_same_one_the_same() -> None:
    chosen = [choose_samples(pattern_faces(40), PLAN, seed) for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_crops_from_the_wild_take_the_place_of_degraded_faces_that_make_the_profile() -> None:
    wild = pattern_faces(40).subset(pattern_faces(40).names[:7])
    material = embed_sources(ImageSources(pattern_faces(40), wild=wild), embed_pattern, PLAN, 0)
    making = material.making.faces
    assert (int(making.clean.sum()), int(making.degraded.sum()), len(making)) == (20, 0, 27)
    assert material.testing.faces.degraded.any()
    assert material.making.show is not None
    assert np.array_equal(material.making.show(20), wild.crop(wild.names[0]))


def test_a_degraded_view_can_be_seen_again_as_it_was_embedded() -> None:
    seen: list[NDArray[np.uint8]] = []

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.extend(crops)
        return embed_pattern(crops)

    material = embed_sources(ImageSources(pattern_faces(40)), embed, PLAN, 0)
    show = material.making.show
    assert show is not None
    row = int(np.flatnonzero(material.making.faces.degraded)[-1])
    assert np.array_equal(seen[row], show(row))
    assert material.notes[0].startswith("20 further photographs")


def test_a_corrupt_image_is_named() -> None:
    encoded = {name: pattern_faces(40)._encoded[name] for name in pattern_faces(40).names}
    broken = choose_samples(pattern_faces(40), PLAN, 0).making[3].name
    encoded[broken] = encoded[broken][:200]
    with pytest.raises(CalibrationFailed, match=broken):
        embed_sources(ImageSources(AlignedFaces(encoded)), embed_pattern, PLAN, 0)
