"""`evaluate` on photographs of real people: embedded once, kept, and measured under the profile of the catalogue."""

import json
import tarfile
from importlib import resources
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner, Result
from ersgallery_server.cli import main

from tests.support.models import lfw_dir

SEVERAL, SINGLE = 10, 30
PEOPLE = SEVERAL + SINGLE


@pytest.fixture(scope="module")
def some_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tar file of people of LFW: two photographs of the first with several, one of the first with one."""
    path = tmp_path_factory.mktemp("faces") / "some.tar"
    with tarfile.open(lfw_dir() / "lfw_aligned112.tar") as whole, tarfile.open(path, "w") as some:
        photographs: dict[str, list[tarfile.TarInfo]] = {}
        for member in whole:
            if member.isfile():
                photographs.setdefault(PurePosixPath(member.name).parent.name, []).append(member)
        shown = list(photographs.values())
        several = [own[:2] for own in shown if len(own) > 1][:SEVERAL]
        for member in [one for own in several + [own for own in shown if len(own) == 1][:SINGLE] for one in own]:
            some.addfile(member, whole.extractfile(member))
    return path


@pytest.mark.real_faces
def test_faces_are_embedded_once_and_the_kept_ones_give_the_same_figures(
    models_dir: Path, some_faces: Path, tmp_path: Path
) -> None:
    profile = resources.files("ersgallery_server.models") / "profiles" / "sface.json"

    def evaluate(out: str) -> Result:
        options = ["--model", "sface", "--faces", str(some_faces), "--models-dir", str(models_dir), "--no-progress"]
        options += ["--profile", str(profile), "--cache", str(tmp_path / "cache"), "--protocol", "T1"]
        return CliRunner().invoke(main, ["evaluate", *options, "--out", str(tmp_path / out), "--resamples", "20"])

    first = evaluate("first")
    assert first.exit_code == 0, first.output
    (kept,) = (tmp_path / "cache").iterdir()
    written_at = kept.stat().st_mtime_ns
    assert evaluate("again").exit_code == 0
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()] == [written_at]
    figures = [json.loads((tmp_path / out / "summary.json").read_text()) for out in ("first", "again")]
    assert figures[0] == figures[1]
    assert figures[0]["people"] == PEOPLE
    assert figures[0]["tables"], figures[0]["skipped"]

    kept.write_bytes(kept.read_bytes()[:-100])
    broken = evaluate("broken")
    assert broken.exit_code == 1
    assert "Traceback" not in broken.output
    assert "is truncated" in broken.output
    assert not (tmp_path / "broken").exists()
