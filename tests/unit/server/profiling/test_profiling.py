"""A profile is made from a cluster of spoilt faces that stands out, and from nothing else."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.faces.degrade import Degradation
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling import AlignedFaces, ProfilePlan, make_profile
from ersgallery_server.profiling.figures import auc
from ersgallery_server.profiling.linkage import single_linkage
from ersgallery_server.profiling.maker import largest_gamma
from ersgallery_server.profiling.samples import SamplingPlan, choose_samples
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from tests.support.images import encode
from tests.support.package_index import sdist

MODEL = dataclasses.replace(default_model(), dimension=48, centred=True)
PLAN = ProfilePlan(
    min_identities=100, dominance=5.0, sampling=SamplingPlan(held_per_level=2, held_severities=(0.5, 1.0))
)


@functools.cache
def faces(identities: int = 240) -> AlignedFaces:
    """Return coarse patterns, each its own identity with two photographs."""
    rng = np.random.default_rng(1)
    encoded = {}
    for identity in range(identities):
        pattern = rng.integers(40, 216, (14, 14, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        for shot in range(2):
            encoded[f"person{identity:03}/{shot}.png"] = encode(pattern, "PNG", compress_level=1)
    return AlignedFaces(encoded)


def embed_pattern(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed the middle of the pattern by random projection; the less contrast it has, the more one direction counts."""
    grid = crops.reshape(len(crops), 14, 8, 14, 8, 3).mean(axis=(2, 4))[:, 4:10, 4:10].reshape(len(crops), -1) / 255.0
    detail = grid - grid.mean(axis=1, keepdims=True)
    clearness = np.minimum(detail.std(axis=1, keepdims=True) / 0.15, 1.0) ** 2
    embedding = detail @ np.random.default_rng(7).normal(size=(grid.shape[1], 48))
    embedding *= clearness / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-9)
    embedding[:, :1] += 1.0 - clearness
    return np.asarray(embedding, np.float32)


@pytest.mark.parametrize("max_distance", [0.5, 0.9, 1.2])
def test_linkage_agrees_with_the_connected_components_of_the_distance_graph(max_distance: float) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1500, 6))
    unit = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    labels = single_linkage(unit, max_distance)
    near = unit @ unit.T >= np.float32(1 - max_distance**2 / 2)
    expected = connected_components(csr_matrix(near), directed=False)[1]
    pairs = set(zip(labels.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == labels.max() + 1 == expected.max() + 1


def test_makers_and_testers_are_different_people_and_everybody_gives_one_face() -> None:
    samples = choose_samples(faces(), SamplingPlan(held_per_level=5), np.random.default_rng(0))
    making = [sample.name.split("/")[0] for sample in samples.clean]
    held = {sample.name.split("/")[0] for sample in (*samples.held_clean, *samples.held_degraded)}
    assert len(set(making)) == len(making) == 120
    assert not held & set(making)
    assert [sample.name for sample in samples.degraded] == [sample.name for sample in samples.clean[-72:]]
    assert {sample.kind for sample in samples.degraded} == set(Degradation)


def test_one_seed_makes_one_profile_and_another_seed_another_one() -> None:
    first, again, other = (
        make_profile(MODEL, faces(), embed_pattern, dataclasses.replace(PLAN, seed=seed), {}) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.centroids, again.centroids)
    assert first.provenance == again.provenance
    assert not np.array_equal(first.centroids, other.centroids)


def test_a_profile_says_how_it_was_made_and_lets_clean_faces_pass() -> None:
    seen: list[tuple[int, int]] = []
    profile = make_profile(
        MODEL, faces(), embed_pattern, PLAN, {"command": "c"}, lambda done, total: seen.append((done, total))
    )
    counts = profile.provenance["counts"]
    assert profile.provenance["command"] == "c"
    assert counts["identities_making"] == 120
    assert counts["held_out_clean"] == 240
    assert profile.provenance["clusters"]["used"][0] >= 5 * profile.provenance["clusters"]["next"]
    assert profile.provenance["figures"]["clean_below_gamma"] <= 0.005
    assert profile.provenance["figures"]["degraded_below_gamma_by_kind_and_severity"]["GAUSSIAN_BLUR"]["1"] == 1.0
    assert seen[-1][0] == seen[-1][1]
    assert profile.mean is not None


def test_a_model_that_is_not_centred_gets_no_mean() -> None:
    profile = make_profile(dataclasses.replace(MODEL, centred=False), faces(), embed_pattern, PLAN, {})
    assert profile.mean is None


def test_without_a_cluster_that_stands_out_there_is_no_profile() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(CalibrationFailed, match="stands out"):
        make_profile(MODEL, faces(), lambda crops: rng.normal(size=(len(crops), 48)).astype(np.float32), PLAN, {})


def test_a_cluster_of_clean_faces_is_no_ui_cluster() -> None:
    uncentred = dataclasses.replace(MODEL, centred=False)
    with pytest.raises(CalibrationFailed, match="degraded"):
        make_profile(uncentred, faces(), lambda crops: np.ones((len(crops), 48), np.float32), PLAN, {})


def test_too_few_identities_are_an_error() -> None:
    with pytest.raises(CalibrationFailed, match="99 identities"):
        make_profile(MODEL, faces(99), embed_pattern, PLAN, {})


def test_gamma_is_the_largest_that_keeps_the_promise() -> None:
    ers = np.random.default_rng(0).uniform(0.5, 1.0, 1000)
    gamma = largest_gamma(ers, 0.005)
    assert (ers < gamma).mean() <= 0.005
    assert (ers < gamma + 0.002).mean() > 0.005 or (ers < gamma + 0.01).mean() > 0.005
    assert largest_gamma(ers, 0.0) <= ers.min()


def test_auc_counts_ordered_pairs_and_half_of_the_ties() -> None:
    assert auc(np.array([1.0, 2.0]), np.array([0.0, 0.5])) == 1.0
    assert auc(np.array([1.0]), np.array([1.0, 1.0])) == 0.5
    assert auc(np.array([1.0, 3.0]), np.array([2.0])) == 0.5


def test_faces_are_the_same_from_a_tar_file_and_from_a_folder(tmp_path: Path) -> None:
    images = {f"person{i}/{i}.png": encode(np.full((112, 112, 3), i, np.uint8), "PNG") for i in range(3)}
    (tmp_path / "faces.tar.gz").write_bytes(sdist({**images, "notes.txt": b"x"}))
    for name, data in images.items():
        (tmp_path / "faces" / name).parent.mkdir(parents=True)
        (tmp_path / "faces" / name).write_bytes(data)
    packed, unpacked = AlignedFaces.open(tmp_path / "faces.tar.gz"), AlignedFaces.open(tmp_path / "faces")
    assert packed.names == unpacked.names == tuple(images)
    assert np.array_equal(packed.crop("person2/2.png"), unpacked.crop("person2/2.png"))
    assert packed.by_identity()["person1"] == ["person1/1.png"]


@pytest.mark.parametrize("size", [(111, 112), (113, 113), (50, 50)])
def test_a_photograph_that_is_no_aligned_crop_is_an_error(size: tuple[int, int]) -> None:
    given = AlignedFaces({"p/a.png": encode(np.zeros((*size, 3), np.uint8), "PNG")})
    with pytest.raises(CalibrationFailed, match=r"p/a\.png"):
        given.crop("p/a.png")


def test_a_source_without_faces_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.tar").write_bytes(b"no tar file")
    for place in ("empty", "no.tar", "missing"):
        with pytest.raises(CalibrationFailed):
            AlignedFaces.open(tmp_path / place)
