import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ersgallery_client.cli.app import app

from tests.support.clients import Invoke
from tests.support.wire_server import WireServer


@pytest.fixture
def invoke(wire: WireServer) -> Invoke:
    """Run the command line against the wire server."""

    def run(*arguments: str | Path, **options: Any) -> Result:
        return CliRunner().invoke(app, ["--server", wire.address, *map(str, arguments)], **options)

    return run


@pytest.fixture
def document(invoke: Invoke) -> Callable[..., Any]:
    """Run the command line with --json and return the one document on stdout."""

    def run(*arguments: str | Path) -> Any:
        result = invoke("--json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Give a folder with a sub-folder per person, a hidden file and a file that is no photograph."""
    folder = tmp_path / "people"
    for name in ("ada/1.jpg", "ada/2.PNG", "bob/1.webp", "bob/notes.txt", ".cache/x.jpg", "loose.jpg"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return folder
