"""What the README says is so: its session runs, its commands exist, its folders are there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.server import running_server, settings

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.real_faces
def test_the_python_session_finds_the_person(tmp_path: Path) -> None:
    (session,) = blocks("python")
    assert len(session.strip().splitlines()) <= 15
    folders = sorted(folder for folder in (lfw_dir() / "lfw_small").iterdir() if len(list(folder.iterdir())) >= 3)
    for name, folder, number in (("ann", folders[0], 0), ("bob", folders[1], 0), ("door", folders[0], 1)):
        shutil.copy(sorted(folder.iterdir())[number], tmp_path / f"{name}.jpg")
    with running_server(settings(tmp_path, installed_models_dir())) as server:
        assert "127.0.0.1:50061" in session
        code = session.replace("127.0.0.1:50061", server.address)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("ann ")


def test_every_command_of_the_readme_exists() -> None:
    lines = [line.split("#")[0].split("&")[0] for block in blocks("sh") for line in block.splitlines()]
    commands = [line.split() for line in lines if line.startswith("ersgallery")]
    assert len(commands) >= 5
    for program, *words in commands:
        path = Path(sys.executable).parent / program
        known = [word for word in words if re.fullmatch("[a-z]+", word)][:2]
        for depth in range(1, len(known) + 1):
            done = subprocess.run([path, *known[:depth], "--help"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                break
        assert depth > 1 or done.returncode == 0, (program, words, done.stderr)
        options = [word for word in words if word.startswith("--")]
        assert all(option in done.stdout for option in options), (program, words)


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {word for block in blocks("sh") for word in re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)}
    assert {"demo", "test"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_folder_and_page_that_is_named_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)]+)\)", README)
    folders = re.findall(r"^\| `([a-z/0-9_]+)` \|", README, re.MULTILINE)
    assert len(folders) == 6
    assert [name for name in links + folders if not (ROOT / name).exists()] == []
