"""`calibrate` on photographs of real people: a profile, a report with faces, and a UI set that serves again."""

import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from click.testing import CliRunner
from ersgallery_server.cli.calibrate import calibrate
from ersgallery_server.models.profile_file import read_profile

from tests.support.models import lfw_dir

PEOPLE = 240


@pytest.fixture(scope="module")
def some_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tar file of the first people of LFW, two photographs of each at most."""
    path = tmp_path_factory.mktemp("faces") / "some.tar"
    taken: dict[str, int] = {}
    with tarfile.open(lfw_dir() / "lfw_aligned112.tar") as whole, tarfile.open(path, "w") as some:
        for member in whole:
            person = PurePosixPath(member.name).parent.name
            if not member.isfile() or (person not in taken and len(taken) == PEOPLE):
                continue
            taken[person] = taken.get(person, 0) + 1
            if taken[person] <= 2:
                some.addfile(member, whole.extractfile(member))
    return path


@pytest.mark.real_faces
def test_real_faces_give_a_profile_a_report_and_a_ui_set_that_serves_again(
    models_dir: Path, some_faces: Path, tmp_path: Path
) -> None:
    common = ["--model", "sface", "--faces", str(some_faces), "--models-dir", str(models_dir), "--no-progress"]
    common += ["--test-faces", "4", "--seed", "1"]
    strong = ["--degraded-share", "0.8", "--severity", "0.6", "1"]
    for kind in ("GAUSSIAN_BLUR", "MOTION_BLUR", "LOW_RESOLUTION", "LOW_LIGHT"):
        common += ["--kind", kind]
    made, again = tmp_path / "made.json", tmp_path / "again.json"
    words = ["--output", str(made), "--report", str(tmp_path / "made.html"), "--save-ui-set", str(tmp_path / "ui.tar")]
    result = CliRunner().invoke(calibrate, [*common, *words, *strong])
    assert result.exit_code == 0, result.output
    profile = read_profile(made)
    assert 0.6 < profile.gamma < 0.95
    assert profile.provenance["figures"]["auc_clean_against_degraded"] > 0.7
    page = (tmp_path / "made.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 9
    assert "biometric data" in page
    with tarfile.open(tmp_path / "ui.tar") as archive:
        assert len(archive.getnames()) == profile.provenance["counts"]["ui_set"] + 1
    words = ["--output", str(again), "--ui-set", str(tmp_path / "ui.tar"), "--max-centroids", "1"]
    result = CliRunner().invoke(calibrate, [*common, *words, "--centring", "on" if profile.mean is not None else "off"])
    assert result.exit_code == 0, result.output
    assert float(np.max(read_profile(again).centroids @ profile.centroids.T)) > 0.95
    assert read_profile(again).provenance["clusters"] is None
