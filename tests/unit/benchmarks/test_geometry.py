"""Generated galleries lie as the statistics say, and are the same whenever they are drawn."""

from pathlib import Path

import numpy as np
import pytest
from ersgallery_server.models.profile_file import ProfileFile

from tests.benchmarks import geometry as geometry_module
from tests.benchmarks.fit_geometry import describe_crowd, fit
from tests.benchmarks.geometry import Crowd, Geometry, unit


@pytest.fixture(scope="module")
def geometry() -> Geometry:
    return Geometry.load()


def test_generated_faces_agree_with_the_real_ones_that_were_measured(geometry: Geometry) -> None:
    generated = describe_crowd(geometry, people=1500)
    for name, tolerance in {
        "genuine mean": 0.03,
        "genuine sd": 0.02,
        "impostor mean": 0.005,
        "impostor sd": 0.005,
        "degraded to clean mean": 0.03,
        "clean ERS mean": 0.01,
        "degraded ERS mean": 0.03,
    }.items():
        assert generated[name] == pytest.approx(geometry.measured[name], abs=tolerance), name


def test_rows_are_of_unit_length_and_subjects_are_numbered_from_one(
    geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry_module, "BLOCK_ROWS", 100)
    blocks = list(Crowd(geometry, 250).blocks())
    assert [len(block.rows) for block in blocks] == [100, 100, 50]
    assert np.concatenate([block.subject_ids for block in blocks]).tolist() == list(range(1, 251))
    np.testing.assert_allclose(np.linalg.norm(blocks[2].rows, axis=1), 1.0, atol=1e-5)


def test_a_smaller_gallery_is_of_the_same_people_as_a_larger_one(
    geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry_module, "BLOCK_ROWS", 100)
    small, large = (Crowd(geometry, people, degraded=0, unrecognizable=0) for people in (150, 400))
    few = np.concatenate([block.rows for block in small.blocks()])
    many = np.concatenate([block.rows for block in large.blocks()])
    cosines = np.einsum("ij,ij->i", few, many[:150])
    assert np.median(cosines) > 0.4


def test_a_mated_probe_is_most_like_the_face_of_its_subject(
    geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry_module, "BLOCK_ROWS", 100)
    crowd = Crowd(geometry, 250, degraded=0, unrecognizable=0)
    enrolled = np.concatenate([block.rows for block in crowd.blocks()])
    probes = crowd.mated(80, degraded=0)
    assert ((probes.rows @ enrolled.T).argmax(axis=1) + 1 == probes.subject_ids).mean() > 0.95
    assert (crowd.strangers(80, degraded=0) @ enrolled.T).max() < 0.45


def test_the_same_values_draw_the_same_gallery_and_another_seed_draws_another(geometry: Geometry) -> None:
    first, second, other = (next(Crowd(geometry, 50, seed=seed).blocks()).rows for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0.01


def test_unrecognizable_faces_fall_below_gamma_and_clean_ones_seldom_do(geometry: Geometry) -> None:
    shares = []
    for unrecognizable in (0.0, 1.0):
        crowd = Crowd(geometry, 400, degraded=0, unrecognizable=unrecognizable)
        ers = crowd.derivation.derive(next(crowd.blocks()).rows).ers
        shares.append(float((ers < geometry.gamma).mean()))
    assert shares[0] < 0.05
    assert shares[1] > 0.95


def test_a_fit_finds_the_statistics_that_faces_were_drawn_with(geometry: Geometry, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    people, photographs, dimension = 600, 4, 12
    variances = np.linspace(2.0, 0.2, dimension)
    persons = random.standard_normal((people, dimension)) * np.sqrt(variances)
    identities = np.repeat(np.arange(people), photographs)
    noise = 0.4 * random.standard_normal((len(identities), dimension))
    clean = unit((persons[identities] + noise).astype(np.float32)).astype(np.float64)
    centroid = unit(random.standard_normal((1, dimension)).astype(np.float32)).astype(np.float64)
    spoilt = unit((0.6 * clean + 0.7 * centroid).astype(np.float32)).astype(np.float64)
    profile = ProfileFile("made", "made", centroid, 0.5, None, {})
    found = fit(clean, identities, spoilt, clean, profile)
    assert found.kept.mean() / found.toward.mean() == pytest.approx(0.6 / 0.7, rel=0.02)
    assert found.rest.max() < 1e-3
    shape = found.between / found.between.sum()
    assert np.corrcoef(shape, variances / variances.sum())[0, 1] > 0.97
    found.save(tmp_path / "made.json")
    again = Geometry.load(tmp_path / "made.json")
    np.testing.assert_allclose(again.between, found.between, rtol=1e-3)
    assert again.measured == found.measured
