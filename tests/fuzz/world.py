"""The server that is attacked, in a process of its own, with galleries to attack and one to see whether it is sound."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face_input
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.grants import Scope
from ersgallery_server.store import Store

from tests.fuzz.canary import GALLERY, Canary
from tests.fuzz.case import Finding
from tests.fuzz.image_cases import photographs
from tests.fuzz.watch import Watch
from tests.support.requests import axis, blurred, create_gallery, enroll, item
from tests.support.server import RemoteServer
from tests.support.server_process import command
from tests.support.tokens import bearer, create_token

FULL, SETS, PHOTOS = "full", "sets", "photos"
OWNER, GUEST = "owner", "guest"
PHOTOS_MODEL = "sface"
PHOTOS_DIMENSION = 128
MOST_FACES = 3000
MOST_GALLERIES = 12
MESSAGE_MIB = 4
NO_FACE = "0" * 18
NO_OPERATION = "0" * 32

_BAD_IN_LOG = ('"level": "error"', '"level": "critical"', "Traceback (most recent call last)", "Fatal Python error")


class _AsOwner(grpc.UnaryUnaryClientInterceptor):
    """Sends the owner's token with every call."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self._headers = headers

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Add it."""
        return continuation(client_call_details._replace(metadata=self._headers), request)


class World:
    """A running server; everything raises Finding where it is not as it must be."""

    def __init__(self, folder: Path, models_dir: Path | None) -> None:
        self._folder = folder
        self._models_dir = models_dir
        self._log = folder / "log"
        self._log_read = 0
        (folder / "data").mkdir()

        url = os.environ.get("ERSGALLERY_DATABASE_URL") or f"sqlite:///{folder / 'data' / 'gallery.db'}"
        with Store.open(url) as store:  # which may have been attacked before
            owner = create_token(store, f"owner-{secrets.token_hex(4)}", max_calls_per_second=0.0)
            guest = create_token(
                store, f"guest-{secrets.token_hex(4)}", (Scope.READ, Scope.IDENTIFY), (FULL,), max_calls_per_second=0.0
            )
        self.headers: dict[str, list[tuple[str, str]]] = {OWNER: list(bearer(owner)), GUEST: list(bearer(guest))}
        self._start()

    def _start(self) -> None:
        options = ["--require-tokens"]
        options += ["--max-message-mib", str(MESSAGE_MIB), "--unary-threads", "12", "--max-streams", "8"]
        options += ["--snapshot-changed-faces", "200", "--inference-threads", "1", "--max-image-megapixels", "4"]
        options += ["--log-format", "json", "--log-level", "warning"]
        if self._models_dir is not None:
            options += ["--models-dir", str(self._models_dir)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command(self._folder / "data", 0, *options),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("serving on "):
            raise Finding(f"the server does not start: {self._log.read_text(errors='replace')[-2000:]}")
        address = line.split()[-1]
        self.channel = grpc.insecure_channel(address)
        self.server = RemoteServer(address, grpc.intercept_channel(self.channel, _AsOwner(self.headers[OWNER])))
        self.watch = Watch(self.process.pid)
        self._forget(GALLERY)
        self.canary = Canary(self.server)
        self._faces: dict[str, str] = {}
        self.operation = NO_OPERATION

    def restart(self) -> None:
        """Start again after a crash, on the same data."""
        self.close()
        self._log_read = self._log.stat().st_size
        self._start()

    def close(self) -> None:
        """End the server."""
        self.channel.close()
        self.process.terminate()
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def restore(self) -> None:
        """Make again what the calls before have changed or removed."""
        sizes = {each.name.rpartition("/")[2]: each.counts.faces for each in self._galleries()}
        strangers = sizes.keys() - {GALLERY, FULL, SETS, PHOTOS}
        if len(strangers) > MOST_GALLERIES:
            for name in strangers:
                self._forget(name)
        for name in (FULL, SETS, *([PHOTOS] if self._models_dir else [])):
            if not 3 <= sizes.get(name, 0) <= MOST_FACES or not self._face(name):
                self._forget(name)
                self._fill(name)
        kept = self.server.calibration.ListOperations(calibration.ListOperationsRequest()).operations
        self.operation = kept[-1].name.rpartition("/")[2] if kept else NO_OPERATION

    def aim(self, request: bytes) -> bytes:
        """Let a request speak of a face and an operation that are there; the names have one length."""
        for name, face in self._faces.items():
            place = f"galleries/{name}/subjects/ann/faces/"
            request = request.replace(f"{place}{NO_FACE}".encode(), f"{place}{face}".encode())
        return request.replace(f"operations/{NO_OPERATION}".encode(), f"operations/{self.operation}".encode())

    def check_alive(self) -> None:
        """Raise Finding where the process has ended or its log tells of a fault."""
        if (code := self.process.poll()) is not None:
            raise Finding(f"the server ended with {code}: {self._log.read_text(errors='replace')[-2000:]}")
        with self._log.open("rb") as log:
            log.seek(self._log_read)
            lines = log.read().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):
                lines.pop()  # not all of it is there yet
        self._log_read += sum(map(len, lines))
        for line in (line.decode(errors="replace") for line in lines):
            if any(bad in line for bad in _BAD_IN_LOG):
                raise Finding(f"the server's log: {_told(line)}")

    def _galleries(self) -> list[gallery_pb2.Gallery]:
        return list(self.server.galleries.ListGalleries(galleries.ListGalleriesRequest(page_size=1000)).galleries)

    def _face(self, name: str) -> bool:
        """Learn the name of a face of ann; return False where there is none."""
        with suppress(grpc.RpcError):
            request = galleries.ListFacesRequest(parent=f"galleries/{name}/subjects/ann", page_size=1)
            faces = self.server.galleries.ListFaces(request).faces
            if faces:
                self._faces[name] = faces[0].name.rpartition("/")[2].zfill(len(NO_FACE))
                return True
        return False

    def _forget(self, name: str) -> None:
        with suppress(grpc.RpcError):
            self.server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=f"galleries/{name}"))

    def _fill(self, name: str) -> None:
        if name == PHOTOS:
            wanted = gallery_pb2.Gallery(profile=f"profiles/{PHOTOS_MODEL}", tau=0.4, store_images=True)
            self.server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id=name, gallery=wanted))
            if photographs():
                image = enrollment.Enrollment(subject_id="ann", image=face_input.Image(content=photographs()[0]))
                enroll(self.server, name, image)
            vectors = list(np.random.default_rng(3).standard_normal((3, PHOTOS_DIMENSION)).astype(np.float32))
        else:
            templates = {"subject_search": gallery_pb2.SUBJECT_SEARCH_TEMPLATE} if name == SETS else {}
            create_gallery(self.server, name, **templates)
            vectors = [axis(1), axis(2, (0, 0.3)), blurred(3)]
        enroll(
            self.server, name, *(item(who, vector) for who, vector in zip(("ann", "bob", "eve"), vectors, strict=True))
        )
        self._face(name)


def _told(line: str) -> str:
    """Return what a line of the log tells, the last of a traceback first."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    trace = entry.get("exception", "").splitlines()
    return "\n".join([entry["event"], *trace[-1:], *trace[-30:]])


@contextmanager
def running_world(folder: Path, models_dir: Path | None) -> Iterator[World]:
    """Serve until the block is left."""
    world = World(folder, models_dir)
    try:
        yield world
    finally:
        world.close()
