import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVER_ONLY = ["alembic", "cv2", "faiss", "onnx", "onnxruntime", "PIL", "sqlalchemy", "structlog"]


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it with its own requirements and nothing else; return that Python's folder."""
    folder = tmp_path_factory.mktemp("thin")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("ersgallery-*.whl")
    venv.create(folder / "venv", symlinks=True)
    binaries = folder / "venv" / "bin"
    run(sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--quiet", wheel)
    return binaries


def test_the_client_installs_and_runs_without_any_dependency_of_the_server(thin: Path) -> None:
    code = (
        "import importlib.util as u, ersgallery_client, ersgallery_client.cli as c; "
        f"print(ersgallery_client.__file__, *[n for n in {SERVER_ONLY} if u.find_spec(n)], sep='\\n')"
    )
    origin, *found = run(thin / "python", "-c", code).split()
    assert Path(origin).is_relative_to(thin.parent)
    assert found == []


def test_the_command_line_teaches_with_examples(thin: Path) -> None:
    text = run(thin / "ersgallery", "--help")
    assert "ersgallery identify" in text
    assert "UNSURE" in text
    assert run(thin / "ersgallery", "--version").startswith("ersgallery, version ")


def test_the_wheel_carries_the_markers_for_type_checkers(thin: Path) -> None:
    code = "import ersgallery, ersgallery_client; print(ersgallery.__path__[0], ersgallery_client.__path__[0])"
    for package in run(thin / "python", "-c", code).split():
        assert (Path(package) / "py.typed").is_file()
