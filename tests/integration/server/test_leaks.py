"""Whatever a session does and whatever fails in it, nothing of a face and no secret is in what the server emits."""

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import structlog
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as identification
from ersgallery_server import logs
from ersgallery_server.gallery import search as search_module
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.handlers.verification import VerificationHandlers
from ersgallery_server.keys import Key, KeyRing
from ersgallery_server.values import Identifications
from numpy.typing import NDArray
from sqlalchemy import text

from tests.support.models import installed_models_dir, lfw_dir
from tests.support.requests import DIMENSION, create_gallery, enroll, identify, item, matrix, probe
from tests.support.scraping import page
from tests.support.server import RemoteServer, RunningServer, running_server, settings
from tests.support.stores import unit_rows
from tests.support.tokens import issue

ROWS = unit_rows(80, 31, DIMENSION) * np.float32(2.5)
KEY = Key.generate("leaks")
METADATA = "metadata-value-of-somebody"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    root, level = logging.getLogger().handlers[:], logging.getLogger().level
    ours = logging.getLogger(logs.OURS).level
    yield
    logging.captureWarnings(capture=False)
    logging.basicConfig(handlers=root, level=level, force=True)
    logging.getLogger(logs.OURS).setLevel(ours)
    structlog.reset_defaults()


class _WithToken(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(client_call_details._replace(metadata=self._metadata), request)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(client_call_details._replace(metadata=self._metadata), request_iterator)


class Emitted:
    """All that came out of the server besides answers: statuses, metrics, logs, the audit log."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def refusal_of(self, ask: Callable[[], Any]) -> None:
        """Take down the whole status of something that must fail."""
        with pytest.raises(grpc.RpcError) as caught:
            ask()
        error: Any = caught.value
        self.parts += [repr(error).encode(), error.details().encode(), repr(error.trailing_metadata()).encode()]
        self.parts += [value if isinstance(value, bytes) else value.encode() for _, value in error.trailing_metadata()]

    def found(self, secrets: dict[str, bytes]) -> list[str]:
        """Return the names of the secrets that are anywhere in it."""
        whole = b"\n".join(self.parts)
        return [name for name, secret in secrets.items() if secret in whole]


def of_bytes(name: str, content: bytes) -> dict[str, bytes]:
    """Return how parts of some bytes could be written: raw, base64 from each offset, hexadecimal, and Python's."""
    found: dict[str, bytes] = {}
    for start in range(0, min(len(content), 4096) - 8, 4 if len(content) < 4096 else 64):
        part = content[start : start + 8]
        if len(set(part)) < 5:
            continue
        encoded = [base64.b64encode(content[start + shift : start + shift + 9]) for shift in range(3)]
        written = [part, part.hex().encode(), repr(part)[2:-1].encode(), *(each[:10] for each in encoded)]
        found |= {f"{name} at {start} as {i}": form for i, form in enumerate(written)}
    return found


def of_embedding(name: str, row: NDArray[np.float32]) -> dict[str, bytes]:
    """Return how an embedding could be written: its bytes and its numbers, as they came and at unit length."""
    found: dict[str, bytes] = {}
    for kind, values in (("raw", row), ("unit", row / np.linalg.norm(row))):
        found |= of_bytes(f"{name} {kind}", values.astype("<f4").tobytes())
        found |= {f"{name} {kind} {i}": f"{abs(value):.8f}"[:8].encode() for i, value in enumerate(values.tolist())}
    return found


def session(server: RunningServer, token: str, emitted: Emitted, patch: pytest.MonkeyPatch) -> None:
    """Do what callers do, and let it fail in every part."""
    emitted.refusal_of(lambda: identify(server, "g", ROWS[0]))  # without a token
    emitted.refusal_of(lambda: _client(server.address, f"{token}x").galleries.ListGalleries(_list()))
    client = _client(server.address, token)
    create_gallery(client, "g", gamma_gallery=0.0)
    items = [item(f"s{i % 40}", row, media_id=f"m{i}", metadata={"k": METADATA}) for i, row in enumerate(ROWS)]
    enroll(client, "g", *items, request_id="all")
    identify(client, "g", ROWS[0])
    request = identification.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix(ROWS))
    client.identification.BatchIdentify(request)
    stream = identification.StreamIdentifyRequest(sequence=1, batch=request)
    list(client.identification.StreamIdentify(iter([stream])))
    verify = identification.VerifyRequest(
        gallery="galleries/g", probe=probe(ROWS[0]), subject="galleries/g/subjects/s1"
    )
    client.identification.Verify(verify)
    client.galleries.ListFaces(galleries.ListFacesRequest(parent="galleries/g/subjects/-"))
    _calibrate(client)
    picture = enrollment.Enrollment(subject_id="s", image=face.Image(content=ROWS.tobytes()))
    for ask in (
        lambda: identify(client, "g", np.append(ROWS[0], ROWS[1])),
        lambda: identify(client, "g", ROWS[0] * np.float32(np.nan)),
        lambda: identify(client, "nowhere", ROWS[0]),
        lambda: enroll(client, "g", picture),
        lambda: enroll(client, "g", item("other", ROWS[0]), request_id="all"),
    ):
        emitted.refusal_of(ask)
    _break_parts(client, emitted, patch, verify)
    client.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/s3"))
    with server.service._store._engines.writing.begin() as connection:
        connection.execute(text("ALTER TABLE faces RENAME TO elsewhere"))
    emitted.refusal_of(lambda: enroll(client, "g", item("late", ROWS[5])))


def _break_parts(
    client: RemoteServer, emitted: Emitted, patch: pytest.MonkeyPatch, verify: identification.VerifyRequest
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        held = [ROWS[0].copy(), repr(arguments), repr(named), KEY]
        raise RuntimeError(f"a fault among {len(held)}")

    for owner, name, ask in (
        (VerificationHandlers, "_verify_subject", lambda: client.identification.Verify(verify)),
        (search_module, "identify", lambda: identify(client, "g", ROWS[0])),
        (Gallery, "begin_search", lambda: identify(client, "g", ROWS[0])),
    ):
        with patch.context() as broken:
            broken.setattr(owner, name, fail)
            emitted.refusal_of(ask)


def ask_broken(ask: Callable[[], Any], emitted: Emitted) -> None:
    try:
        ask()
    except grpc.RpcError as error:
        known: Any = error
        emitted.parts += [known.details().encode(), repr(known.trailing_metadata()).encode()]


def _calibrate(client: RemoteServer) -> None:
    request = calibration.CalibrateGammaRequest(gallery="galleries/g")
    try:
        name = client.calibration.CalibrateGamma(request).operation.name
    except grpc.RpcError:
        return
    client.calibration.WaitOperation(calibration.WaitOperationRequest(name=name))


def _list() -> galleries.ListGalleriesRequest:
    return galleries.ListGalleriesRequest()


def _client(address: str, token: str) -> RemoteServer:
    return RemoteServer(address, grpc.intercept_channel(grpc.insecure_channel(address), _WithToken(token)))


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_of_a_face_and_no_secret_is_emitted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log_format: str
) -> None:
    logs.configure(log_format=log_format, log_level="debug")
    emitted, audit = Emitted(), tmp_path / "audit.log"
    configured = settings(
        tmp_path,
        audit_log=audit,
        audit_identifications=Identifications.EACH,
        encryption_keys=KeyRing([KEY]),
        metrics_port=0,
        require_tokens=True,
        snapshot_changed_faces=1,
        log_format=log_format,
        log_level="debug",
    )
    with running_server(configured) as server:
        token = issue(server, "everybody")
        session(server, token, emitted, monkeypatch)
        emitted.parts.append(page(server).encode())
    written = "".join(capfd.readouterr())
    emitted.parts += [written.encode(), audit.read_bytes()]
    for loud in (
        "a fault among",
        "Traceback",
        "a group of 1 writes failed",
        "everybody",
        "ersgallery_",
        "DeleteSubject",
    ):
        assert loud.encode() in b"\n".join(emitted.parts), f"{loud} shows that the session was as meant"
    secrets = {"token": token.encode(), "token's end": token[-20:].encode(), "key": KEY.text.partition(":")[2].encode()}
    secrets |= of_bytes("key", KEY.secret) | {"metadata": METADATA.encode()}
    for i in (0, 1, 5, 7, 79):
        secrets |= of_embedding(f"row {i}", ROWS[i])
    assert emitted.found(secrets) == []


def test_the_scan_finds_what_is_there() -> None:
    emitted = Emitted()
    secrets = of_embedding("row", ROWS[0])
    unit = ROWS[0] / np.linalg.norm(ROWS[0])
    for leak in (
        ROWS[0].tobytes(),
        base64.b64encode(b"?" + ROWS[0].tobytes()),
        repr(unit.tolist()).encode(),
        unit.tobytes().hex().encode(),
        repr(face.Embedding(packed=ROWS[0].tobytes()).packed).encode(),
    ):
        emitted.parts = [b"before", b"x" + leak, b"after"]
        assert len(emitted.found(secrets)) > 2


@pytest.mark.real_faces
def test_nothing_of_a_photograph_is_emitted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format="json", log_level="debug")
    photographs = [next(folder.iterdir()).read_bytes() for folder in sorted((lfw_dir() / "lfw_small").iterdir())[:3]]
    emitted, audit = Emitted(), tmp_path / "audit.log"
    configured = settings(
        tmp_path, installed_models_dir(), audit_log=audit, encryption_keys=KeyRing([KEY]), metrics_port=0
    )
    with running_server(configured) as server:
        gallery = gallery_pb2.Gallery(profile="profiles/sface", tau=0.4, store_images=True)
        server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id="g", gallery=gallery))
        broken = photographs[0][: len(photographs[0]) // 2]
        for content in (*photographs, broken, photographs[1][:40], photographs[0].replace(b"\xff\xda", b"\xff\xd9")):
            enroll(server, "g", enrollment.Enrollment(subject_id="ann", image=face.Image(content=content)))
            image = face.Probe(image=face.Image(content=content))
            request = identification.IdentifyRequest(gallery="galleries/g", probe=image)
            ask_broken(lambda request=request: server.identification.Identify(request), emitted)  # type: ignore[misc] # bound now
        emitted.parts.append(page(server).encode())
    emitted.parts += ["".join(capfd.readouterr()).encode(), audit.read_bytes()]
    secrets: dict[str, bytes] = {}
    for i, content in enumerate(photographs):
        secrets |= of_bytes(f"photograph {i}", content[1000:6000])
    assert emitted.found(secrets) == []
