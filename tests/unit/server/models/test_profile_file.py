"""Profile files keep every number, and nothing but a whole, unchanged file of this schema is read."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery_server.models.catalogue import catalogue
from ersgallery_server.models.errors import InvalidProfileFile, ProfileNotFound
from ersgallery_server.models.manifest import Role
from ersgallery_server.models.profile_file import (
    ProfileFile,
    catalogued_profile,
    parse_profile,
    read_profile,
    rounded,
    write_profile,
)


def example(*, centred: bool = True) -> ProfileFile:
    rng = np.random.default_rng(2)
    centroids = rng.normal(size=(2, 16))
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    mean = rounded(rng.normal(size=16) / 10) if centred else None
    return ProfileFile("p", "sface", rounded(centroids), 0.7125, mean, {"seed": 3, "data": "faces.tar"})


def written(tmp_path: Path) -> bytes:
    write_profile(example(), tmp_path / "p.json")
    return (tmp_path / "p.json").read_bytes()


@pytest.mark.parametrize("centred", [True, False])
def test_a_profile_comes_back_as_it_was_written(tmp_path: Path, *, centred: bool) -> None:
    profile = example(centred=centred)
    write_profile(profile, tmp_path / "p.json")
    back = read_profile(tmp_path / "p.json")
    assert (back.name, back.model, back.gamma, back.dimension) == ("p", "sface", 0.7125, 16)
    assert np.array_equal(back.centroids, profile.centroids)
    assert (back.mean is None) is (profile.mean is None)
    assert profile.mean is None or (back.mean is not None and np.array_equal(back.mean, profile.mean))
    assert back.provenance == profile.provenance


def test_checks_decisions_and_histogram_come_back(tmp_path: Path) -> None:
    checks = [{"name": "dominance", "passed": True, "value": 12.5}]
    decisions, histogram = [{"reason": "measured"}], {"clean": [1, 2], "degraded": [3, 4]}
    profile = dataclasses.replace(example(), checks=checks, decisions=decisions, histogram=histogram)
    write_profile(profile, tmp_path / "p.json")
    back = read_profile(tmp_path / "p.json")
    assert (back.checks, back.decisions, back.histogram) == (checks, decisions, histogram)


def test_a_file_of_the_first_schema_is_read(tmp_path: Path) -> None:
    from ersgallery_server.models.profile_file import _checksum

    content = json.loads(written(tmp_path))
    for key in ("checks", "decisions", "histogram"):
        del content[key]
    content["schema_version"] = 1
    content["sha256"] = _checksum(content)
    back = parse_profile(json.dumps(content).encode(), "p")
    assert np.array_equal(back.centroids, example().centroids)
    assert (back.checks, back.decisions, back.histogram) == ((), (), None)


def test_it_becomes_the_profile_that_the_index_computes_with() -> None:
    profile = example().profile()
    assert profile.model == "sface"
    assert profile.gamma == 0.7125
    assert profile.centroids.shape == (2, 16)
    assert np.allclose(np.linalg.norm(profile.centroids, axis=1), 1.0, atol=1e-12)


def test_laying_the_file_out_differently_does_not_matter(tmp_path: Path) -> None:
    again = json.dumps(json.loads(written(tmp_path)), indent=7, sort_keys=True).encode()
    assert np.array_equal(parse_profile(again, "p").centroids, example().centroids)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path)
    for end in range(0, len(data) - 3, 17):
        with pytest.raises(InvalidProfileFile):
            parse_profile(data[:end], "p")


def test_a_changed_number_is_refused(tmp_path: Path) -> None:
    data = written(tmp_path)
    with pytest.raises(InvalidProfileFile, match="checksum"):
        parse_profile(data.replace(b"0.7125", b"0.7124"), "p")


def resealed(tmp_path: Path, **changes: Any) -> bytes:
    from ersgallery_server.models.profile_file import _checksum

    content = {**json.loads(written(tmp_path)), **changes}
    content["sha256"] = _checksum(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema_version": 3}, "schema version is 3"),
        ({"extra": 1}, "extra"),
        ({"gamma": 1.5}, "gamma"),
        ({"gamma": True}, "gamma"),
        ({"dimension": 15}, "15 numbers"),
        ({"mean": [0.0] * 15}, "mean"),
        ({"mean": ["0"] * 16}, "mean"),
        ({"centroids": []}, "centroids"),
        ({"centroids": [[0.5] + [0.0] * 15]}, "unit vectors"),
        ({"centroids": {"a": 1}}, "centroids"),
        ({"model": 3}, "model"),
        ({"provenance": []}, "provenance"),
        ({"checks": {}}, "checks"),
        ({"decisions": [1]}, "decisions"),
        ({"histogram": []}, "histogram"),
        ({"schema_version": 1}, "keys differ"),
        ({"schema_version": True}, "schema version is True"),
        ({"schema_version": None}, "schema version is None; this version reads 1 and 2"),
    ],
)
def test_values_out_of_the_schema_are_refused_even_with_a_fitting_checksum(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidProfileFile, match=problem):
        parse_profile(resealed(tmp_path, **changes), "p")


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}'])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidProfileFile):
        parse_profile(data, "p")


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidProfileFile, match="gamma"):
        parse_profile(resealed(tmp_path, gamma=float("nan")), "p")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileNotFound, match=r"none\.json"):
        read_profile(tmp_path / "none.json")


@pytest.mark.parametrize("package", catalogue(), ids=lambda package: package.name)
def test_every_catalogued_model_comes_with_a_sound_profile_of_its_own(package: Any) -> None:
    profile = catalogued_profile(package)
    figures = profile.provenance["figures"]
    assert profile.model == package.name
    assert profile.dimension == package.dimension
    assert (profile.mean is not None) is package.centred
    assert profile.provenance["recognizer_sha256"] == package.file(Role.RECOGNIZER).sha256
    assert f" --model {package.name} " in profile.provenance["command"]
    assert 0.6 < profile.gamma < 0.95
    # Some 2,000 faces set gamma and as many others judge it: three standard errors of the difference.
    assert figures["clean_below_gamma"] <= 0.005 + 3 * (2 * 0.005 / 2000) ** 0.5
    assert figures["auc_by_severity"]["1"] > 0.95
    assert profile.profile().dimension == package.dimension


@pytest.mark.parametrize("field", ["gamma", "mean"])
def test_a_whole_number_beyond_every_float_is_refused_like_any_other_wrong_number(tmp_path: Path, field: str) -> None:
    from ersgallery_server.models.profile_file import _checksum

    content = json.loads(written(tmp_path))
    content[field] = 10**400 if field == "gamma" else [10**400] * 16
    content["sha256"] = _checksum(content)
    with pytest.raises(InvalidProfileFile, match=f"{field} must"):
        parse_profile(json.dumps(content).encode(), "p.json")
