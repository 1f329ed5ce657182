"""The contract holds for another language: a Node client that has only the .proto files."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from google.rpc import status_pb2

from tests.support.certificates import Authority, server_files
from tests.support.server import running_server, settings

HERE = Path(__file__).parent / "node"
ROOT = Path(__file__).parents[3]
MODULES = ROOT / "build" / "node"


def node_modules() -> Path:
    """Return a folder with the Node client library, installing it once, each file checked against its hash.

    Skips with a reason where that cannot be.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node.js with npm on this machine")
    MODULES.mkdir(parents=True, exist_ok=True)
    lock, installed = HERE / "package-lock.json", MODULES / "node_modules" / "installed-lock.json"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        shutil.copy(HERE / "package.json", MODULES)
        shutil.copy(lock, MODULES)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=MODULES, capture_output=True, text=True, timeout=240, check=False)
        assert "EINTEGRITY" not in done.stderr, "a file is not the one whose hash is locked"
        if done.returncode != 0:
            pytest.skip(f"npm cannot install @grpc/grpc-js: {done.stderr.strip().splitlines()[-1:]}")
        shutil.copy(lock, installed)
    return MODULES


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_node_client_enrols_identifies_and_reads_errors(tmp_path: Path, encrypted: bool) -> None:
    modules = node_modules()
    shutil.copy(HERE / "session.js", modules)
    google = Path(status_pb2.__file__).parents[2]
    authority = Authority()
    tls = server_files(tmp_path, authority) if encrypted else None
    trusted = [str(authority.write(tmp_path))] if encrypted else []
    with running_server(settings(tmp_path, tls=tls)) as server:
        command = ["node", "session.js", server.address, str(ROOT / "proto"), str(google), *trusted]
        done = subprocess.run(command, cwd=modules, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "dispositions": ["DISPOSITION_ACCEPTED", "DISPOSITION_LOW_ERS"],
        "decisions": ["DECISION_MATCH", "DECISION_NO_MATCH", "DECISION_UNSURE"],
        "subject": "galleries/node/subjects/ann",
        "missing": "NOT_FOUND",
    }
