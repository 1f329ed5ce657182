"""Packages are installed when their files have the locked hashes; a wrong hash is no reason to do without."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "requirements" / "install.py"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Make a package of one module."""
    path = tmp_path / "wheels" / "tiny-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


def install(wheel: Path, digest: str, newest: str = "3.99", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Install the package from its folder alone, into a folder of its own."""
    folder = wheel.parents[1]
    lock = folder / "lock.txt"
    lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    given = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent), "PIP_TARGET": str(folder / "here")}
    command = [sys.executable, str(SCRIPT), str(lock), newest, "--", "tiny"]
    return subprocess.run(
        command, env={**os.environ, **given, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_wrong_hash_ends_the_installation(wheel: Path) -> None:
    refused = install(wheel, "0" * 64)
    if refused.stdout.startswith("note: "):
        pytest.skip("the locks are not for this system")
    assert refused.returncode != 0
    assert "do not match the hashes" in refused.stderr.lower()
    assert not (wheel.parents[1] / "here" / "tiny.py").exists()
    assert install(wheel, hashlib.sha256(wheel.read_bytes()).hexdigest()).returncode == 0
    assert (wheel.parents[1] / "here" / "tiny.py").exists()


def test_what_a_lock_is_not_for_is_installed_without_it_and_said_aloud(wheel: Path) -> None:
    # pip would be renewed first, which the folder does not have: that ends it here.
    done = install(wheel, "0" * 64, LOCKED="no")
    assert done.stdout.startswith("note: packages are installed without checking hashes (LOCKED=no")
