"""The default model as the command line installs it, and what happens when its files are not what they were."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery_server.cli.calibrate import calibrate
from ersgallery_server.cli.models import models
from ersgallery_server.cli.profiles import profiles
from ersgallery_server.faces.pipeline import FacePipeline, load_pipeline
from ersgallery_server.faces.sessions import Inference
from ersgallery_server.models.catalogue import default_model
from ersgallery_server.models.errors import HashMismatch, ModelNotInstalled
from ersgallery_server.models.manifest import ModelFile
from ersgallery_server.models.profile_file import read_profile

from tests.support.images import encode, gradient


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(models, [str(argument) for argument in arguments], prog_name="models")
    return result.exit_code, result.output


@pytest.fixture
def copied(models_dir: Path, tmp_path: Path) -> Path:
    shutil.copytree(models_dir / "sface", tmp_path / "sface")
    return tmp_path


def test_the_installed_model_verifies_and_is_listed(models_dir: Path) -> None:
    status, output = run("verify", "sface", "--models-dir", models_dir)
    assert status == 0
    assert output.count("OK ") == 2
    status, output = run("list", "--json", "--models-dir", models_dir)
    listed = {row["name"]: row for row in json.loads(output)}
    assert status == 0
    assert listed["sface"]["installed"]
    assert listed["mobilefacenet"]["non_commercial"]
    status, output = run("list", "--models-dir", models_dir)
    assert status == 0
    assert all(name in output for name in listed)


@pytest.mark.parametrize("place", [0, 1000, -1])
@pytest.mark.parametrize("file", default_model().files, ids=lambda file: file.role.value)
def test_a_changed_byte_is_found_by_verify_and_refused_by_the_pipeline(
    copied: Path, file: ModelFile, place: int
) -> None:
    path = copied / "sface" / file.name
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    status, output = run("verify", "--models-dir", copied)
    assert status == 1
    assert f"CHANGED {path}" in output
    with pytest.raises(HashMismatch, match=path.name):
        load_pipeline(default_model(), copied)


def test_a_file_that_is_swapped_after_its_check_is_not_what_is_loaded(
    copied: Path, pipeline: FacePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def read_and_swap(path: Path) -> bytes:
        data = read(path)
        path.write_bytes(b"something else")
        return data

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_and_swap)
        loaded = load_pipeline(default_model(), copied)
    assert {read(copied / "sface" / file.name) for file in default_model().files} == {b"something else"}
    crop = np.random.default_rng(1).integers(0, 255, (1, 112, 112, 3), np.uint8)
    np.testing.assert_allclose(loaded.embed_aligned(crop), pipeline.embed_aligned(crop), rtol=1e-4, atol=1e-4)


def test_a_missing_file_is_found_by_verify_and_named_by_the_pipeline(copied: Path) -> None:
    (copied / "sface" / "face_recognition_sface_2021dec.onnx").unlink()
    status, output = run("verify", "sface", "--models-dir", copied)
    assert status == 1
    assert "MISSING" in output
    with pytest.raises(ModelNotInstalled, match="models install sface"):
        load_pipeline(default_model(), copied)


def test_verify_without_any_model_says_so(tmp_path: Path) -> None:
    status, output = run("verify", "--models-dir", tmp_path)
    assert status == 0
    assert "no model is installed" in output


def test_a_model_installs_from_a_folder_without_a_network(models_dir: Path, tmp_path: Path) -> None:
    status, output = run("install", "sface", "--from", models_dir / "sface", "--models-dir", tmp_path)
    assert status == 0, output
    assert run("verify", "sface", "--models-dir", tmp_path)[0] == 0


def test_a_non_commercial_model_shows_its_licence_and_is_not_installed(tmp_path: Path) -> None:
    status, output = run("install", "edgeface-s", "--models-dir", tmp_path)
    assert status == 1
    assert "CC-BY-NC-SA-4.0" in output
    assert "--accept-license" in output
    assert "Attribution-NonCommercial" in output
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_a_sentence_that_lists_the_known_ones(tmp_path: Path) -> None:
    status, output = run("install", "arcface", "--models-dir", tmp_path)
    assert status == 1
    assert output.strip().endswith("known models: sface, edgeface-s, mobilefacenet, sface-int8")


def test_more_threads_do_not_change_what_a_model_says(models_dir: Path) -> None:
    pipeline = load_pipeline(default_model(), models_dir, Inference("cpu", intra_op_threads=2))
    assert (pipeline.device, pipeline.dimension) == ("cpu", 128)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (gradient(112, 112), "1 people were given; 200 are needed"),
        (None, "holds no images"),
        (b"", "holds no images"),
    ],
)
def test_a_profile_is_not_made_from_too_little(models_dir: Path, tmp_path: Path, image: Any, problem: str) -> None:
    (tmp_path / "faces" / "somebody").mkdir(parents=True)
    if image is not None:
        name, data = ("1.txt", image) if isinstance(image, bytes) else ("1.png", encode(image, "PNG"))
        (tmp_path / "faces" / "somebody" / name).write_bytes(data)
    arguments = ["--model", "sface", "--faces", str(tmp_path / "faces"), "--output", str(tmp_path / "p.json")]
    result = CliRunner().invoke(calibrate, [*arguments, "--models-dir", str(models_dir)])
    assert result.exit_code == 1
    assert problem in result.output
    assert not (tmp_path / "p.json").exists()


def test_the_catalogued_profile_is_shown_with_its_provenance() -> None:
    import ersgallery_server.models

    path = Path(ersgallery_server.models.__file__).parent / "profiles" / "sface.json"
    result = CliRunner().invoke(profiles, ["show", str(path)])
    assert result.exit_code == 0
    assert read_profile(path).provenance["command"] in result.output
