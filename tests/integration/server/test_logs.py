"""What is written: one form for all, loud where it should be, and nothing biometric or secret in it."""

import base64
import json
import logging
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import structlog
from ersgallery.v1 import face_input_pb2 as face
from ersgallery_index import normalize
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_server import logs
from ersgallery_server.gallery import search as search_module
from ersgallery_server.gallery import state as state_module
from ersgallery_server.handlers import identification as identification_module
from numpy.typing import NDArray
from sqlalchemy import text

from tests.fuzz import http2
from tests.support.indexes import AddOnlyBackend
from tests.support.requests import DIMENSION, create_gallery, enroll, identify, item
from tests.support.server import running_server, settings
from tests.support.server_process import command
from tests.support.statuses import refused

FACE = np.random.default_rng(11).normal(size=DIMENSION).astype(np.float32)
PIXELS = b"\xff\xd8\xff" + b"pixels of a face" * 4


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was: it belongs to the process."""
    root, level = logging.getLogger().handlers[:], logging.getLogger().level
    ours = logging.getLogger(logs.OURS).level
    yield
    logging.captureWarnings(capture=False)
    logging.basicConfig(handlers=root, level=level, force=True)
    logging.getLogger(logs.OURS).setLevel(ours)
    structlog.reset_defaults()


def traces_of(vector: NDArray[np.float32]) -> set[str]:
    """Return how an embedding could be written: its numbers, its bytes, and those at unit length."""
    found: set[str] = set()
    for values in (vector, normalize(vector[None], len(vector)).vectors[0]):
        packed = values.astype("<f4").tobytes()
        found |= {f"{value:.8f}"[:7].lstrip("-") for value in values.tolist()}
        found |= {packed.hex()[:12], base64.b64encode(packed).decode()[:12], repr(packed)[2:14]}
    return found


def session_with_faults(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let a server fail in each of its parts: search, index, store, and one that nobody thought of."""
    device = AddOnlyBackend()
    patch.setattr(state_module, "open_index", lambda dimension, **_: ExactIndex(dimension, device))
    with running_server(settings(folder)) as server:
        create_gallery(server, "g")
        enroll(server, "g", item("ann", FACE))
        identify(server, "g", FACE)
        with refused():
            identify(server, "g", np.append(FACE, FACE))
        with refused():
            identify(server, "nowhere", FACE)
        image = item("bob", FACE)
        image.image.CopyFrom(face.Image(content=PIXELS))
        with refused():
            enroll(server, "g", image)
        device.room = 0
        with refused() as refusal:
            enroll(server, "g", item("bob", FACE))
        assert refusal.reason == "INDEX_BEHIND"
        for owner, name in ((search_module, "identify"), (identification_module, "_identify_embedding")):
            with patch.context() as broken:
                broken.setattr(owner, name, _fail)
                with refused() as refusal:
                    identify(server, "g", FACE)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        with server.service._store._engines.writing.begin() as connection:
            connection.execute(text("ALTER TABLE faces RENAME TO elsewhere"))
        with refused():
            enroll(server, "g", item("eve", FACE))


def _fail(*arguments: Any) -> None:
    local = FACE.copy()
    raise RuntimeError(f"a fault in {len(arguments)} arguments of {len(local)} numbers")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_biometric_is_written_whatever_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    logs.configure(log_format=log_format, log_level="debug")
    session_with_faults(tmp_path, monkeypatch)
    written = "".join(capfd.readouterr())
    for loud in ("the index could not take a committed change", "a fault in", "a group of 1 writes failed"):
        assert loud in written
    assert {trace for trace in traces_of(FACE) if trace in written} == set()
    assert "pixels of a face" not in written
    assert "locals" not in written


def test_our_lines_and_those_of_libraries_are_json_of_one_form(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format="json", log_level="info")
    structlog.get_logger("ersgallery_server.gallery").info("serving", port=1)
    structlog.get_logger("ersgallery_server.gallery").debug("too much")
    logging.getLogger("ersgallery_server.store.writer").error("a group of %d writes failed", 3)
    logging.getLogger("alembic.runtime").info("too much")
    logging.getLogger("PIL.TiffImagePlugin").debug("tag: value")
    logging.getLogger("grpc._server").warning("from a library")
    warnings.warn("an overflow", RuntimeWarning, stacklevel=1)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["level"], line["logger"], line["event"]) for line in lines[:3]] == [
        ("info", "ersgallery_server.gallery", "serving"),
        ("error", "ersgallery_server.store.writer", "a group of 3 writes failed"),
        ("warning", "grpc._server", "from a library"),
    ]
    assert "an overflow" in lines[3]["event"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line["timestamp"]) for line in lines)


def test_a_server_whose_database_cannot_be_reached_keeps_the_password(tmp_path: Path) -> None:
    secret = "s3cret-w0rd"
    url = f"postgresql://me:{secret}@127.0.0.1:1/db?connect_timeout=1"
    options = ("--database-url", url, "--log-level", "debug")
    done = subprocess.run(command(tmp_path, 0, *options), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "the database does not answer" in done.stderr
    assert secret not in done.stderr + done.stdout
    assert secret not in repr(settings(tmp_path, database_url=url))
    config = tmp_path / "config.toml"
    config.write_text(f'[serve]\ndatabase_url = "{url}"\n')
    shown = subprocess.run(
        [sys.executable, "-m", "ersgallery_server", "--config", str(config), "serve", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert secret not in shown.stdout


def test_a_token_with_a_wrong_byte_is_not_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = b"Bearer ersg_nearly_a_token\xff"
    header = b"\x40\x0dauthorization" + bytes([len(secret)]) + secret
    with running_server(settings(tmp_path)) as server:
        logs.configure(log_format="json", log_level="info")
        host, _, port = server.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0, b""))
            connection.sendall(http2.frame(http2.HEADERS, 4, 1, http2.REQUEST + header))
            connection.sendall(http2.frame(http2.DATA, 1, 1, bytes(5)))
            received = b""
            while b"grpc-status" not in received:
                more = connection.recv(65_536)
                assert more, "the server hung up"
                received += more
    written = capsys.readouterr().err
    assert "a header of a call is no UTF-8" in written
    assert "nearly" not in written
    assert "Traceback" not in written
