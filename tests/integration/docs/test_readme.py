"""What the README says is so: its session runs, its commands exist, its folders are there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from ersgallery_client.cli.app import app as client_app
from ersgallery_server.cli import main as server_app

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.server import running_server, settings

PROGRAMS: dict[str, click.Command] = {"ersgallery": client_app, "ersgallery-server": server_app}
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
        command, given = PROGRAMS[program], [word for word in words if word.startswith("--")]
        while isinstance(command, click.Group) and words:
            assert words[0] in command.commands, (program, words)
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(given) <= known, (program, given)


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
