import json
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery_client.cli.app import app
from PIL import Image, ImageFilter

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.server import RunningServer, running_server, settings
from tests.support.toy_faces import clear_faces, poor_faces

Run = Callable[..., Any]


def runner(address: str) -> Run:
    """Return what runs a command and gives its JSON document; `exit_code` is checked."""

    def run(*arguments: str | Path, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["--server", address, "--json", *map(str, arguments)])
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout) if result.stdout else result.stderr

    return run


def installed_command(address: str) -> Run:
    """Return the same for the installed command, in a process of its own."""
    command = [str(Path(sys.executable).with_name("ersgallery")), "--server", address, "--json"]

    def run(*arguments: str | Path) -> Any:
        done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return run


@pytest.fixture
def run(server: RunningServer) -> Run:
    return runner(server.address)


def decisions(document: Any) -> list[str]:
    return [answer["identification"]["decision"] for answer in document["answers"]]


def test_a_gallery_of_embeddings_from_the_command_line(run: Run, tmp_path: Path) -> None:
    faces, poor = clear_faces(20), poor_faces(2)
    names = [f"subject-{i}" for i in range(20)]
    np.savez(tmp_path / "enrol.npz", embedding=np.concatenate([faces, poor]), subject=np.array([*names, "p", "p"]))
    np.save(tmp_path / "probes.npy", np.stack([faces[3], clear_faces(1, 9)[0], poor[0]]))
    np.save(tmp_path / "probe.npy", faces[3])
    run("gallery", "create", "cli", "--profile", "toy", "--tau", "0.5")
    summary = run("enroll", "cli", tmp_path / "enrol.npz")
    assert (summary["accepted"], summary["low_ers"], summary["rejected"], summary["subjects"]) == (20, 2, 0, 21)
    found = run("identify", "cli", tmp_path / "probes.npy")
    assert decisions(found) == ["MATCH", "NO_MATCH", "UNSURE"]
    assert found["answers"][0]["identification"]["candidates"][0]["subject_id"] == "subject-3"
    template = run("identify", "cli", tmp_path / "probe.npy", tmp_path / "probe.npy", "--as-template")
    assert decisions(template) == ["MATCH"]
    assert run("verify", "cli", tmp_path / "probe.npy", "subject:subject-3")["decision"] == "MATCH"
    assert run("verify", "cli", tmp_path / "probe.npy", "subject:p")["decision"] == "UNSURE"
    scores = run("score", "--gallery", "cli", tmp_path / "probes.npy")
    assert [face["recognizable"] for face in scores["faces"]] == [True, True, False]
    assert len(run("subject", "list", "cli")["subjects"]) == 21
    (face,) = run("face", "list", "cli", "subject-3")["faces"]
    run("face", "delete", "cli", "subject-3", str(face["id"]), "--yes")
    assert decisions(run("identify", "cli", tmp_path / "probe.npy")) == ["NO_MATCH"]
    run("gallery", "update", "cli", "--gamma", "0")
    assert decisions(run("identify", "cli", tmp_path / "probes.npy"))[2] != "UNSURE"
    assert run("gallery", "delete", "cli", "--yes")["deleted_faces"] == 21
    assert "GALLERY_NOT_FOUND" in run("gallery", "show", "cli", exit_code=1)


def test_enrolling_again_with_the_same_request_id_stores_nothing_twice(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "enrol.npz", embedding=clear_faces(3), subject=np.array(["a", "b", "c"]))
    run("gallery", "create", "again", "--profile", "toy", "--tau", "0.5")
    for _ in range(2):
        assert run("enroll", "again", tmp_path / "enrol.npz", "--request-id", "import")["accepted"] == 3
    assert run("gallery", "show", "again")["counts"]["faces"] == 3


@pytest.mark.real_faces
def test_a_folder_of_photographs_is_enrolled_and_searched(tmp_path: Path) -> None:
    """The first steps of a newcomer: a folder per person, another photograph of one, a stranger, a blurred one."""
    folders = sorted((lfw_dir() / "lfw_small").iterdir())
    *enrolled, stranger = [folder for folder in folders if len(list(folder.iterdir())) > 1][:5]
    for person in enrolled:
        (tmp_path / "people" / person.name).mkdir(parents=True)
        (tmp_path / "people" / person.name / "1.jpg").write_bytes(min(person.iterdir()).read_bytes())
    (tmp_path / "people" / "nobody").mkdir()
    Image.new("RGB", (200, 200), "gray").save(tmp_path / "people" / "nobody" / "wall.png")
    probes = [max(person.iterdir()) for person in enrolled]
    with Image.open(probes[0]) as photograph:
        photograph.resize((24, 24)).resize((250, 250)).filter(ImageFilter.GaussianBlur(6)).save(tmp_path / "blur.png")
    with running_server(settings(tmp_path / "server", installed_models_dir())) as server:
        run = installed_command(server.address)
        run("gallery", "create", "people", "--profile", "sface", "--tau", "0.45", "--store-images")
        summary = run("enroll", "people", tmp_path / "people")
        assert (summary["accepted"], summary["rejected"]) == (4, 1)
        assert summary["rejected_items"][0]["reason"] == "NO_FACE"
        found = run("identify", "people", *probes, min(stranger.iterdir()), tmp_path / "blur.png")
        assert decisions(found)[4:] == ["NO_MATCH", "UNSURE"]
        mates = [answer["identification"]["candidates"][0] for answer in found["answers"][:4]]
        assert [mate["subject_id"] for mate in mates] == [person.name for person in enrolled]
        assert decisions(found)[:4].count("MATCH") >= 3
        (face,) = run("face", "list", "people", enrolled[1].name)["faces"]
        copy = tmp_path / "copy.jpg"
        run("face", "image", "people", enrolled[1].name, str(face["id"]), "--output", copy)
        assert copy.read_bytes() == min(enrolled[1].iterdir()).read_bytes()


@pytest.mark.parametrize("name", ["sface", "sface-int8", "mobilefacenet"])
def test_the_file_of_a_profile_that_the_server_has_makes_no_further_version(run: Run, name: str) -> None:
    with resources.as_file(resources.files("ersgallery_server.models") / "profiles" / f"{name}.json") as file:
        made = run("profile", "create", file)
    assert (made["id"], made["version"]) == (name, 1)
    assert [each["version"] for each in run("profile", "list")["profiles"] if each["id"] == name] == [1]
